// The OS thread that calls oneDNN, and the settings of libgomp.

package cpu

import (
	"fmt"
	"os"
	"runtime"

	"github.com/ebitengine/purego"
)

// thread is the one OS thread that calls oneDNN. libgomp keeps a team of workers for each
// thread that starts parallel regions, and idle workers spin for a while. If goroutines called
// it from several threads, several teams would compete for the cores.
type thread struct {
	work chan func()
	done chan struct{}
}

func startThread() *thread {
	t := &thread{work: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and its team, end with the goroutine
		for f := range t.work {
			f()
			t.done <- struct{}{}
		}
	}()
	return t
}

// do runs f on the thread, and waits for its end.
func (t *thread) do(f func()) {
	t.work <- f
	<-t.done
}

// try is do for a function that may fail.
func (t *thread) try(f func() error) (err error) {
	t.do(func() { err = f() })
	return err
}

func (t *thread) stop() { close(t.work) }

// spinCount is how many times an idle worker of libgomp checks for new work before it sleeps:
// longer than the gaps between primitives, but not much longer, because a spinning worker
// occupies a core that another thread may need. On two cores, ResNet-20 was as fast with 4,000
// as with 20,000, and 1.7 times as fast beside one busy process. libgomp's default is 300,000.
const spinCount = "4000"

// quietTeam sets GOMP_SPINCOUNT, which libgomp reads when it is loaded. It calls C's setenv,
// because C code does not see what Go's os.Setenv sets.
func quietTeam() error {
	if os.Getenv("GOMP_SPINCOUNT") != "" || os.Getenv("OMP_WAIT_POLICY") != "" {
		return nil // keep the user's setting
	}
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	at, err := purego.Dlsym(libc, "setenv")
	if err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	var setenv func(name, value string, overwrite int32) int32
	purego.RegisterFunc(&setenv, at)
	setenv("GOMP_SPINCOUNT", spinCount, 0)
	return nil
}
