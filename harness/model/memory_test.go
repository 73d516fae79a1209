// Tests of memory, and of micro-batches.

package model

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
)

// needed is the memory of a run with micro-batches of this size.
func needed(t *testing.T, run experiments.Run, src *data.Source, micro int) (most int64) {
	t.Helper()
	run.Micro = micro
	progs, err := Compile(run, src, ref.New().Info())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range progs.All() {
		most = max(most, Bytes(p, run.Precision))
	}
	return most
}

// A micro-batch has as many images as fit, in whole groups of batch norm.
func TestFitting(t *testing.T) {
	run, src := planned(t, strings.NewReplacer("batch: 4", "batch: 24", "group: 0", "group: 2", "train: 16", "train: 64", "pad: 1", "pad: 2").Replace(small)).Runs[0], data.Preview(100, 20)
	whole, twelve, eight, two := needed(t, run, src, 0), needed(t, run, src, 12), needed(t, run, src, 8), needed(t, run, src, 2)
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
		{2, 0, 0, cpu, 0, ""}, // unknown
		{2, 0, whole, cpu, 0, ""},
		{2, 0, whole - 1, cpu, 12, ""},
		{2, 0, twelve - 1, cpu, 8, ""},
		{8, 0, twelve, cpu, 8, ""}, // twelve would split a group
		{2, 0, whole, gpu, 8, ""},  // half as much in addition for the compiler
		{2, 0, two - 1, cpu, 0, "micro-batches of 2 images"},
		{0, 0, whole, cpu, 0, ""},
		{0, 0, twelve, cpu, 0, "write micro_batch: N"},
		{0, 6, two - 1, cpu, 6, ""}, // as the question says
	} {
		run := run
		run.BatchNorm.Group, run.Micro = c.group, c.said
		got, err := Fitting(run, src, c.info, c.free)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: error %v", c, err)
			}
		} else if got != c.want || err != nil {
			t.Errorf("%+v: %d at a time, %v", c, got, err)
		}
	}
}

// The smaller of the machine's free memory and what control groups allow counts.
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
