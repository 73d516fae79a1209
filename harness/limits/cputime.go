// CPU time that processes have used.

package limits

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// CPUTime is the CPU time that all processes have used since the machine started, on the CPUs on
// which this process may run (proc(5): /proc/stat). Processes with a nice value above 0 count only
// if niced. known is false if the system does not say, as on macOS. system is the root of the file
// system: os.DirFS("/").
func CPUTime(system fs.FS, niced bool) (used time.Duration, known bool) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on amd64 and arm64
	stat, _ := fs.ReadFile(system, "proc/stat")
	status, _ := fs.ReadFile(system, "proc/self/status")
	allowed := value(string(status), "Cpus_allowed_list:")
	for line := range strings.Lines(string(stat)) {
		// cpuN USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ ...
		words := strings.Fields(line)
		if len(words) < 8 || !strings.HasPrefix(words[0], "cpu") {
			continue
		}
		cpu, err := strconv.Atoi(words[0][len("cpu"):])
		if err != nil || !listed(allowed, cpu) { // "cpu" alone is the sum of all
			continue
		}
		for i, word := range words {
			if i == 1 || i == 2 && niced || i == 3 || i == 6 || i == 7 {
				n, _ := strconv.ParseInt(word, 10, 64)
				used += time.Duration(n) * tick
			}
		}
		known = true
	}
	return used, known
}

// listed reports whether n is in a list such as 0-3,8.
func listed(list string, n int) bool {
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err == nil && err2 == nil && from <= n && n <= to {
			return true
		}
	}
	return false
}
