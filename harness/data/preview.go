// The preview sets: generated textures on which depth matters within minutes.

package data

import (
	"cmp"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"depthlab/experiments/dataset"
)

// PreviewTask describes a generated data set: textures of ten classes, designed so that
// depth matters within minutes. There are five patterns (stripes that vary horizontally,
// stripes that vary vertically, their product upright, their product on the diagonal,
// rings), each at two spatial frequencies. Phase, colour and frequency vary, so that no
// single pixel tells the class. A left-right flip turns no class into another, so
// flipping is a fair augmentation. Lengths are in pixels, amplitudes and standard
// deviations in grey levels of 0..255.
type PreviewTask struct {
	Seed       uint64
	Size       int        // H and W of an image
	Frequency  [2]float64 // radians per pixel: of classes 0-4 and of classes 5-9
	Jitter     float64    // largest relative deviation of an image's frequency
	Turn       float64    // standard deviation of the pattern's rotation, radians
	Amplitude  float64    // amplitude of the pattern over all three channels: its colour is a vector of this length
	BaseLow    float64    // lower bound of the mean grey level of each channel
	BaseHigh   float64    // upper bound
	Wave       float64    // standard deviation of the amplitude of one random wave in each channel
	WaveLow    float64    // lower bound of that wave's frequency, radians per pixel
	WaveHigh   float64    // upper bound
	Noise      float64    // standard deviation of the noise in each pixel
	RingMargin float64    // minimum distance of the rings' centre from the image's edge
}

// Checksums of the default sets, Preview(0, 0) and Preview64(0, 0), because generating
// these takes a moment.
const (
	PreviewChecksum   = "e50c2e97a332fb89ebb540c928f8597299f6b0971d9a8e329678046efc57c083"
	Preview64Checksum = "51659f06a215f3de0e6a4255eb627bf12addb8b1f6872c04035123af49a134e5"
)

// DefaultPreview is the task of the questions' preview profiles. Changing a number
// changes the data set and its checksum.
var DefaultPreview = PreviewTask{
	Seed: 2015, Size: 16,
	Frequency: [2]float64{0.9, 1.5}, Jitter: 0.07, Turn: 0.06,
	Amplitude: 60, BaseLow: 80, BaseHigh: 176,
	Wave: 25, WaveLow: 0.1, WaveHigh: 0.5,
	Noise: 20, RingMargin: 2,
}

const previewClasses = 10

// LargePreview is the same task with images four times as large, for nets that begin with
// ImageNet's 7x7 convolution and max-pool.
var LargePreview = DefaultPreview.enlarged(4)

func (t PreviewTask) enlarged(k float64) PreviewTask {
	t.Size *= int(k)
	for i := range t.Frequency {
		t.Frequency[i] /= k
	}
	t.WaveLow, t.WaveHigh, t.RingMargin = t.WaveLow/k, t.WaveHigh/k, t.RingMargin*k
	return t
}

// Preview64 generates images of LargePreview, as Preview does for DefaultPreview.
func Preview64(train, test int) *Source { return LargePreview.generate("preview64", train, test) }

// Preview generates the preview set with this many images for training and testing; 0
// means the full number. The bytes are the same on every machine.
func Preview(train, test int) *Source { return DefaultPreview.generate("preview", train, test) }

// generate makes the Source of the data set of this name. Image i depends only on (t,
// split, i), so a smaller set is the beginning of a larger one. Its label is i mod 10.
func (t PreviewTask) generate(name string, train, test int) *Source {
	set := dataset.Of(name)
	s := &Source{
		Name: name, Title: set.Title, Canonical: true,
		Train: t.set(0, cmp.Or(train, set.Train)), Test: t.set(1, cmp.Or(test, set.Test)),
	}
	s.Checksum = checksum(&s.Train, &s.Test)
	return s
}

func (t PreviewTask) set(split uint64, n int) Set {
	s := newSet(n, 3, t.Size, previewClasses)
	const chunk = 64
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for {
				first := int(next.Add(chunk)) - chunk
				if first >= n {
					return
				}
				for i := first; i < min(first+chunk, n); i++ {
					s.Labels[i] = int32(i % previewClasses)
					t.paint(s.Image(i), i%previewClasses, keyed(t.Seed, split, uint64(i)))
				}
			}
		})
	}
	wait.Wait()
	return s
}

