// Tests of the figure of a varied value: its axis and its lines.

package plots

import (
	"strings"
	"testing"

	"depthlab/harness/record"
)

// The x axis is the first key with several values that are numbers. Distances are those
// of the numbers, or of their logarithms if the range is large.
func TestValueAxis(t *testing.T) {
	of := func(rows ...string) (nets []*net) {
		for _, row := range rows {
			n := &net{}
			for i, v := range strings.Split(row, "; ") {
				n.Varied = append(n.Varied, record.Value{Key: []string{"a.first", "a.second"}[i], Value: v})
			}
			nets = append(nets, n)
		}
		return nets
	}
	for _, c := range []struct {
		nets   []*net
		label  string
		ticks  string
		places []float64
	}{
		{of("0.1", "0.3", "0.2"), "a.first", "0.1 0.2 0.3", []float64{0.07, 0.93, 0.5}},
		{of("0.1", "10", "1"), "a.first, logarithmic", "0.1 1 10", []float64{0.07, 0.93, 0.5}},
		{of("0", "10", "5"), "a.first", "0 5 10", []float64{0.07, 0.93, 0.5}},
		{of("2 steps", "1 step"), "a.first (steps)", "1 2", []float64{0.93, 0.07}},
		{of("60 %", "80 %"), "a.first (%)", "60 80", []float64{0.07, 0.93}},
		{of("caffe", "nesterov"), "a.first", "caffe nesterov", []float64{0, 1}},
		{of("2 steps", "1 epoch"), "a.first", "2 steps 1 epoch", []float64{0, 1}},
		{of("caffe; 1", "caffe; 2", "adam; 1"), "a.second", "1 2", []float64{0.07, 0.93, 0.07}},
		{of("0.1; 1", "0.1; 2"), "a.second", "1 2", []float64{0.07, 0.93}},
		{of("0.1"), "a.first", "0.1", []float64{0}},
	} {
		x, place := valueAxis(c.nets, xKey(c.nets))
		var labels []string
		for _, k := range x.ticks {
			labels = append(labels, k.label)
		}
		if x.label != c.label || strings.Join(labels, " ") != c.ticks {
			t.Errorf("axis %q with %q, want %q with %q", x.label, labels, c.label, c.ticks)
		}
		for i, n := range c.nets {
			if got := place(n); got < c.places[i]-1e-9 || got > c.places[i]+1e-9 {
				t.Errorf("%s: %v is at %g, want %g", c.label, n.Varied, got, c.places[i])
			}
		}
	}
}

// Nets that differ in other keys have separate lines.
func TestLinesByOthers(t *testing.T) {
	_, rs := swept()
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range byOthers(nets, 0) {
		names = append(names, l.name)
		if len(l.nets) != 5 {
			t.Errorf("%s has %d values, want 5", l.name, len(l.nets))
		}
	}
	if got := strings.Join(names, "; "); got != "plain-20 (decay 0.0001); plain-20 (decay 0.001); resnet-20 (decay 0.0001); resnet-20 (decay 0.001)" {
		t.Error(got)
	}
	for _, n := range nets {
		n.Varied[1].Key = "schedule.warmup.for"
	}
	if got := byOthers(nets, 0)[0].name; got != "plain-20 (warmup.for 0.0001)" {
		t.Error(got)
	}
}
