// Evaluates weights on photos: crops, and scores averaged over them.

package weights

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/nets"
)

// Crops are the ways to evaluate photos (paper section 3.4). "1": the centre. "10": the centre and
// the corners, each also flipped. "multi": the whole photo at five scales of its shorter side,
// which is possible because the nets are fully convolutional up to global pooling. A program is
// compiled for one size, so in "multi" the longer side is cropped to a multiple of 32 pixels, and
// to at most twice the shorter one, which limits the memory. The paper does not say how it did
// this.
var Crops = []string{"1", "10", "multi"}

// shorterSides are the scales of "multi" for nets of 224 pixels; other sizes are in proportion.
var shorterSides = []int{224, 256, 384, 480, 640}

// longerUnit is the unit of the longer side in "multi" for nets of 224 pixels.
const longerUnit = 32

// pass is some images with views of one size.
type pass struct {
	images []int32
	views  []data.Shot
}

// passes returns the passes over a set, for nets of crops of set.Size. Tests resize the shorter
// side to side.
func passes(crops string, set *data.Set, side int) []pass {
	switch crops {
	case "10":
		return []pass{{data.Indices(set.N), data.TenCrops(set.Size, side)}}
	case "multi":
		return wholePhotos(set.Photos.Extents(), set.Size)
	}
	return []pass{{data.Indices(set.N), []data.Shot{data.Centre(set.Size, side)}}}
}

// wholePhotos returns the passes of "multi", scale by scale, over photos of these widths and
// heights, for nets of size pixels.
func wholePhotos(photos [][2]int, size int) []pass {
	scaled := func(pixels int) int { return max(8, (pixels*size/224+4)/8*8) }
	var all []pass
	for _, s := range shorterSides {
		byView := map[data.Shot][]int32{}
		for i, p := range photos {
			v := data.Whole(p[0], p[1], scaled(s), scaled(longerUnit))
			byView[v] = append(byView[v], int32(i))
		}
		views := slices.SortedFunc(maps.Keys(byView), func(a, b data.Shot) int {
			return cmp.Or(a.View.H-b.View.H, a.View.W-b.View.W)
		})
		for _, v := range views {
			all = append(all, pass{byView[v], []data.Shot{v}})
		}
	}
	return all
}

// tally sums the softmax scores of each image over its views.
type tally struct {
	scores []float32 // (N, Classes)
	views  []int     // (N) number of views that could be read
	failed *model.Failures
}

func newTally(set *data.Set) *tally {
	return &tally{scores: make([]float32, set.N*set.Classes), views: make([]int, set.N), failed: new(model.Failures)}
}

// photos evaluates weights on photos, by the mean scores of their views.
func (o EvalOptions) photos(w *File, arch nets.Arch, src *data.Source, dev device.Device) (r EvalResult, err error) {
	set := o.images(src)
	t := newTally(set)
	for _, p := range passes(o.Crops, set, o.side(w, set.Size)) {
		info, err := o.pass(w, arch, src, dev, p, t)
		if err != nil {
			return r, err
		}
		r.Device, r.Precision = info.Name, info.Precision
	}
	r.Net, r.Set, r.Data, r.Crops = arch.String(), o.Set, src.Title, o.Crops
	t.judge(&r, set.Labels, set.Classes)
	if r.Images == 0 {
		return r, fmt.Errorf("%s: no photo of the %s set can be read", set.Photos.Dir, o.Set)
	}
	if o.Predictions != nil {
		o.Predictions.take(t, set)
	}
	if o.Scores != "" {
		err = state.WriteFile(o.Scores, map[string]string{"net": r.Net, "data": r.Data, "crops": r.Crops},
			[]state.Tensor{state.Float32("scores", []int{set.N, set.Classes}, t.scores), state.Int32("labels", []int{set.N}, set.Labels)})
	}
	return r, err
}

// side is the length to which tests resize the shorter side: that of the weights' file, else 256
// for crops of 224.
func (o EvalOptions) side(w *File, size int) int {
	if w.Info != nil && w.Info.Side > 0 {
		return w.Info.Side
	}
	return size * 256 / 224
}

// pass evaluates one pass, and adds its scores to t.
func (o EvalOptions) pass(w *File, arch nets.Arch, src *data.Source, dev device.Device, p pass, t *tally) (info device.Info, err error) {
	set := *o.images(src)
	set.Size, set.Width = p.views[0].View.H, p.views[0].View.W
	shots := data.Shots(p.images, p.views)
	batch := max(1, min(o.Batch, len(shots), o.Batch*224*224/set.Area())) // the same memory as with 224 pixels
	session, err := o.open(w, arch, src, &set, batch, batch, dev)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	f := model.NewFeed(session, &set, batch)
	f.Failures = t.failed // count those of earlier passes, too
	logits := make([]float32, batch*set.Classes)
	at := 0 // shot of the next row
	err = f.Each(context.Background(), shots, func(rows []device.Row) error {
		if _, err := session.Eval(rows); err != nil {
			return err
		}
		if err := session.Read("logits", logits); err != nil {
			return err
		}
		for slot, row := range rows {
			if row[0] >= 0 {
				t.add(int(shots[at].Image), logits[slot*set.Classes:][:set.Classes])
			}
			at++
		}
		return nil
	})
	return session.Info(), err
}

// add adds the softmax of the logits of one view of an image.
func (t *tally) add(image int, logits []float32) {
	scores := t.scores[image*len(logits):][:len(logits)]
	largest := float64(slices.Max(logits))
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - largest)
	}
	for i, v := range logits {
		scores[i] += float32(math.Exp(float64(v)-largest) / sum)
	}
	t.views[image]++
}

// judge divides the sums by the number of views, and sets errors and loss of r.
func (t *tally) judge(r *EvalResult, labels []int32, classes int) {
	wrong, beyond := 0, 0
	for i, n := range t.views {
		if n == 0 {
			continue
		}
		scores := t.scores[i*classes:][:classes]
		above := 0 // number of classes that rank before the label
		label := labels[i]
		for c := range scores {
			scores[c] /= float32(n)
		}
		for c, s := range scores {
			if s > scores[label] || s == scores[label] && c < int(label) {
				above++
			}
		}
		if above > 0 {
			wrong++
		}
		if above > 4 {
			beyond++
		}
		r.Images++
		r.Loss -= math.Log(max(float64(scores[label]), math.SmallestNonzeroFloat32))
	}
	if r.Images > 0 {
		n := float64(r.Images)
		r.Top1Error, r.Loss = 100*float64(wrong)/n, r.Loss/n
		if classes > 5 {
			top5 := 100 * float64(beyond) / n
			r.Top5Error = &top5
		}
	}
}
