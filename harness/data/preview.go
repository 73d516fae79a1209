package data

import (
	"cmp"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"depthlab/experiments/dataset"
)

// PreviewTask describes the generated data set: textures of ten classes, made
// so that depth matters within minutes. Five patterns (stripes across, stripes
// down, their product upright, their product on the diagonal, rings) come at
// two spatial frequencies each. Phase, colour and frequency vary, so that no
// pixel tells the class, and a flip left to right turns no class into another,
// so that flipping is a fair augmentation. Lengths are in pixels, amplitudes
// and deviations in grey levels of 0..255.
type PreviewTask struct {
	Seed       uint64
	Size       int        // height and width
	Frequency  [2]float64 // radians per pixel: of classes 0-4, of classes 5-9
	Jitter     float64    // each image's frequency is off by up to this share
	Turn       float64    // standard deviation of the pattern's slant, radians
	Amplitude  float64    // of the pattern, over all three channels: its colour is a vector of this length
	BaseLow    float64    // the mean grey level of each channel lies
	BaseHigh   float64    // between these
	Wave       float64    // deviation of the amplitude, per channel, of one broad random wave
	WaveLow    float64    // whose frequency lies between these,
	WaveHigh   float64    // radians per pixel
	Noise      float64    // deviation of each pixel
	RingMargin float64    // rings have their centre at least this far inside the image
}

// Checksums of the default sets, Preview(0, 0) and Preview64(0, 0), which take a
// moment to make.
const (
	PreviewChecksum   = "e50c2e97a332fb89ebb540c928f8597299f6b0971d9a8e329678046efc57c083"
	Preview64Checksum = "51659f06a215f3de0e6a4255eb627bf12addb8b1f6872c04035123af49a134e5"
)

// DefaultPreview is the task that the questions' preview profiles use. To
// change a number here changes the data set and its checksum.
var DefaultPreview = PreviewTask{
	Seed: 2015, Size: 16,
	Frequency: [2]float64{0.9, 1.5}, Jitter: 0.07, Turn: 0.06,
	Amplitude: 60, BaseLow: 80, BaseHigh: 176,
	Wave: 25, WaveLow: 0.1, WaveHigh: 0.5,
	Noise: 20, RingMargin: 2,
}

const previewClasses = 10

// LargePreview is the same task on images four times as wide, for nets that
// begin with ImageNet's 7x7 convolution and max-pool.
var LargePreview = DefaultPreview.enlarged(4)

func (t PreviewTask) enlarged(k float64) PreviewTask {
	t.Size *= int(k)
	for i := range t.Frequency {
		t.Frequency[i] /= k
	}
	t.WaveLow, t.WaveHigh, t.RingMargin = t.WaveLow/k, t.WaveHigh/k, t.RingMargin*k
	return t
}

// Preview64 generates images of LargePreview, as Preview does of DefaultPreview.
func Preview64(train, test int) *Source { return LargePreview.generate("preview64", train, test) }

// Preview generates the preview set with so many images for training and
// testing; 0 stands for all that there are. The bytes are the same on every
// machine.
func Preview(train, test int) *Source { return DefaultPreview.generate("preview", train, test) }

// generate makes the Source of the data set of a name. Image i is a function of
// (t, split, i) alone, so a smaller set is the front of a larger one; its label is
// i mod 10.
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

// paint writes one image (3, Size, Size) of a class. What varies from image to
// image is drawn in float64, each product rounded by itself; what is computed
// per pixel is integers. Grey levels are in units of 2^-20, since the sines of
// the table have 14 bits and colours are given 6.
func (t PreviewTask) paint(dst []uint8, class int, r random) {
	const colourUnit, level = 1 << 6, 20
	frequency := mul(t.Frequency[class/5], r.between(1-t.Jitter, 1+t.Jitter)) / (2 * math.Pi)
	p, q := uint32(r.next()>>32), uint32(r.next()>>32)
	pattern := newPattern(class%5, frequency, mul(t.Turn, r.normal())/(2*math.Pi))
	low, high := t.RingMargin, float64(t.Size-1)-t.RingMargin
	pattern.centreX, pattern.centreY = r.between(low, high), r.between(low, high)

	// A colour of random direction: a normal vector, scaled to length 1.
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

// pattern is one of the five textures. a and b are what its two angles grow by
// per pixel in x and y.
type pattern struct {
	kind             int
	ax, ay, bx, by   uint32
	frequency        float64 // turns per pixel; rings only
	centreX, centreY float64
}

const (
	across = iota
	down
	upright
	diagonal
	rings
)

// newPattern slants a pattern by turn (in turns); frequency in turns per pixel.
func newPattern(kind int, frequency, turn float64) pattern {
	if kind == diagonal {
		turn -= 0.125
	}
	ux, uy := turns(mul(frequency, cosineOf(turn))), turns(mul(frequency, sineOf(turn)))
	return pattern{kind: kind, ax: ux, ay: uy, bx: -uy, by: ux, frequency: frequency}
}

// at is the pattern's value at a pixel, in units of 1/sineOne; p and q are the
// phases. The products are raised by 1.4 to the stripes' mean square.
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
