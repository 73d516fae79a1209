// Unexported functions for tests of package measure_test.

package measure

import (
	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/model"
)

// Logits returns the logits of images on a line whose direction is the same for every pixel: every
// pixel is larger by t.
func Logits(m *model.Model, src *data.Source, images int, t float64) ([]float64, error) {
	l := newLine(m, src, experiments.Correlation{Points: 5, Span: 1, Images: images})
	for i := range l.u {
		l.u[i] = 1
	}
	return l.logits(t)
}
