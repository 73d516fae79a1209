// Package measure computes what figures need to know of trained nets beside their curves:
// how a net does without some of its blocks, how alike its gradients are at neighbouring
// inputs, the loss around it. Nothing is trained. Each measurement is an entry of All; what
// comes out is an event of the run's record, and figures need nothing else.
package measure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/harness/store"
)

// Measurement is something that trained weights tell: an entry of All.
type Measurement struct {
	Name    string   // key of its options in a question
	Figures []string // that draw it

	kind string                                                       // of its event
	cost func(run experiments.Run, m experiments.Measurements) string // "61 tests of 2000 images"
	// begin prepares the work on one net.
	begin func(n *net, m experiments.Measurements) (*work, error)
}

// work is the measurement of one net: points, each some numbers, that are computed in
// their order, in any number of sessions, and the event that they become.
type work struct {
	points int
	point  func(ctx context.Context, i int) ([]float64, error)
	event  func(points [][]float64) (record.Event, error)
}

// All is the table of measurements. Enter a new one here, and its options in package
// experiments.
var All = []Measurement{
	{"responses", []string{"layer_responses"}, "responses", responsesCost, responses},
	{"lesion", []string{"lesion"}, measured, lesionCost, lesion},
	{"gradient_correlation", []string{"gradient_correlation"}, measured, correlationCost, correlation},
	{"landscape", []string{"landscape_1d", "landscape_2d"}, measured, landscapeCost, landscape},
}

// measured is the kind of event of all measurements but the oldest.
const measured = "measured"

// Lacking are the measurements that the figures of a plan draw, and that the record of a
// run lacks.
func Lacking(rec *record.RunRecord, p *experiments.Plan) (all []Measurement) {
	for _, m := range All {
		if m.Asked(p) && !m.in(rec, p.Measurements) {
			all = append(all, m)
		}
	}
	return all
}

// Asked says whether a figure of a plan draws the measurement.
func (m Measurement) Asked(p *experiments.Plan) bool {
	return slices.ContainsFunc(p.Figures, func(f string) bool { return slices.Contains(m.Figures, f) })
}

// Cost says what the measurement of a run takes: "61 tests of 2000 images".
func (m Measurement) Cost(run experiments.Run, p *experiments.Plan) string {
	return m.cost(run, p.Measurements)
}

func tests(n, images int) string { return fmt.Sprintf("%d tests of %d images", n, images) }

// in says whether a record has the measurement, with these options.
func (m Measurement) in(rec *record.RunRecord, o experiments.Measurements) bool {
	options := o.Options()[m.Name]
	return slices.ContainsFunc(rec.Events, func(e record.Event) bool {
		return e.Kind == m.kind && (e.Measured == nil || e.Measured.Name == m.Name && maps.Equal(e.Measured.Options, options))
	})
}

// Target is a finished run, and what it is measured with.
type Target struct {
	Run    experiments.Run
	Folder store.Folder // whose lock is held
	Data   *data.Source
	Device device.Device
	Say    func(format string, args ...any) // one line to the user
}

// pause is the time between two savings of a measurement that is under way.
const pause = 30 * time.Second

// Add computes the measurement of a run and adds it to the run's record. What an earlier
// call left unfinished is gone on with. The error is harness.ErrInterrupted if ctx ended:
// what was computed is saved then.
func (m Measurement) Add(ctx context.Context, t Target, o experiments.Measurements) (err error) {
	n, err := load(t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	w, err := m.begin(n, o)
	if err != nil {
		return err
	}
	part, err := openPart(t.Folder.Measuring(), m.Name, o.Options()[m.Name], w.points)
	if err != nil {
		return err
	}
	for saved := time.Now(); len(part.Points) < w.points; {
		x, err := w.point(ctx, len(part.Points))
		if ctx.Err() != nil {
			return errors.Join(harness.ErrInterrupted, part.save())
		}
		if err != nil {
			return errors.Join(err, part.save())
		}
		part.Points = append(part.Points, x)
		if time.Since(saved) > pause {
			if err := part.save(); err != nil {
				return err
			}
			saved = time.Now()
			t.Say("%s: %s, %d of %d", t.Run.ID, m.Name, len(part.Points), w.points)
		}
	}
	e, err := w.event(part.Points)
	if err != nil {
		return err
	}
	e.Kind, e.Step = m.kind, t.Run.Schedule.Stop
	if e.Measured != nil {
		e.Measured.Name, e.Measured.Options, e.Measured.Device = m.Name, o.Options()[m.Name], t.Device.Info().Name
	}
	if err := record.Amend(t.Folder.Record(), e); err != nil {
		return err
	}
	return part.remove()
}

// values is the event of a measurement.
func values(v map[string][]float64) (record.Event, error) {
	return record.Event{Measured: &record.Measured{Values: v}}, nil
}
