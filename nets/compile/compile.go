// Package compile turns the graph of a net into a Program: it lowers the
// nodes to instructions, adds batch selection before them and the update
// after them, and places the buffers.
package compile

import (
	"fmt"

	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Config is what a Program needs beside the net.
type Config struct {
	nets.Config
	Images int // of the resident data set
	Pad    int // pixels around an image before the crop

	// Mode Train only.
	Momentum, Decay float32
	Form            kernel.MomentumForm
	WeightsOnly     bool // decay weights and leave scales, shifts and bias alone
}

// Compile makes the closed step of a net. The programs of one net and Config
// have the same Param and Stat arenas in every mode.
func Compile(a nets.Arch, m nets.Mode, c Config) (*program.Program, error) {
	g, err := a.Build(m, c.Config)
	if err != nil {
		return nil, err
	}
	l := &lowering{
		p:     &program.Program{Name: fmt.Sprintf("%s %s batch %d", a, m, c.Batch)},
		graph: g, cfg: c, mode: m,
		names: map[string]program.BufID{}, calls: map[string]int{}, writer: map[program.BufID]int{},
	}
	l.inputs()
	l.params()
	l.load()
	if err := l.nodes(); err != nil {
		return nil, fmt.Errorf("compile %s: %w", a, err)
	}
	l.update()
	place(l.p)
	if err := l.p.Check(); err != nil {
		return nil, err
	}
	return l.p, nil
}
