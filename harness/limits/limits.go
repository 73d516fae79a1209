// Package limits reads the memory and CPU limits of this process: those of its control
// groups (cgroups), which containers, batch systems and systemd set, and those of its Slurm
// job. It reads the CPU time that processes have used, too.
package limits

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Memory is how many bytes this process may still allocate within the limits of its
// control group, of the groups above it and of its Slurm job (the smallest of them). Page cache counts as
// free, because the kernel drops it first. known is false if there is no limit. system is
// the root of the file system: os.DirFS("/").
func Memory(system fs.FS) (room int64, known bool) {
	room, known = jobMemory(system)
	for _, g := range groups(system, "memory") {
		limits, usage, prefix := []string{"memory.max", "memory.high"}, "memory.current", ""
		if g.v1 {
			limits, usage, prefix = []string{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_"
		}
		for _, name := range limits {
			limit, ok := g.number(name, 0)
			if !ok || limit >= 1<<62 { // version 1 writes a huge number for unlimited
				continue
			}
			used, _ := g.number(usage, 0)
			used -= g.stat(prefix+"active_file") + g.stat(prefix+"inactive_file")
			if left := max(0, limit-max(0, used)); !known || left < room {
				room, known = left, true
			}
		}
	}
	return room, known
}

// CPUs is the CPU quota of this process, in CPUs: the smallest of its control groups and
// of its Slurm job. It need not be a whole number. known is false if there is no quota.
func CPUs(system fs.FS) (cpus float64, known bool) {
	if n, given := jobCPUs(system); given {
		cpus, known = float64(n), true
	}
	for _, g := range groups(system, "cpu") {
		quota, ok := g.number("cpu.max", 0)
		period, _ := g.number("cpu.max", 1)
		if g.v1 {
			quota, ok = g.number("cpu.cfs_quota_us", 0)
			period, _ = g.number("cpu.cfs_period_us", 0)
		}
		if !ok || quota <= 0 || period <= 0 { // version 1 writes -1 for no quota
			continue
		}
		if n := float64(quota) / float64(period); !known || n < cpus {
			cpus, known = n, true
		}
	}
	return cpus, known
}

// group is a control group of version 1 or 2. Its files are in the folder dir.
type group struct {
	fs.FS
	dir string
	v1  bool
}

// groups lists the control groups of this process that may have a controller, from its
// own up to the topmost one that is mounted here.
func groups(system fs.FS, controller string) (all []group) {
	memberships, _ := fs.ReadFile(system, "proc/self/cgroup")
	mounts, _ := fs.ReadFile(system, "proc/self/mountinfo")
	for line := range strings.Lines(string(memberships)) {
		// ID:CONTROLLERS:PATH; CONTROLLERS is empty for version 2.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		v1 := parts[1] != ""
		if v1 && !slices.Contains(strings.Split(parts[1], ","), controller) {
			continue
		}
		for line := range strings.Lines(string(mounts)) {
			if root, point, ok := mounted(line, v1, controller); ok {
				for dir := path.Join(point, below(root, parts[2])); ; dir = path.Dir(dir) {
					all = append(all, group{system, strings.TrimPrefix(dir, "/"), v1})
					if len(dir) <= len(point) {
						break
					}
				}
			}
		}
	}
	return all
}

// mounted parses a line of mountinfo. If it is a mount of control groups of this version,
// with this controller, it returns the mounted group and the mount point.
func mounted(line string, v1 bool, controller string) (root, point string, ok bool) {
	// ID PARENT DEVICE ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS
	before, after, _ := strings.Cut(line, " - ")
	mount, kind := strings.Fields(before), strings.Fields(after)
	if len(mount) < 5 || len(kind) < 3 {
		return "", "", false
	}
	if v1 {
		ok = kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), controller)
	} else {
		ok = kind[0] == "cgroup2"
	}
	return mount[3], mount[4], ok
}

// below is the path of a group relative to the mounted group root, "/" for root itself. A
// container may see groups outside the one that is mounted.
func below(root, group string) string {
	rest, inside := strings.CutPrefix(group, strings.TrimSuffix(root, "/"))
	if !inside || !strings.HasPrefix(rest, "/") {
		return "/"
	}
	return path.Clean(rest)
}

// number is the i-th word of a file, if it is a number; not ok otherwise ("max").
func (g group) number(name string, i int) (n int64, ok bool) {
	text, _ := fs.ReadFile(g, path.Join(g.dir, name))
	words := strings.Fields(string(text))
	if i >= len(words) {
		return 0, false
	}
	n, err := strconv.ParseInt(words[i], 10, 64)
	return n, err == nil
}

// stat is a value of memory.stat; 0 if missing.
func (g group) stat(name string) int64 {
	text, _ := fs.ReadFile(g, path.Join(g.dir, "memory.stat"))
	n, _ := strconv.ParseInt(value(string(text), name+" "), 10, 64)
	return n
}

// value is the rest of the first line that begins with key; "" if there is none.
func value(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
