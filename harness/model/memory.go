// The memory that a net needs, and micro-batches for batches that do not fit.

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

// Memory returns how much of a device's own memory this process may use, and how much it
// uses, in bytes; 0 if the device does not say.
func Memory(dev device.Device) (limit, used int64) {
	if d, ok := dev.(device.Limited); ok {
		return d.Memory()
	}
	return 0, 0
}

// Footprint is the memory in bytes that the programs of a run share on each device, without
// what the device's compiler adds.
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

// Room is the memory in bytes that is free for the programs of a run after its images were
// loaded; 0 if it is unknown.
func Room(dev device.Device, run experiments.Run, src *data.Source) int64 {
	if limit, used := Memory(dev); limit > 0 {
		return max(limit-used, 1)
	}
	if dev.Info().GPU {
		return 0
	}
	return Beside(Available(), run, src, dev.Info(), 1)
}

// processBytes is the memory of a process without images and programs: graphs, libraries,
// buffers for writing weights. 60 to 110 MiB were measured.
const processBytes = 128 << 20

// Beside is how much of free, in bytes, remains for a run's programs on a CPU, after its
// process and so many copies of the images; 0 if free is 0 (unknown).
func Beside(free int64, run experiments.Run, src *data.Source, info device.Info, copies int) int64 {
	if free == 0 {
		return 0
	}
	images, _ := Held(run, src, info)
	return max(1, free-processBytes-int64(copies*images*src.Train.Channels*src.Train.Area()))
}

// Available is the memory in bytes that this process may still allocate: the smaller of the
// machine's free memory and what control groups (cgroups) allow; 0 if it is unknown.
func Available() int64 { return availableIn("/") }

func availableIn(root string) int64 {
	free := kibibytes(filepath.Join(root, "proc", "meminfo"), "MemAvailable") << 10
	if room, limited := limits.Memory(os.DirFS(root)); limited && (free == 0 || room < free) {
		free = max(room, 1)
	}
	return free
}

// kibibytes reads the number after the name of a line, which must not be the first line.
func kibibytes(path, line string) int64 {
	text, _ := os.ReadFile(path)
	_, rest, _ := strings.Cut(string(text), "\n"+line+":")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(number, 10, 64)
	return n
}

// Bytes is the memory of a program; activations are half as large in bf16.
func Bytes(p *program.Program, precision string) (sum int64) {
	for a, n := range p.Bytes {
		if program.Arena(a) == program.Work && precision == string(device.BF16) {
			n /= 2
		}
		sum += n
	}
	return sum
}

// Fitting returns the size of a run's micro-batches, 0 for the whole batch: that of the
// question if it has one; else the whole batch if it fits into free bytes; else the largest
// divisor of the batch that fits and that splits no group of batch norm. It fails if no
// divisor fits, or if batch norm statistics are those of the whole batch, because micro-batches
// would change them. free is 0 if it is unknown.
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
	where := "after images and libraries, within the limits of the machine and of control groups"
	if info.GPU {
		where = "on the GPU (--replicas N divides a batch among N GPUs)"
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
		return 0, fmt.Errorf("%w; it cannot be divided into micro-batches, because batch norm statistics are those of the whole batch: write micro_batch: N or batch_norm: {group: N} for statistics of N images", few)
	}
	for n := share / 2; n >= group; n-- {
		if share%n != 0 || n%group != 0 {
			continue
		}
		if bytes, err := need(n); err != nil || bytes <= free {
			return n, err
		}
	}
	return 0, fmt.Errorf("%w; micro-batches of %d images, which share batch norm statistics, do not fit either: a smaller batch_norm.group or bf16 needs less", few, group)
}

// CutText is the message for a batch that is divided into micro-batches because it does not
// fit.
func CutText(what string, batch, micro int) string {
	return fmt.Sprintf("%s: a batch of %d does not fit into the free memory; it is divided into micro-batches of %d images, whose gradients are added", what, batch, micro)
}
