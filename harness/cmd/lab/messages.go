package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

// messages is standard error for what the program tells its user. Everything
// goes through it, so that lines stay in order.
var messages = newOutlet(4096)

// outlet is a queue before standard error. A message that cannot be written is
// dropped: a reader that is gone, or stopped (a pager, a stalled connection),
// neither ends nor holds up training.
type outlet struct{ queue chan message }

type message struct {
	to   *os.File
	text []byte
	done chan struct{} // closed when all before it is written; else nil
}

func newOutlet(most int) *outlet {
	o := &outlet{make(chan message, most)}
	go func() {
		for m := range o.queue {
			if m.done != nil {
				close(m.done)
				continue
			}
			m.to.Write(m.text) // the log file has it
		}
	}()
	return o
}

// Write queues text and never fails.
func (o *outlet) Write(text []byte) (int, error) {
	select {
	case o.queue <- message{to: os.Stderr, text: bytes.Clone(text)}:
	default:
	}
	return len(text), nil
}

// Fd is the descriptor behind the queue.
func (o *outlet) Fd() uintptr { return os.Stderr.Fd() }

// flush waits until everything is written; once ctx ended, for a second at most.
func (o *outlet) flush(ctx context.Context) {
	done := make(chan struct{})
	go func() { o.queue <- message{done: done} }()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// say prints a line to the user, on standard error so that standard output
// holds results only.
func say(format string, args ...any) { fmt.Fprintf(messages, format+"\n", args...) }
