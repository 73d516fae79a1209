// Tests of the warning that a net only guesses.

package train

import (
	"fmt"
	"strings"
	"testing"

	"depthlab/harness/model"
)

// The warning that a net only guesses is given once, after an epoch and 200 steps. It is over when
// the net learns.
func TestGuessing(t *testing.T) {
	const large, small = 50000, 512 // images of an epoch
	for _, c := range []struct {
		name   string
		images int
		errors []float64 // of 100 steps each, of 128 images
		want   string
	}{
		{"it learns", large, []float64{80, 60, 50, 40, 30, 20, 10, 5}, ""},
		{"it learns slowly", large, []float64{90, 90, 89, 88, 87, 86, 85, 84}, ""},
		{"less than an epoch", large, []float64{90, 90, 90}, ""},
		{"an epoch of 4 steps is too few", small, []float64{90}, ""},
		{"it never learns", large, []float64{90, 90.1, 89.9, 90, 90, 90, 90, 90}, "warn at 400"},
		{"it never learns a small set", small, []float64{90, 90, 89, 91}, "warn at 200"},
		{"it learns late", large, []float64{90, 90, 90, 90, 89, 85, 80, 70}, "warn at 400, over at 800"},
		{"it forgets", small, []float64{90, 90, 50, 40, 90, 90}, "warn at 200, over at 400, warn at 600"},
	} {
		net := &model.Model{Classes: 10, Images: model.Images{Train: make([]int32, c.images)}}
		net.Run.Batch = 128
		var w watch
		var got []string
		for i, e := range c.errors {
			for _, event := range w.guessing(e, 100, net) {
				got = append(got, fmt.Sprintf("%s at %d", event.Kind, 100*(i+1)))
			}
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}
