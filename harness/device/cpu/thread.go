// The one OS thread that calls oneDNN.

package cpu

import (
	"fmt"
	"os"
	"runtime"

	"github.com/ebitengine/purego"
)

// thread is the one OS thread that calls oneDNN. libgomp keeps a team of
// workers for each thread that starts parallel regions, and idle workers spin
// for a while: were goroutines to carry these calls from thread to thread,
// teams would pile up and fight for the cores.
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

// do runs f on the thread and waits for it.
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

// spinCount is how often an idle worker of libgomp looks for new work before
// it sleeps: longer than the pauses between primitives, and not much, since
// what spins takes a core from whom it waits for when there are not cores
// enough. On two cores, ResNet-20 was as fast with 4,000 as with 20,000, and 1.7
// times as fast beside one busy process. libgomp's own default is 300,000.
const spinCount = "4000"

// quietTeam sets libgomp's environment, which it reads as it is loaded. Go's
// os.Setenv would not reach it, as no C code of this process sees Go's copy.
func quietTeam() error {
	if os.Getenv("GOMP_SPINCOUNT") != "" || os.Getenv("OMP_WAIT_POLICY") != "" {
		return nil // the user knows better
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
