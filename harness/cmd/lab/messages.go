// Messages to the user: a queue before standard error.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

// messages writes to standard error. All messages go through it, so that they stay in order.
var messages = newOutlet(4096)

// outlet is a queue before standard error. When the queue is full, messages are dropped, so that
// a reader of the pipe that has closed it or does not read (a pager, a stalled connection)
// neither ends nor delays training.
type outlet struct{ queue chan message }

type message struct {
	to   *os.File
	text []byte
	done chan struct{} // of flush: closed when the earlier messages are written; else nil
}

func newOutlet(most int) *outlet {
	o := &outlet{make(chan message, most)}
	go func() {
		for m := range o.queue {
			if m.done != nil {
				close(m.done)
				continue
			}
			m.to.Write(m.text) // an error is ignored: the log file has the message, too
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

// Fd returns the file descriptor behind the queue.
func (o *outlet) Fd() uintptr { return os.Stderr.Fd() }

// flush waits until all messages are written; after the end of ctx, at most a second.
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

// say prints a line to standard error. Standard output is for results.
func say(format string, args ...any) { fmt.Fprintf(messages, format+"\n", args...) }
