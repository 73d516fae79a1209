// Predictions: the scores of each image, for tables by class and for the user's own pictures.

package weights

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"depthlab/harness/data"
	"depthlab/harness/data/photo"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/nets"
)

// Predictions are the scores of each image of a set.
type Predictions struct {
	Classes int
	Scores  []float32 // (N, Classes): softmax, averaged over an image's views
	Labels  []int32   // (N)
	Read    []bool    // (N): false for a photo that could not be read
	Files   []string  // (N), for photos; nil for other sets
}

// Of returns the scores (Classes) of an image.
func (p *Predictions) Of(image int) []float32 { return p.Scores[image*p.Classes:][:p.Classes] }

// Top returns the k classes of an image with the largest scores, in decreasing order; of equal ones
// the lower class first.
func (p *Predictions) Top(image, k int) []int {
	scores := p.Of(image)
	all := make([]int, p.Classes)
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return all[:min(k, len(all))]
}

// Confusion is the confusion matrix: numbers of images by label (row) and predicted class (column).
func (p *Predictions) Confusion() [][]int {
	counts := make([][]int, p.Classes)
	for i := range counts {
		counts[i] = make([]int, p.Classes)
	}
	for i, label := range p.Labels {
		if p.Read[i] {
			counts[label][p.Top(i, 1)[0]]++
		}
	}
	return counts
}

// take sets p from a tally after judge.
func (p *Predictions) take(t *tally, set *data.Set) {
	*p = Predictions{Classes: set.Classes, Scores: t.scores, Labels: set.Labels}
	for _, n := range t.views {
		p.Read = append(p.Read, n > 0)
	}
	if set.Photos != nil {
		p.Files = set.Photos.Names
	}
}

// each evaluates rows batch by batch, and adds the logits of each image. The session holds the
// images.
func (t *tally) each(session device.Session, rows []device.Row, batch, classes int) (sum device.Counts, err error) {
	logits := make([]float32, batch*classes)
	for at := 0; at < len(rows); at += batch {
		these := rows[at:min(at+batch, len(rows))]
		c, err := session.Eval(these)
		if err == nil {
			err = session.Read("logits", logits)
		}
		if err != nil {
			return sum, err
		}
		sum.Images, sum.Wrong, sum.Loss = sum.Images+c.Images, sum.Wrong+c.Wrong, sum.Loss+c.Loss
		for slot, row := range these {
			if row[0] >= 0 {
				t.add(int(row[0]), logits[slot*classes:][:classes])
			}
		}
	}
	return sum, nil
}

// maxPicture is the largest size of a picture's file in bytes.
const maxPicture = 256 << 20

// Pictures returns the predictions for pictures, JPEG or PNG files: for their centre crop, resized as
// in tests. Labels are 0. Weights without a normalisation need o.Mean and o.Std.
func Pictures(o EvalOptions, files []string, lib *photo.Library, dev device.Device) (*Predictions, error) {
	arch, err := nets.ParseArch(o.Net)
	if err != nil {
		return nil, err
	}
	w, err := Read(o.Weights)
	if err != nil {
		return nil, err
	}
	set, side, err := o.pictureSet(w, arch)
	if err != nil {
		return nil, err
	}
	set.N, set.Labels = len(files), make([]int32, len(files))
	if err := cutPictures(&set, files, side, lib); err != nil {
		return nil, err
	}
	session, err := o.open(w, arch, &data.Source{Train: set, Test: set}, &set, set.N, 1, dev)
	if err != nil {
		return nil, err
	}
	to := model.Writer{Session: session}
	to.Write("images", set.Images)
	to.Write("labels", set.Labels)
	t := newTally(&set)
	err = to.Err
	if err == nil {
		_, err = t.each(session, data.EvalRows(data.Indices(set.N), 1, 0), 1, set.Classes)
	}
	if err := errors.Join(err, session.Close()); err != nil {
		return nil, err
	}
	t.judge(new(EvalResult), set.Labels, set.Classes)
	p := new(Predictions)
	p.take(t, &set)
	p.Files = files
	return p, nil
}

// pictureSet returns a set with the size, channels and classes of the weights, and the length to
// which the shorter side is resized.
func (o EvalOptions) pictureSet(w *File, arch nets.Arch) (set data.Set, side int, err error) {
	set = data.Set{Channels: 3, Size: 32}
	if arch.ImageNet() {
		set.Size = 224
	}
	if w.Info != nil {
		set.Size, set.Channels, set.Classes = w.Info.Size, w.Info.Channels, w.Info.Classes
	} else if fc := w.Tensors["fc.bias"]; fc != nil && len(fc.Shape) == 1 {
		set.Classes = fc.Shape[0]
		if pixels := len(w.Input.Mean) / set.Channels; pixels > 0 { // an exported file, with a mean image
			set.Size = int(math.Sqrt(float64(pixels)))
		}
	}
	switch {
	case set.Channels != 3:
		return set, 0, fmt.Errorf("%s: its images have %d channels, expected 3 as pictures have", o.Weights, set.Channels)
	case set.Classes < 1:
		return set, 0, fmt.Errorf("%s: the number of classes is unknown: expected a tensor fc.bias", o.Weights)
	case w.Input.Mean == nil && o.Mean == nil:
		return set, 0, fmt.Errorf("%s has no normalisation: give --mean and --std; for torchvision's nets --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225", o.Weights)
	}
	side = set.Size
	if w.Info != nil && w.Info.Side > 0 || arch.ImageNet() && set.Size >= 64 {
		side = o.side(w, set.Size)
	}
	return set, side, nil
}

// cutPictures fills the images of a set with crops of the files.
func cutPictures(set *data.Set, files []string, side int, lib *photo.Library) error {
	c, err := photo.NewCutter(lib)
	if err != nil {
		return err
	}
	defer c.Close()
	n := set.Channels * set.Area()
	set.Images = make([]uint8, len(files)*n)
	view := data.Centre(set.Size, side).View
	for i, path := range files {
		raw, err := readPicture(path)
		if err == nil {
			err = c.Cut(set.Images[i*n:][:n], raw, view)
		}
		if err != nil {
			return fmt.Errorf("--images %s: %w; expected a JPEG or PNG file", path, err)
		}
	}
	return nil
}

func readPicture(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, errors.Unwrap(err) // without the path
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxPicture+1))
	if err == nil && len(raw) > maxPicture {
		err = fmt.Errorf("larger than %d MiB", maxPicture>>20)
	}
	return raw, err
}
