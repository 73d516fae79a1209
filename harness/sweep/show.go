// Describes runs in records, and shows them to the user and in TensorBoard.

package sweep

import (
	"slices"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/nets"
)

// start is the description of a run in its record.
func start(p *experiments.Plan, run experiments.Run, src *data.Source, info device.Info, of *sizes) *record.Start {
	arch, _ := nets.ParseArch(run.Net)
	params, macs := of.count(run.Net)
	st := record.Start{
		Net: run.Net, Depth: arch.Depth, Residual: arch.Residual, Seed: run.Seed, Params: params, Macs: macs,
		Steps: run.Schedule.Stop, Batch: run.Batch, Data: src.Title, Precision: run.Precision, Device: info.Name,
	}
	if !src.Canonical {
		st.Machine = append(st.Machine, src.Title)
	}
	if !info.GPU {
		st.Machine = append(st.Machine, "CPU")
	}
	if arch.Residual {
		st.Shortcut = string(arch.Shortcut)
	}
	st = Seen(p, run, st)
	return &st
}

// Seen is the description of a run as a question sees it: with the question's name for the run, and
// with the caveats of the question, the machine and the data.
func Seen(p *experiments.Plan, run experiments.Run, st record.Start) record.Start {
	machine := st.Machine
	if machine == nil { // a record from before runs were shared
		for _, c := range st.Caveats {
			if c == "CPU" || c == st.Data {
				machine = append(machine, c)
			}
		}
	}
	run.Precision = st.Precision
	st.ID, st.Variant, st.Extends, st.DataSet = run.ID, run.Variant, run.Source(), run.Data
	st.Continues, st.From = run.Continue, run.From
	st.Varied = nil
	for i, key := range p.Varied.Keys {
		st.Varied = append(st.Varied, record.Value{Key: key, Value: p.Varied.Values[run.Variant][i]})
	}
	st.Paper, st.Caveats = run.Paper()
	st.Caveats = append(append(st.Caveats, p.Caveats...), machine...)
	if slices.Contains(machine, st.Data) {
		st.Paper = false
	}
	return st
}

// shown shows a run while it is trained.
type shown struct {
	sink  record.Sink
	step  func(step int, m record.Metric)
	close func() error
}

// follow begins to show the i-th run, at a step, as progress and in TensorBoard.
func (s *Sweep) follow(i, step int) (shown, error) {
	run := s.Plan.Runs[i]
	rec, err := seenRecord(s.Plan, run, s.Folders[run.ID])
	if err != nil {
		return shown{}, err
	}
	_, macs := s.sizes.count(run.Net)
	bar := s.Progress.Begin(i+1, len(s.Plan.Runs), *rec, step, s.ahead.left(macs))
	if !s.TensorBoard {
		return shown{bar, bar.Step, func() error { bar.Close(); return nil }}, nil
	}
	board, err := record.NewTensorBoard(s.View.TensorBoard(run.ID), rec.Events)
	if err != nil {
		bar.Close()
		return shown{}, err
	}
	return shown{record.Tee(bar, board), bar.Step, func() error { bar.Close(); return board.Close() }}, nil
}

// seenRecord reads the record of a run as a question sees it.
func seenRecord(p *experiments.Plan, run experiments.Run, folder store.Folder) (*record.RunRecord, error) {
	rec, err := record.Read(folder.Record())
	if err == nil {
		rec.Start = Seen(p, run, rec.Start)
	}
	return rec, err
}

// writeBoard writes TensorBoard's file of a finished run, if it is wanted.
func (s *Sweep) writeBoard(run experiments.Run) error {
	if !s.TensorBoard {
		return nil
	}
	rec, err := record.Read(s.Folders[run.ID].Record())
	if err != nil {
		return err
	}
	board, err := record.NewTensorBoard(s.View.TensorBoard(run.ID), rec.Events)
	if err != nil {
		return err
	}
	return board.Close()
}
