// What a net takes of memory, and a batch that goes through it in parts where it takes
// too much.

package model

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/limits"
	"depthlab/nets/program"
)

// Memory is what this process may use of a device's own memory, and what it
// does, in bytes; 0 where the device does not say.
func Memory(dev device.Device) (limit, used int64) {
	if d, ok := dev.(device.Limited); ok {
		return d.Memory()
	}
	return 0, 0
}

// Footprint is the memory that the programs of a run share on a device, in
// bytes, without what its compiler adds; on each, if several share a step.
func Footprint(run experiments.Run, src *data.Source, info device.Info) (most int64, err error) {
	programs, err := Compile(run, src, info)
	if err != nil {
		return 0, err
	}
	for _, p := range programs.All() {
		most = max(most, Bytes(p, run.Precision))
	}
	return most, nil
}

// Room is the memory that is left for the programs of a run whose images are
// loaded already, in bytes; 0 where that is not known.
func Room(dev device.Device, run experiments.Run, src *data.Source) int64 {
	if limit, used := Memory(dev); limit > 0 {
		return max(limit-used, 1)
	}
	if dev.Info().GPU {
		return 0
	}
	return Beside(Available(), run, src, dev.Info(), 1)
}

// processBytes is what a process takes beside images and programs, in bytes: nets as
// graphs, libraries, weights on their way to disk. 60 to 110 MiB were measured.
const processBytes = 128 << 20

// Beside is what free leaves for a run's programs on a CPU, beside its process
// and so many more copies of the images; 0 where free is not known.
func Beside(free int64, run experiments.Run, src *data.Source, info device.Info, copies int) int64 {
	if free == 0 {
		return 0
	}
	images, _ := Held(run, src, info)
	return max(1, free-processBytes-int64(copies*images*src.Train.Channels*src.Train.Area()))
}

// Available is the memory that this process may still take, in bytes: what the
// machine has left, and what the limits of control groups do; 0 for not known.
func Available() int64 { return availableIn("/") }

func availableIn(root string) int64 {
	free := kibibytes(filepath.Join(root, "proc", "meminfo"), "MemAvailable") << 10
	if room, limited := limits.Memory(os.DirFS(root)); limited && (free == 0 || room < free) {
		free = max(room, 1)
	}
	return free
}

// kibibytes reads the number behind the name of a line, but the first.
func kibibytes(path, line string) int64 {
	text, _ := os.ReadFile(path)
	_, rest, _ := strings.Cut(string(text), "\n"+line+":")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(number, 10, 64)
	return n
}

// Bytes counts what a training program holds; activations are half as large
// in bf16.
func Bytes(p *program.Program, precision string) (sum int64) {
	for a, n := range p.Bytes {
		if program.Arena(a) == program.Work && precision == string(device.BF16) {
			n /= 2
		}
		sum += n
	}
	return sum
}

// Fitting gives the images that go through a run's net at a time: as many as its
// question says (0: all), else all if free bytes hold that, else the largest
// divisor of the batch that they do hold, and that splits no group of batch
// norm. It fails if no divisor fits, or if statistics are of the whole batch, which no
// cut leaves as they are. Free is 0 where it is not known.
func Fitting(run experiments.Run, src *data.Source, info device.Info, free int64) (int, error) {
	if run.Micro > 0 || free == 0 {
		return run.Micro, nil
	}
	need := func(n int) (int64, error) {
		same := run
		same.Micro = n
		bytes, err := Footprint(same, src, info)
		if info.GPU {
			bytes += bytes / 2 // what the compiler adds
		}
		return bytes, err
	}
	whole, err := need(0)
	if err != nil || whole <= free {
		return 0, err
	}
	where := "beside images and libraries, within the limits of the machine and of control groups"
	if info.GPU {
		where = "on the GPU (--replicas N shares a batch among N of them)"
	}
	share := run.Batch // of one device
	what := fmt.Sprintf("a batch of %d", run.Batch)
	if n := info.Replicas; n > 1 {
		share /= n
		what = fmt.Sprintf("a share of %d images of a batch of %d on %d devices", share, run.Batch, n)
	}
	few := fmt.Errorf("%s needs about %d MiB of memory, and %d are free %s", what, whole>>20, free>>20, where)
	group := run.BatchNorm.Group
	if group == 0 {
		return 0, fmt.Errorf("%w; it is not cut, since batch norm's statistics are of all its images: write micro_batch: N for statistics of N at a time, or batch_norm: {group: N}", few)
	}
	for n := share / 2; n >= group; n-- {
		if share%n != 0 || n%group != 0 {
			continue
		}
		if bytes, err := need(n); err != nil || bytes <= free {
			return n, err
		}
	}
	return 0, fmt.Errorf("%w; nor do %d at a time fit, the images that share statistics of batch norm: a smaller batch_norm.group, or bf16, needs less", few, group)
}

// CutText tells of a batch that is cut for lack of memory.
func CutText(what string, batch, micro int) string {
	return fmt.Sprintf("%s: a batch of %d does not fit in the memory that is free; %d images at a time, their gradients added up", what, batch, micro)
}
