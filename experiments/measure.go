// Measurements of trained nets: lesion, gradient correlation, loss landscape.

package experiments

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"depthlab/experiments/dataset"
)

// Measurements are the options of the measurements of trained nets that figures draw. A zero
// value stands for a measurement that no figure draws.
type Measurements struct {
	Lesion      Lesion      `json:"lesion,omitzero"`
	Correlation Correlation `json:"gradient_correlation,omitzero"`
	Landscape   Landscape   `json:"landscape,omitzero"`
}

// Lesion deletes blocks of a trained net.
type Lesion struct {
	Images int `json:"images"` // images of the test set; 0 for all
	Most   int `json:"most"`   // largest number of blocks deleted at the same time
	Draws  int `json:"draws"`  // random draws for each number of blocks
	Seed   int `json:"seed"`   // of the draws
}

// Correlation compares gradients at neighbouring inputs.
type Correlation struct {
	Width  int     `json:"width"`  // units of a layer of the scalar nets
	Inputs int     `json:"inputs"` // number of inputs of the scalar nets
	Draws  int     `json:"draws"`  // number of scalar nets, with different weights
	Points int     `json:"points"` // points of the line through an image
	Span   float64 `json:"span"`   // length of the line on each side of the image, in deviations of a pixel
	Images int     `json:"images"`
	Seed   int     `json:"seed"`
}

// Landscape is the loss around a trained net.
type Landscape struct {
	Grid   int     `json:"grid"` // points on a side, an odd number
	Span   float64 `json:"span"` // of the grid on each side of the net, in norms of the net's filters
	Images int     `json:"images"`
	Seed   int     `json:"seed"` // of the two directions
}

// measurements returns the default options: those of the papers, if they state them.
func measurements() Measurements {
	return Measurements{
		Lesion:      Lesion{Most: 20, Draws: 30},
		Correlation: Correlation{Width: 200, Inputs: 256, Draws: 10, Points: 65, Span: 1, Images: 64},
		Landscape:   Landscape{Grid: 51, Span: 1, Seed: 123},
	}
}

// drawnBy lists the figures that draw each measurement, by its key.
var drawnBy = map[string][]string{
	"lesion":               {"lesion"},
	"gradient_correlation": {"gradient_correlation"},
	"landscape":            {"landscape_1d", "landscape_2d"},
}

// asked reports whether one of the figures draws the measurement.
func asked(measurement string, figures []string) bool {
	return slices.ContainsFunc(drawnBy[measurement], func(f string) bool { return slices.Contains(figures, f) })
}

// only clears the measurements that none of the figures draws.
func (m *Measurements) only(figures []string) {
	if !asked("lesion", figures) {
		m.Lesion = Lesion{}
	}
	if !asked("gradient_correlation", figures) {
		m.Correlation = Correlation{}
	}
	if !asked("landscape", figures) {
		m.Landscape = Landscape{}
	}
}

// Options returns the options of each measurement that a figure draws, by their keys.
func (m Measurements) Options() map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	text, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		panic(fmt.Sprintf("experiments: options of measurements are numbers: %v", err))
	}
	return all
}

// mostDraws is the largest number of errors of draws, which a record has in one line.
const mostDraws = 50_000

// checkGrid checks that a grid has a point in its middle, where the trained net is.
func checkGrid(s string) (problem, hint string) {
	if n, err := strconv.Atoi(s); err == nil && n%2 == 0 {
		return "expected an odd number, for a point in the middle", fmt.Sprintf("such as %d", n+1)
	}
	return "", ""
}

// checkMeasurable adds complaints about figures of measurements that the plan's nets or data do not
// allow.
func checkMeasurable(d *decoder, plan *Plan, s *Spec) {
	if !d.sound("figures") {
		return
	}
	var told []string
	for _, run := range plan.Runs {
		if err := archOf(run.Net).CanDelete(); err != nil && asked("lesion", s.Figures) && !slices.Contains(told, run.Net) {
			d.add(d.place("figures"), "lesion deletes blocks, and "+err.Error(), "leave the net or the figure out")
			told = append(told, run.Net)
		}
	}
	others := func(run Run) bool { return run.Extend != "" || IsFile(run.Init) }
	if i := slices.IndexFunc(plan.Runs, others); i >= 0 && asked("gradient_correlation", s.Figures) {
		d.add(d.place("figures"), "gradient_correlation compares with random initial weights, and "+plan.Runs[i].ID+" begins with others", "leave the figure out")
	}
	if draws := s.Lesion.Most * s.Lesion.Draws; draws > mostDraws && asked("lesion", s.Figures) && d.sound("lesion.most", "lesion.draws") {
		d.add(d.place("lesion.draws", "lesion.most"), fmt.Sprintf("%d draws for each of %d numbers of blocks are more than %d", s.Lesion.Draws, s.Lesion.Most, mostDraws), "")
	}
	if dataset.Of(s.Data).Photos && asked("gradient_correlation", s.Figures) && d.sound("data") {
		d.add(d.place("figures", "data"), "gradient_correlation is for images in the device's memory, and photos are not", "leave the figure out")
	}
}
