// The number of threads that compute.

package machine

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"depthlab/harness/limits"
)

// envThreads is the environment variable with the number of threads of OpenMP programs, which
// batch systems set.
const envThreads = "OMP_NUM_THREADS"

// UseThreads sets the number of threads that compute. 0 means as many as affinity and CPU
// quota of this process allow, or OMP_NUM_THREADS if that is less. It fails if n is more than
// allowed. A larger OMP_NUM_THREADS is reduced, with a line.
func (m Machine) UseThreads(n int) error {
	quota, limited := limits.CPUs(os.DirFS("/"))
	n, err := m.threads(n, runtime.NumCPU(), quota, limited)
	if err == nil {
		runtime.GOMAXPROCS(n)
	}
	return err
}

// threads returns the number of threads for a process that may run on so many CPUs, with a
// quota of CPUs if limited.
func (m Machine) threads(n, cpus int, quota float64, limited bool) (int, error) {
	allowed, why := cpus, fmt.Sprintf("this process may run on %d CPUs", cpus)
	if limited {
		allowed = max(1, min(cpus, int(math.Ceil(quota))))
		why += fmt.Sprintf(", with a quota of %.3g", quota)
	}
	if n < 0 || n > allowed {
		return 0, notFound(fmt.Sprintf("--threads %d", n), fmt.Errorf("expected 1 to %d: %s", allowed, why))
	}
	if n > 0 {
		return n, nil
	}
	first, _, _ := strings.Cut(os.Getenv(envThreads), ",")
	wanted, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || wanted < 1 {
		return allowed, nil
	}
	if wanted > allowed {
		m.say("%s=%d is reduced to %d: %s", envThreads, wanted, allowed, why)
	}
	return min(wanted, allowed), nil
}
