// Limits of a Slurm job. A site need not enforce them by control groups; without those Slurm
// kills a job that takes more memory than it asked for.

package limits

import (
	"io/fs"
	"strconv"
	"strings"
)

// jobMemory is how many bytes this process may still take of its job's memory on this node.
func jobMemory(system fs.FS) (room int64, known bool) {
	mib, known := variable(system, "SLURM_MEM_PER_NODE")
	if !known {
		var each, cpus int64
		if each, known = variable(system, "SLURM_MEM_PER_CPU"); known {
			cpus, known = variable(system, "SLURM_CPUS_ON_NODE")
		}
		mib = each * cpus
	}
	if !known {
		return 0, false
	}
	text, _ := fs.ReadFile(system, "proc/self/status")
	resident, _, _ := strings.Cut(value(string(text), "VmRSS:"), " ")
	kib, _ := strconv.ParseInt(resident, 10, 64)
	return max(0, mib<<20-kib<<10), true
}

// jobCPUs is how many CPUs of this node the job, or this task of it, was given.
func jobCPUs(system fs.FS) (cpus int64, known bool) {
	if cpus, known = variable(system, "SLURM_CPUS_PER_TASK"); known {
		return cpus, true
	}
	return variable(system, "SLURM_CPUS_ON_NODE")
}

// variable is a positive number in this process's environment.
func variable(system fs.FS, name string) (n int64, ok bool) {
	text, _ := fs.ReadFile(system, "proc/self/environ")
	for v := range strings.SplitSeq(string(text), "\x00") {
		if value, found := strings.CutPrefix(v, name+"="); found {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil && n > 0
		}
	}
	return 0, false
}
