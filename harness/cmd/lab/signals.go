package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// endings are the signals that ask a process to end: from a terminal, timeout,
// a batch system (TERM, USR1, USR2, and XCPU every second), or an alarm set
// before exec.
var endings = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGXCPU, syscall.SIGALRM,
}

// stopped is the cause that a context ended: a signal came.
type stopped struct{ signal syscall.Signal }

func (s stopped) Error() string { return "stopped by a signal: " + s.signal.String() }

// interruptible gives a context that ends with the first signal of endings, so
// that the step under way is finished and saved. A second demand of a person
// ends the process at once. What was ignored at the start stays so: HUP under
// nohup, INT of a script's background job.
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

// demands tells a second INT or TERM that a person sends from a repeated first
// one: timeout sends its signal to its child and to the child's group, and a
// terminal's Ctrl-C may arrive through a parent, too.
type demands struct{ first time.Time }

func (d *demands) again(s os.Signal, now time.Time) bool {
	if s != syscall.SIGINT && s != syscall.SIGTERM {
		return false
	}
	if d.first.IsZero() {
		d.first = now
	}
	return now.Sub(d.first) >= time.Second
}

// signalCode is the exit code for what ended ctx: as a shell has it for a signal, 128 and
// its number; codeTimeUp for time; 0 where nothing did.
func signalCode(ctx context.Context) int {
	switch cause := context.Cause(ctx).(type) {
	case stopped:
		return 128 + int(cause.signal)
	case timeUp:
		return codeTimeUp
	}
	return 0
}

// endAtOnce lets a signal end the process at once where there is nothing to
// save: from here on, or until stop is called.
func endAtOnce(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { os.Exit(signalCode(ctx)) })
}

// outliveReaders keeps a process whose standard output or error is a pipe that
// nobody reads any more: Go ends it with SIGPIPE unless somebody asked for that
// signal. Writes then fail, which costs a message.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
