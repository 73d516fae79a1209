// Package plots draws the figures and writes the tables of a question. It needs only the
// records of the question's runs.
package plots

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"depthlab/harness/disk"
	"depthlab/harness/record"
)

// Question is what figures and tables need to know about the question.
type Question struct {
	Name    string                           // of its YAML file
	Title   string                           // the question itself
	Figures []string                         // names of the figures to draw, as in Names
	Origin  []byte                           // JSON that describes what the figures are made from; nil for none
	Made    []string                         // sentences for the tables on the versions and devices that made the runs
	Say     func(format string, args ...any) // reports one line to the user; may be nil

	// Options of the measurements that the figures draw, as experiments.Measurements has
	// them. Measurements with other options are ignored; nil draws the latest of each.
	Options map[string]map[string]float64
}

// figures is the table of all kinds of figures. Enter a new kind here.
var figures = map[string]func(title string, nets []*net) (*figure, error){
	"training_curves":    trainingCurves,
	"error_by_depth":     errorByDepth,
	"generalisation_gap": generalisationGap,
	"layer_responses":    layerResponses,
	"gradient_norms":     gradientNorms,

	"final_error_vs_value": finalErrorVsValue,

	"lesion":               lesions,
	"gradient_correlation": gradientCorrelation,
	"landscape_1d":         lossAlongDirections,
	"landscape_2d":         lossSurface,
}

// Names lists the names of all figures.
func Names() []string {
	var names []string
	for n := range figures {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// errNothing is what a figure returns while the records have no data for it.
var errNothing = errors.New("nothing to draw yet")

// dpi is the resolution of the PNG: 1,800 pixels for 9 inches, which is two for each of
// the 900 pixels that a README shows.
const dpi = 200

// Draw writes the question's figures, as NAME.png and NAME.svg, and table.md, table.csv,
// table.tex and curves.csv into dir. The origin is stored in the figures and in provenance.json.
// Equal records and an equal origin give equal bytes. Each file is replaced atomically. A
// figure that has no data yet is skipped, if another one can be drawn.
func Draw(dir string, q Question, records []*record.RunRecord) error {
	for _, name := range q.Figures {
		if figures[name] == nil {
			return fmt.Errorf("%s: there is no figure %q; there are %s", q.Name, name, strings.Join(Names(), ", "))
		}
	}
	if len(records) == 0 {
		return fmt.Errorf("%s: %w: no run has been recorded", q.Name, errNothing)
	}
	if q.Title == "" {
		q.Title = q.Name
	}
	nets, err := asked(q, records)
	if err != nil {
		return err
	}
	for name, text := range measuredFiles(q, nets) {
		if err := disk.Write(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	for name, write := range tables {
		if err := disk.Write(filepath.Join(dir, name), write(q, nets)); err != nil {
			return err
		}
	}
	if err := disk.WriteFunc(filepath.Join(dir, "curves.csv"), func(w io.Writer) error { return writeCurves(w, nets) }); err != nil {
		return err
	}
	if len(q.Origin) > 0 {
		if err := disk.Write(filepath.Join(dir, "provenance.json"), q.Origin); err != nil {
			return err
		}
	}
	drawn := 0
	var waiting []error
	lost := map[rune]bool{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(q.Figures))) {
		fig, err := figures[name](q.Title, nets)
		if errors.Is(err, errNothing) {
			waiting = append(waiting, fmt.Errorf("%s: %w", q.Name, err))
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", q.Name, name, err)
		}
		if err := fig.write(filepath.Join(dir, name), q.Origin); err != nil {
			return err
		}
		maps.Copy(lost, fig.lost)
		drawn++
	}
	if len(lost) > 0 && q.Say != nil {
		q.Say("The font of the PNG figures has no %s: a box stands for each. The SVG figures and the tables have them.", listed(lost))
	}
	if drawn == 0 {
		return errors.Join(waiting...)
	}
	return nil
}

// asked groups records into nets, as the question sees them.
func asked(q Question, records []*record.RunRecord) ([]*net, error) {
	nets, err := group(records)
	for _, n := range nets {
		n.options = q.Options
	}
	return nets, err
}

// listed joins the first few characters of a set, in their order.
func listed(set map[rune]bool) string {
	const most = 10
	runes := slices.Sorted(maps.Keys(set))
	if more := len(runes) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", string(runes[:most]), more)
	}
	return string(runes)
}

// write writes path.png and path.svg. Both stay as they are if the SVG on disk is the one
// to write, because drawing a PNG takes a hundred times as long as drawing an SVG. The SVG
// is written last, so a PNG with the same origin beside it shows the same drawing.
func (fig *figure) write(path string, origin []byte) error {
	text, err := fig.svg()
	if err != nil {
		return err
	}
	text = svgWith(text, origin)
	if old, err := os.ReadFile(path + ".svg"); err == nil && bytes.Equal(old, text) && pngIs(path+".png", origin) {
		return nil
	}
	png, err := fig.png(dpi)
	if err != nil {
		return err
	}
	if err := disk.Write(path+".png", pngWith(png, origin)); err != nil {
		return err
	}
	return disk.Write(path+".svg", text)
}
