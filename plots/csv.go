// Tables for programs: errors at the end, and every point of every curve.

package plots

import (
	"bytes"
	"encoding/csv"
	"io"
	"math"
	"slices"
	"strconv"

	"depthlab/harness/record"
)

// commaSeparated is a line for each net: all numbers, empty where unknown.
func commaSeparated(_ Question, nets []*net) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"net", "seeds", "steps", "train_error", "train_error_std", "full_train_error", "test_error", "test_error_std", "best_test_error", "paper_train_error", "paper_test_error"})
	for _, r := range rows(nets) {
		fields := []string{r.Label(), strconv.Itoa(len(r.done)), strconv.Itoa(r.Steps)}
		for _, x := range []float64{r.train, r.trainStd, r.full, r.test, r.testStd, r.best, r.paperTrain, r.paperTest} {
			if x == failed {
				x = math.NaN() // no number
			}
			fields = append(fields, percent(x, ""))
		}
		w.Write(fields)
	}
	w.Flush() // a Buffer never fails
	return b.Bytes()
}

// writeCurves writes curves.csv, a line for each net, seed and step at which something
// was measured. Nothing is rounded; what was not measured at a step is empty. Errors are
// percent: train_error is the running error of the mini-batches since the line before
// that has one, test_error that of the test set, or of the validation set where the run
// was tested on that. seconds are of training.
func writeCurves(to io.Writer, nets []*net) error {
	w := csv.NewWriter(to)
	w.Write([]string{"net", "seed", "step", "finished", "train_error", "train_loss", "test_error", "test_loss", "rate", "seconds"})
	for _, n := range nets {
		for _, r := range slices.Concat(n.done, n.open) {
			for _, l := range curveLines(r) {
				w.Write(append([]string{n.Label(), strconv.FormatUint(r.Start.Seed, 10), strconv.Itoa(l.step), strconv.FormatBool(r.Finished())}, l.cells[:]...))
			}
		}
	}
	w.Flush()
	return w.Error()
}

// curveLine is what was measured at a step, as the cells behind "finished".
type curveLine struct {
	step  int
	cells [6]string
}

func curveLines(r *record.RunRecord) (all []curveLine) {
	at := map[int]int{}
	set := r.TestSet()
	for _, e := range r.Events {
		test := e.Kind == "eval" && e.Set == set
		if !test && e.Kind != "train" {
			continue
		}
		i, known := at[e.Step]
		if !known {
			i = len(all)
			at[e.Step], all = i, append(all, curveLine{step: e.Step})
		}
		cells := &all[i].cells
		first := 0
		if test {
			first = 2 // of two tests after a step the later counts
		}
		cells[first], cells[first+1] = exact(e.Error), exact(e.Loss)
		if e.Kind == "train" && e.Rate > 0 {
			cells[4] = exact(&e.Rate)
		}
		if e.Seconds > 0 {
			cells[5] = exact(&e.Seconds)
		}
	}
	slices.SortStableFunc(all, func(a, b curveLine) int { return a.step - b.step })
	return all
}

// exact is a number with all its digits, "" for none.
func exact(x *float64) string {
	if x == nil {
		return ""
	}
	return strconv.FormatFloat(*x, 'g', -1, 64)
}
