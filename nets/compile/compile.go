// Package compile turns the graph of a net into a Program: it lowers the
// nodes to instructions, adds batch selection before them and the update
// after them, and places the buffers. A batch that is cut goes through the
// nodes once for each micro-batch; one that is spread over replicas is a
// replica's share of it.
package compile

import (
	"fmt"
	"strings"

	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Config is what a Program needs beside the net.
type Config struct {
	nets.Config
	Images int // of the resident data set
	Pad    int // pixels around an image before the crop
	// Replicas is how many devices share a batch, each with as many images of
	// it: a divisor of Batch; 0 or 1 = one device has all.
	Replicas int

	// Mode Train only.
	MicroBatch  int // images that go forward and back at a time, a divisor of Batch; 0 = all of them
	Optimizer   kernel.Optimizer
	WeightsOnly bool // decay weights and leave scales, shifts and bias alone
}

// Compile makes the closed step of a net. The programs of one net and Config
// have the same Param and Stat arenas in every mode.
func Compile(a nets.Arch, m nets.Mode, c Config) (*program.Program, error) {
	if m == nets.Train && c.Optimizer == nil {
		return nil, fmt.Errorf("compile %s: no optimizer to train with", a)
	}
	if err := c.share(m); err != nil {
		return nil, fmt.Errorf("compile %s: %w", a, err)
	}
	images := c.Batch / max(1, c.Replicas) // of a replica
	parts, part := 1, c.Config             // micro-batches, and the net of one
	part.Batch = images
	if m == nets.Train && c.MicroBatch > 0 && c.MicroBatch < images {
		if images%c.MicroBatch != 0 {
			return nil, fmt.Errorf("compile %s: micro-batches of %d images do not divide a batch of %d", a, c.MicroBatch, images)
		}
		parts, part.Batch = images/c.MicroBatch, c.MicroBatch
	}
	if part.Batch < c.Batch && m != nets.Eval { // an evaluation adds up nothing on the devices
		part.Whole = c.Batch
	}
	g, err := a.Build(m, part)
	if err != nil {
		return nil, err
	}
	l := &lowering{
		p:     program.New(fmt.Sprintf("%s %s batch %d", a, m, c.Batch)),
		graph: g, cfg: c, mode: m, parts: parts, images: images,
		names: map[string]program.BufID{}, writer: map[program.BufID]int{}, statistics: map[string][]program.BufID{},
	}
	if c.Replicas > 1 {
		l.p.Name += fmt.Sprintf(" on %d replicas", c.Replicas)
		l.p.Replicas = c.Replicas
	}
	l.inputs()
	l.params()
	for l.part = range parts {
		l.load()
		if err := l.nodes(); err != nil {
			return nil, fmt.Errorf("compile %s: %w", a, err)
		}
		l.keep()
	}
	l.update()
	place(l.p)
	if err := l.p.Check(); err != nil {
		return nil, err
	}
	return l.p, nil
}

// share says why a batch cannot be shared by so many replicas; nil where it can.
// No group of batch norm may be spread over two of them.
func (c Config) share(m nets.Mode) error {
	n := c.Replicas
	if n < 2 {
		return nil
	}
	fits := func(n int) bool { return c.Batch%n == 0 && (m == nets.Eval || c.Batch/n%max(c.Group, 1) == 0) }
	switch {
	case m != nets.Eval && c.Group == 0:
		hint := ""
		if c.Batch%n == 0 {
			hint = fmt.Sprintf(": groups of %d images would do, or of a divisor of that", c.Batch/n)
		}
		return fmt.Errorf("batch norm's statistics are of all %d images of a batch, and %d replicas have a part of them each%s", c.Batch, n, hint)
	case fits(n):
		return nil
	}
	var would []int
	for k := 1; k <= c.Batch; k++ {
		if fits(k) {
			would = append(would, k)
		}
	}
	what := fmt.Sprintf("%d replicas cannot have an equal part each of a batch of %d images", n, c.Batch)
	if c.Batch%n == 0 {
		what = fmt.Sprintf("%d replicas would have %d images each of a batch of %d, and batch norm's groups of %d images would be spread over several", n, c.Batch/n, c.Batch, c.Group)
	}
	return fmt.Errorf("%s; as many as these would do: %s", what, strings.Trim(fmt.Sprint(would), "[]"))
}
