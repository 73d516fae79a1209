// Package measure computes measurements of trained nets, which some figures draw: the error
// without some of the blocks (lesion), the correlation of gradients at neighbouring inputs, the
// loss landscape. Nothing is trained. Each measurement is an entry of All; its result is an event
// of the run's record, and figures need nothing else.
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

// Measurement is a measurement of a trained net, an entry of All.
type Measurement struct {
	Name    string   // key of its options in a question
	Figures []string // names of the figures that draw it

	kind string                                                       // kind of its event
	cost func(run experiments.Run, m experiments.Measurements) string // "61 tests of 2000 images"
	// begin prepares the work on one net.
	begin func(n *net, m experiments.Measurements) (*work, error)
}

// work is a measurement of one net. It is computed in points, in their order, in one or more
// sessions.
type work struct {
	points int                                                 // number of points
	point  func(ctx context.Context, i int) ([]float64, error) // computes the i-th point
	event  func(points [][]float64) (record.Event, error)      // the event of the record, from all points
}

// All is the table of measurements. Add a new one here, and its options in package experiments.
var All = []Measurement{
	{"responses", []string{"layer_responses"}, "responses", responsesCost, responses},
	{"lesion", []string{"lesion"}, measured, lesionCost, lesion},
	{"gradient_correlation", []string{"gradient_correlation"}, measured, correlationCost, correlation},
	{"landscape", []string{"landscape_1d", "landscape_2d"}, measured, landscapeCost, landscape},
}

// measured is the kind of event of all measurements except responses.
const measured = "measured"

// Lacking returns the measurements that the figures of a plan draw and the record of a run lacks.
func Lacking(rec *record.RunRecord, p *experiments.Plan) (all []Measurement) {
	for _, m := range All {
		if m.Asked(p) && !m.in(rec, p.Measurements) {
			all = append(all, m)
		}
	}
	return all
}

// Asked reports whether a figure of a plan draws the measurement.
func (m Measurement) Asked(p *experiments.Plan) bool {
	return slices.ContainsFunc(p.Figures, func(f string) bool { return slices.Contains(m.Figures, f) })
}

// Cost describes the work of measuring a run: "61 tests of 2000 images".
func (m Measurement) Cost(run experiments.Run, p *experiments.Plan) string {
	return m.cost(run, p.Measurements)
}

func tests(n, images int) string { return fmt.Sprintf("%d tests of %d images", n, images) }

// in reports whether a record has the measurement with these options.
func (m Measurement) in(rec *record.RunRecord, o experiments.Measurements) bool {
	options := o.Options()[m.Name]
	return slices.ContainsFunc(rec.Events, func(e record.Event) bool {
		return e.Kind == m.kind && (e.Measured == nil || e.Measured.Name == m.Name && maps.Equal(e.Measured.Options, options))
	})
}

// Target is a finished run to be measured, with its data and a device.
type Target struct {
	Run    experiments.Run
	Folder store.Folder // whose lock is held
	Data   *data.Source
	Device device.Device
	Say    func(format string, args ...any) // one line to the user
}

// pause is the time between two savings of an unfinished measurement.
const pause = 30 * time.Second

// Add computes the measurement of a run and adds it to the run's record. It resumes an unfinished
// measurement of an earlier call. If ctx ends, the points so far are saved, and the error is
// harness.ErrInterrupted.
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

// values returns the event of a measurement with these values.
func values(v map[string][]float64) (record.Event, error) {
	return record.Event{Measured: &record.Measured{Values: v}}, nil
}
