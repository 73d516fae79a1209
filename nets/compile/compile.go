// Package compile turns the graph of a net into a Program: it lowers the nodes to
// instructions, adds batch selection before them and the update after them, and places
// the buffers. If the batch is cut into micro-batches, it lowers the nodes once for each.
package compile

import (
	"fmt"

	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Config holds what a Program depends on besides the architecture.
type Config struct {
	nets.Config
	Images int // images in the resident data set
	Pad    int // padding in pixels on each side of an image before the crop

	// Mode Train only.
	MicroBatch  int // images that go forward and backward at a time, a divisor of Batch; 0 means the whole batch
	Optimizer   kernel.Optimizer
	WeightsOnly bool // weight decay on weights only, not on scales, shifts and biases
}

// Compile makes the program of one whole step. The programs of one net and Config have
// the same Param and Stat arenas in every mode.
func Compile(a nets.Arch, m nets.Mode, c Config) (*program.Program, error) {
	if m == nets.Train && c.Optimizer == nil {
		return nil, fmt.Errorf("compile %s: no optimizer to train with", a)
	}
	parts, part := 1, c.Config // number of micro-batches, and Config of the net for one of them
	if m == nets.Train && c.MicroBatch > 0 && c.MicroBatch < c.Batch {
		if c.Batch%c.MicroBatch != 0 {
			return nil, fmt.Errorf("compile %s: micro-batches of %d images do not divide a batch of %d", a, c.MicroBatch, c.Batch)
		}
		parts, part.Batch, part.Whole = c.Batch/c.MicroBatch, c.MicroBatch, c.Batch
	}
	g, err := a.Build(m, part)
	if err != nil {
		return nil, err
	}
	l := &lowering{
		p:     program.New(fmt.Sprintf("%s %s batch %d", a, m, c.Batch)),
		graph: g, cfg: c, mode: m, parts: parts,
		names: map[string]program.BufID{}, writer: map[program.BufID]int{}, statistics: map[string][]program.BufID{},
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
