// Package compile turns the graph of a net into a Program: it lowers the nodes to
// instructions, adds batch selection before them and the update after them, and places
// the buffers. If the batch is cut into micro-batches, it lowers the nodes once for each.
// With replicas, the program is for one replica's part of the batch.
package compile

import (
	"fmt"
	"strconv"
	"strings"

	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Config holds what a Program depends on besides the architecture.
type Config struct {
	nets.Config
	Images int // images in the resident data set
	Pad    int // padding in pixels on each side of an image before the crop
	// Replicas is the number of devices that share a batch, a divisor of Batch; 0 or 1
	// means one device.
	Replicas int

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
	if err := c.Share(m); err != nil {
		return nil, fmt.Errorf("compile %s: %w", a, err)
	}
	images := c.Batch / max(1, c.Replicas) // images on one device
	parts, part := 1, c.Config             // number of micro-batches, and Config of the net for one of them
	part.Batch = images
	if m == nets.Train && c.MicroBatch > 0 && c.MicroBatch < images {
		if images%c.MicroBatch != 0 {
			return nil, fmt.Errorf("compile %s: micro-batches of %d images do not divide a batch of %d", a, c.MicroBatch, images)
		}
		parts, part.Batch = images/c.MicroBatch, c.MicroBatch
	}
	if part.Batch < c.Batch && m != nets.Eval { // the host sums an evaluation
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
	addInputs(l)
	addParams(l)
	for l.part = range parts {
		emitLoad(l)
		if err := emitNodes(l); err != nil {
			return nil, fmt.Errorf("compile %s: %w", a, err)
		}
		emitKeep(l)
	}
	emitUpdate(l)
	place(l.p)
	if err := l.p.Check(); err != nil {
		return nil, err
	}
	return l.p, nil
}

// Share checks that the replicas can share a batch: equal parts, and no group of batch
// norm on two replicas. The error says what is possible.
func (c Config) Share(m nets.Mode) error {
	n := c.Replicas
	if n < 2 {
		return nil
	}
	group := max(1, c.Group)
	if m == nets.Eval {
		group = 1
	}
	fits := func(n int) bool { return c.Batch%n == 0 && c.Batch/n%group == 0 }
	switch {
	case c.Batch%n != 0:
		return fmt.Errorf("%d replicas do not divide a batch of %d images; possible: %s replicas", n, c.Batch, numbers(c.Batch, fits))
	case !fits(n):
		return fmt.Errorf("%d replicas have %d images each of a batch of %d, which splits batch norm's groups of %d images; possible: %s replicas",
			n, c.Batch/n, c.Batch, c.Group, numbers(c.Batch, fits))
	case m != nets.Eval && c.Group == 0:
		return fmt.Errorf("batch norm uses the statistics of all %d images of a batch, but each of %d replicas has only %d of them; possible: groups of %s images",
			c.Batch, n, c.Batch/n, numbers(c.Batch/n, func(k int) bool { return c.Batch/n%k == 0 }))
	}
	return nil
}

// numbers lists those from 1 to most that fit: "1, 2 or 4".
func numbers(most int, fit func(int) bool) string {
	var all []string
	for k := 1; k <= most; k++ {
		if fit(k) {
			all = append(all, strconv.Itoa(k))
		}
	}
	last := len(all) - 1
	if last == 0 {
		return all[0]
	}
	return strings.Join(all[:last], ", ") + " or " + all[last]
}
