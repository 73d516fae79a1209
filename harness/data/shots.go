// Views of photos in training and tests.

package data

import (
	"math"

	"depthlab/harness/data/photo"
)

// Shot is one slot of a batch of photos.
type Shot struct {
	Image int32 // -1 marks an empty slot
	Flip  bool
	Noise int32 // random bits of dropout; the lowest is not used
	View  photo.View
}

// Look describes the augmentation of photos in training (paper section 3.4).
type Look struct {
	Size  int        // side of the crop
	Scale [2]int     // the shorter side is resized to a uniform number from Scale[0] to Scale[1]
	Shift [3]float64 // standard deviation of the colour shift along each of Axes, in grey levels; zeros for no shift
	Axes  [3][3]float64
}

// Shots appends to dst the slots of a training step on photos. Images and flips are those
// of Rows; the rest is drawn from (Seed, step, slot), too.
func (p *Sampler) Shots(step int, look Look, dst []Shot) []Shot {
	for slot, row := range p.Rows(step, nil) {
		r := keyed(p.Seed, forView, uint64(step)*uint64(p.Batch)+uint64(slot))
		v := photo.View{W: look.Size, H: look.Size}
		v.Side = look.Scale[0] + int(r.below(uint64(look.Scale[1]-look.Scale[0]+1)))
		v.X, v.Y = r.unit(), r.unit()
		var shift [3]float64
		for axis, deviation := range look.Shift {
			a := mul(r.normal(), deviation)
			for c := range shift {
				shift[c] += mul(a, look.Axes[axis][c])
			}
		}
		for c := range shift {
			v.Shift[c] = int(math.Round(shift[c]))
		}
		dst = append(dst, Shot{row[0], row[3]&1 != 0, row[3] &^ 1, v})
	}
	return dst
}

// Shots lists every image in every one of the views.
func Shots(images []int32, views []Shot) []Shot {
	all := make([]Shot, 0, len(images)*len(views))
	for _, i := range images {
		for _, v := range views {
			v.Image = i
			all = append(all, v)
		}
	}
	return all
}

// Centre is the view of a photo in tests: the shorter side is resized to side, then the
// central square of size x size is cut out.
func Centre(size, side int) Shot { return view(0.5, 0.5, size, side) }

// Whole is the view of a photo of w x h pixels whose shorter side is resized to side: the
// whole photo. Only the longer side is cut, equally at both ends, to a multiple of step
// and to at most twice the shorter side.
func Whole(w, h, side, step int) Shot {
	w, h = photo.Resized(w, h, side)
	fit := func(n int) int { return max(side, min(n, 2*side)/step*step) }
	return Shot{View: photo.View{Side: side, W: fit(w), H: fit(h), X: 0.5, Y: 0.5, Exact: true}}
}

// TenCrops are the centre and the four corners, each of them also mirrored (Krizhevsky et
// al. 2012).
func TenCrops(size, side int) []Shot {
	var all []Shot
	for _, at := range [][2]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0.5, 0.5}} {
		v := view(at[0], at[1], size, side)
		mirrored := v
		mirrored.Flip = true
		all = append(all, v, mirrored)
	}
	return all
}

func view(x, y float64, size, side int) Shot {
	return Shot{View: photo.View{Side: side, W: size, H: size, X: x, Y: y, Exact: true}}
}
