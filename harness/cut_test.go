package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets"
)

// needed is the memory of the first run of a sweep, so many images at a time.
func needed(t *testing.T, s *Sweep, micro int) (most int64) {
	t.Helper()
	run := s.Plan.Runs[0]
	run.Micro = micro
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		t.Fatal(err)
	}
	images, _ := held(run, s.Data, s.Device.Info())
	progs, err := programs(arch, run, &s.Data.Train, images)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range progs.All() {
		most = max(most, bytesOf(p, run.Precision))
	}
	return most
}

// As many images go through the net as the memory holds, whole groups of them.
func TestFitting(t *testing.T) {
	s := sweep(t, strings.NewReplacer("batch: 8", "batch: 24", "group: 4", "group: 2").Replace(question), t.TempDir(), ref.New(), "")
	whole, twelve, eight, two := needed(t, s, 0), needed(t, s, 12), needed(t, s, 8), needed(t, s, 2)
	if !(two < eight && eight < twelve && twelve < whole) {
		t.Fatalf("bytes needed: %d whole, %d, %d and %d", whole, twelve, eight, two)
	}
	cpu, gpu := device.Info{Name: "ref"}, device.Info{Name: "xla", GPU: true}
	for _, c := range []struct {
		group, said int
		free        int64
		info        device.Info
		want        int
		err         string
	}{
		{2, 0, 0, cpu, 0, ""}, // not known
		{2, 0, whole, cpu, 0, ""},
		{2, 0, whole - 1, cpu, 12, ""},
		{2, 0, twelve - 1, cpu, 8, ""},
		{8, 0, twelve, cpu, 8, ""}, // twelve would split a group
		{2, 0, whole, gpu, 8, ""},  // half as much again is for the compiler
		{2, 0, two - 1, cpu, 0, "nor do 2 at a time fit"},
		{0, 0, whole, cpu, 0, ""},
		{0, 0, twelve, cpu, 0, "write micro_batch: N"},
		{0, 6, two - 1, cpu, 6, ""}, // as the question says
	} {
		run := s.Plan.Runs[0]
		run.BatchNorm.Group, run.Micro = c.group, c.said
		got, err := fitting(run, s.Data, c.info, c.free)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: error %v", c, err)
			}
		} else if got != c.want || err != nil {
			t.Errorf("%+v: %d at a time, %v", c, got, err)
		}
	}
}

// Of what the machine has left and what control groups leave, the smaller counts.
func TestAvailable(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known": {nil, 0},
		"no limit":         {map[string]string{"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 7 kB\n"}, 7 << 10},
		"a tighter limit": {map[string]string{
			"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 7 kB\n", "sys/fs/cgroup/memory.max": "5000", "sys/fs/cgroup/memory.current": "1000",
		}, 4000},
		"a wider limit": {map[string]string{
			"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 7 kB\n", "sys/fs/cgroup/memory.max": "500000", "sys/fs/cgroup/memory.current": "1000",
		}, 7 << 10},
		"nothing is left": {map[string]string{
			"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 7 kB\n", "sys/fs/cgroup/memory.max": "500", "sys/fs/cgroup/memory.current": "1000",
		}, 1},
	} {
		root := t.TempDir()
		all := map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"}
		maps.Copy(all, c.files)
		for path, text := range all {
			path = filepath.Join(root, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
				t.Fatal(err)
			}
		}
		if got := availableIn(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

// A run that is cut for lack of memory says so, keeps it in its provenance, and
// goes on like that where there is more memory. It is the same run.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	s := sweep(t, question, dir, ref.New(), "")
	s.Plan.Runs = s.Plan.Runs[:1]
	run := s.Plan.Runs[0]
	s.Device = roomy{ref.New(), needed(t, s, 0) - 1, 0}
	var said []string
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := s.Run(&stopAfter{context.Background(), 0, 3}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if text := strings.Join(said, " "); !strings.Contains(text, "a batch of 8 does not fit in the memory that is free; 4 images at a time") {
		t.Errorf("said %q", text)
	}
	s = sweep(t, question, dir, ref.New(), "")
	s.Plan.Runs = s.Plan.Runs[:1]
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	p, err := readProvenance(dir, run.ID)
	if err != nil || p.Micro != 4 || p.Run.Micro != 0 || p.Proof.Run != run.Hash() {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "superseded")); err == nil {
		t.Error("begun anew")
	}

	s = sweep(t, strings.Replace(question, "group: 4", "group: 0", 1), t.TempDir(), ref.New(), "")
	s.Device = roomy{ref.New(), needed(t, s, 0) - 1, 0}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "write micro_batch: N") {
		t.Errorf("statistics of the whole batch: %v", err)
	}
}
