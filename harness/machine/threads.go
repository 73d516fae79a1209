// How many threads compute here.

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

// envThreads is how many threads programs with OpenMP take, as batch systems set it.
const envThreads = "OMP_NUM_THREADS"

// UseThreads limits all that computes to n threads, 0 for as many as the affinity and the
// CPU quota of this process allow, or OMP_NUM_THREADS if it is less. More than allowed is
// refused, but of the variable, which is then cut with a line.
func (m Machine) UseThreads(n int) error {
	quota, limited := limits.CPUs(os.DirFS("/"))
	n, err := m.threads(n, runtime.NumCPU(), quota, limited)
	if err == nil {
		runtime.GOMAXPROCS(n)
	}
	return err
}

// threads settles the number for a process that may run on so many CPUs, with a quota.
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
		m.say("%s=%d is cut to %d: %s", envThreads, wanted, allowed, why)
	}
	return min(wanted, allowed), nil
}
