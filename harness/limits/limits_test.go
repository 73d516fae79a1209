// Tests of control group limits, versions 1 and 2, on made-up file systems.

package limits

import (
	"os"
	"testing"
	"testing/fstest"
)

// tree makes a file system with these files.
func tree(files map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

const (
	mounts2 = "24 1 0:22 / /proc rw - proc proc rw\n" +
		"30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mounts1 = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	container1 = "35 31 0:32 /docker/4f1d /sys/fs/cgroup/memory ro master:2 - cgroup cgroup rw,memory\n" +
		"36 31 0:33 /docker/4f1d /sys/fs/cgroup/cpu ro master:3 - cgroup cgroup rw,cpu\n"
	groups1   = "4:memory:/docker/4f1d\n2:cpu,cpuacct:/docker/4f1d\n0::/\n"
	unlimited = "9223372036854771712\n"
)

func TestMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		room  int64 // -1: no limit
	}{
		"nothing there": {nil, -1},
		"version 2, no limit": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.high": "max\n", "sys/fs/cgroup/a/memory.current": "5000\n",
		}, -1},
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/a/memory.max": "10000\n", "sys/fs/cgroup/a/memory.current": "4000\n",
		}, 6000},
		"it throttles before it ends": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/a/memory.max": "10000\n", "sys/fs/cgroup/a/memory.high": "9000", "sys/fs/cgroup/a/memory.current": "4000\n",
		}, 5000},
		"page cache is given up": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/a/memory.max": "10000\n", "sys/fs/cgroup/a/memory.current": "9000\n",
			"sys/fs/cgroup/a/memory.stat": "anon 2000\nfile 7000\ninactive_file 5000\nactive_file 1500\n",
		}, 7500},
		"nested, the one above is tighter": {map[string]string{
			"proc/self/cgroup": "0::/slurm/job/step\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/slurm/job/step/memory.max": "90000\n", "sys/fs/cgroup/slurm/job/step/memory.current": "100\n",
			"sys/fs/cgroup/slurm/job/memory.max": "80000\n", "sys/fs/cgroup/slurm/job/memory.current": "75000\n",
			"sys/fs/cgroup/slurm/memory.max": "max\n",
		}, 5000},
		"a container's own root": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/memory.max": "700\n", "sys/fs/cgroup/memory.current": "100\n",
		}, 600},
		"a group outside of what is seen": {map[string]string{
			"proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/memory.max": "700\n", "sys/fs/cgroup/memory.current": "100\n",
		}, 600},
		"over its limit": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "1200\n",
		}, 0},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": groups1, "proc/self/mountinfo": mounts1,
			"sys/fs/cgroup/memory/docker/4f1d/memory.limit_in_bytes": unlimited, "sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited,
		}, -1},
		"version 1, nested": {map[string]string{
			"proc/self/cgroup": groups1, "proc/self/mountinfo": mounts1,
			"sys/fs/cgroup/memory/docker/4f1d/memory.limit_in_bytes": "9000", "sys/fs/cgroup/memory/docker/4f1d/memory.usage_in_bytes": "4000",
			"sys/fs/cgroup/memory/docker/4f1d/memory.stat":      "active_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n",
			"sys/fs/cgroup/memory/docker/memory.limit_in_bytes": unlimited,
			"sys/fs/cgroup/memory/memory.limit_in_bytes":        unlimited,
		}, 5500},
		"version 1 in a container that sees its own group alone": {map[string]string{
			"proc/self/cgroup": groups1, "proc/self/mountinfo": container1,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9000", "sys/fs/cgroup/memory/memory.usage_in_bytes": "4000",
		}, 5000},
		"damaged": {map[string]string{
			"proc/self/cgroup": "\n:\n0::/a", "proc/self/mountinfo": "x\n - \n" + mounts2,
			"sys/fs/cgroup/a/memory.max": "", "sys/fs/cgroup/a/memory.high": "1e9", "sys/fs/cgroup/a/memory.stat": "active_file",
		}, -1},
	} {
		room, known := Memory(tree(c.files))
		if !known {
			room = -1
		}
		if room != c.room {
			t.Errorf("%s: room %d, want %d", name, room, c.room)
		}
	}
}

