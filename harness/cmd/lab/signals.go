// Signals: the first one stops training after the current step, the second one at once.

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// endings are the signals that ask a process to end: from a terminal, from timeout, from a batch
// system (TERM, USR1, USR2, and XCPU every second), or from an alarm that was set before exec.
var endings = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGXCPU, syscall.SIGALRM,
}

// stopped is the cause of a context that a signal ended.
type stopped struct{ signal syscall.Signal }

func (s stopped) Error() string { return "stopped by a signal: " + s.signal.String() }

// interruptible returns a context that the first signal of endings cancels, so that the current
// step is finished and saved. A second INT or TERM, at least a second after the first one, ends
// the process at once. Signals that are ignored at the start stay ignored: HUP under nohup, INT
// in a script's background job.
func interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 16)
	for _, s := range endings {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	go func() {
		var asked demands
		for s := range signals {
			cancel(stopped{s.(syscall.Signal)})
			if asked.again(s, time.Now()) {
				os.Exit(signalCode(ctx))
			}
		}
	}()
	return ctx
}

// demands distinguishes a second INT or TERM that a person sends from copies of the first one:
// timeout sends its signal to its child and to the child's group, and a terminal's Ctrl-C may
// arrive through a parent, too.
type demands struct{ first time.Time }

// again reports whether s, which arrives at time now, is a second demand.
func (d *demands) again(s os.Signal, now time.Time) bool {
	if s != syscall.SIGINT && s != syscall.SIGTERM {
		return false
	}
	if d.first.IsZero() {
		d.first = now
	}
	return now.Sub(d.first) >= time.Second
}

// signalCode returns the exit code for the cause that ended ctx: for a signal 128 plus its
// number, as in a shell; for a time limit codeTimeUp; 0 if ctx has not ended.
func signalCode(ctx context.Context) int {
	switch cause := context.Cause(ctx).(type) {
	case stopped:
		return 128 + int(cause.signal)
	case timeUp:
		return codeTimeUp
	}
	return 0
}

// endAtOnce makes the end of ctx exit the process at once, until stop is called. It is for
// code that has nothing to save.
func endAtOnce(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { os.Exit(signalCode(ctx)) })
}

// outliveReaders catches SIGPIPE, so that the process continues when the reader of its standard
// output or error closes the pipe. Writes then fail, and only their text is lost.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