// paint writes one image (3, Size, Size) of a class. Values that vary from image to image
// are drawn in float64, with each product rounded separately. All arithmetic for each
// pixel uses integers. Grey levels are in units of 2^-20: the sines of the table have 14
// bits, colours 6.
func (t PreviewTask) paint(dst []uint8, class int, r random) {
	const colourUnit, level = 1 << 6, 20
	frequency := mul(t.Frequency[class/5], r.between(1-t.Jitter, 1+t.Jitter)) / (2 * math.Pi)
	p, q := uint32(r.next()>>32), uint32(r.next()>>32)
	pattern := newPattern(class%5, frequency, mul(t.Turn, r.normal())/(2*math.Pi))
	low, high := t.RingMargin, float64(t.Size-1)-t.RingMargin
	pattern.centreX, pattern.centreY = r.between(low, high), r.between(low, high)

	// A colour of random direction: a normal vector scaled to length 1.
	var colour, base, wave [3]int64
	c0, c1, c2 := r.normal(), r.normal(), r.normal()
	length := math.Sqrt(mul(c0, c0) + mul(c1, c1) + mul(c2, c2))
	if length == 0 {
		c0, length = 1, 1
	}
	for c, v := range []float64{c0, c1, c2} {
		colour[c] = round(mul(mul(t.Amplitude, v/length), colourUnit))
	}
	for c := range base {
		base[c] = round(mul(r.between(t.BaseLow, t.BaseHigh), 1<<level))
		wave[c] = round(mul(mul(t.Wave, r.normal()), colourUnit))
	}
	waveTurn, waveFrequency := r.between(0, 0.5), r.between(t.WaveLow, t.WaveHigh)/(2*math.Pi)
	waveX, waveY := turns(mul(waveFrequency, cosineOf(waveTurn))), turns(mul(waveFrequency, sineOf(waveTurn)))
	waveStart := uint32(r.next() >> 32)
	noise := round(mul(t.Noise/bellSigma, 1<<level))

	area := t.Size * t.Size
	for y := range t.Size {
		for x := range t.Size {
			w := pattern.at(x, y, p, q)
			w2 := sine(waveStart + uint32(x)*waveX + uint32(y)*waveY)
			at := y*t.Size + x
			for c := range 3 {
				v := base[c] + w*colour[c] + w2*wave[c] + r.bell()*noise
				dst[c*area+at] = uint8(min(max((v+1<<(level-1))>>level, 0), 255))
			}
		}
	}
}

func round(x float64) int64 { return int64(math.Floor(x + 0.5)) }

// pattern is one of the five textures. a and b are its two angles; ax, ay, bx and by are
// their increments for each pixel in x and y.
type pattern struct {
	kind             int
	ax, ay, bx, by   uint32
	frequency        float64 // turns per pixel; for rings only
	centreX, centreY float64
}

const (
	across = iota
	down
	upright
	diagonal
	rings
)

// newPattern makes a pattern rotated by turn (in turns), with frequency in turns per
// pixel.
func newPattern(kind int, frequency, turn float64) pattern {
	if kind == diagonal {
		turn -= 0.125
	}
	ux, uy := turns(mul(frequency, cosineOf(turn))), turns(mul(frequency, sineOf(turn)))
	return pattern{kind: kind, ax: ux, ay: uy, bx: -uy, by: ux, frequency: frequency}
}

// at is the pattern's value at a pixel, in units of 1/sineOne. p and q are the phases.
// Products are multiplied by 1.4, so that their mean square is about that of the stripes.
func (w *pattern) at(x, y int, p, q uint32) int64 {
	ux, uy := uint32(x), uint32(y)
	switch w.kind {
	case across:
		return sine(ux*w.ax + uy*w.ay + p)
	case down:
		return sine(ux*w.bx + uy*w.by + p)
	case rings:
		dx, dy := float64(x)-w.centreX, float64(y)-w.centreY
		return sine(turns(mul(w.frequency, math.Sqrt(mul(dx, dx)+mul(dy, dy)))) + p)
	default:
		const raise = 1434 // 1.4 * 2^10
		return sine(ux*w.ax+uy*w.ay+p) * sine(ux*w.bx+uy*w.by+q) * raise >> 24
	}
}