func TestCPUs(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		cpus  float64 // 0: no quota
	}{
		"nothing there": {nil, 0},
		"version 2, none": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mounts2, "sys/fs/cgroup/a/cpu.max": "max 100000\n",
		}, 0},
		"version 2, nested": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mounts2,
			"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
		}, 1.5},
		"version 1, none": {map[string]string{
			"proc/self/cgroup": groups1, "proc/self/mountinfo": mounts1,
			"sys/fs/cgroup/cpu,cpuacct/docker/4f1d/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/docker/4f1d/cpu.cfs_period_us": "100000\n",
		}, 0},
		"version 1": {map[string]string{
			"proc/self/cgroup": groups1, "proc/self/mountinfo": mounts1,
			"sys/fs/cgroup/cpu,cpuacct/docker/4f1d/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu,cpuacct/docker/4f1d/cpu.cfs_period_us": "100000\n",
		}, 0.5},
	} {
		if cpus, known := CPUs(tree(c.files)); cpus != c.cpus || known != (c.cpus > 0) {
			t.Errorf("%s: %v CPUs, %v; want %v", name, cpus, known, c.cpus)
		}
	}
}

// A Slurm job's limits count, where control groups do not enforce them or are wider.
func TestSlurmJob(t *testing.T) {
	const status = "Name:\tlab\nVmRSS:\t  204800 kB\nThreads:\t9\n" // 200 MiB
	for name, c := range map[string]struct {
		environ string
		limit   string // of the control group
		room    int64  // -1: no limit
		cpus    float64
	}{
		"no job":              {"HOME=/root\x00", "", -1, 0},
		"memory of a node":    {"SLURM_CPUS_ON_NODE=4\x00SLURM_MEM_PER_NODE=1000\x00", "", 800 << 20, 4},
		"memory of a CPU":     {"SLURM_MEM_PER_CPU=300\x00SLURM_CPUS_ON_NODE=2\x00", "", 400 << 20, 2},
		"CPUs of a task":      {"SLURM_CPUS_PER_TASK=3\x00SLURM_CPUS_ON_NODE=8\x00", "", -1, 3},
		"less than is taken":  {"SLURM_MEM_PER_NODE=100\x00", "", 0, 0},
		"all of the node":     {"SLURM_MEM_PER_NODE=0\x00", "", -1, 0},
		"a tighter group":     {"SLURM_MEM_PER_NODE=1000\x00", "1000", 1000, 0},
		"a wider group":       {"SLURM_MEM_PER_NODE=1000\x00", "4000000000", 800 << 20, 0},
		"not in its own name": {"XSLURM_MEM_PER_NODE=1000\x00", "", -1, 0},
	} {
		files := map[string]string{"proc/self/environ": c.environ, "proc/self/status": status}
		if c.limit != "" {
			files["proc/self/cgroup"], files["proc/self/mountinfo"] = "0::/a\n", mounts2
			files["sys/fs/cgroup/a/memory.max"], files["sys/fs/cgroup/a/memory.current"] = c.limit, "0"
		}
		room, known := Memory(tree(files))
		if !known {
			room = -1
		}
		cpus, _ := CPUs(tree(files))
		if room != c.room || cpus != c.cpus {
			t.Errorf("%s: room %d and %v CPUs, want %d and %v", name, room, cpus, c.room, c.cpus)
		}
	}
}

// The limits of this machine can be read, whatever they are.
func TestHere(t *testing.T) {
	room, known := Memory(os.DirFS("/"))
	cpus, quota := CPUs(os.DirFS("/"))
	t.Log("memory:", room, known, "CPUs:", cpus, quota)
	if _, err := os.Stat("/sys/fs/cgroup"); err == nil && len(groups(os.DirFS("/"), "memory")) == 0 {
		t.Error("no control group was found")
	}
}
