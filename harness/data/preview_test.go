// Tests of the preview sets: bits, statistics, independence of the number of processors.

package data

import (
	"bytes"
	"math"
	"runtime"
	"testing"
)

// Checksums of small sets. They change only if the task is meant to change.
const (
	previewSmall   = "13fcb3e0f94794a8dd418726df8297d531af882b0afbb721e6e198cda8448c7f"
	preview64Small = "b71139f6aa94e935d727b3bf982b5cb052ce62059ffaf948e43b3cb7daa0eaaa"
)

func TestPreviewBits(t *testing.T) {
	s := Preview(200, 100)
	if s.Checksum != previewSmall {
		t.Errorf("Preview(200, 100) has SHA-256 %s, want %s", s.Checksum, previewSmall)
	}
	if s := Preview(0, 0); s.Checksum != PreviewChecksum {
		t.Errorf("Preview(0, 0) has SHA-256 %s, want %s", s.Checksum, PreviewChecksum)
	}
	if s := Preview64(0, 0); s.Checksum != Preview64Checksum {
		t.Errorf("Preview64(0, 0) has SHA-256 %s, want %s", s.Checksum, Preview64Checksum)
	}
}

// The large preview set is the same task, with images four times as large.
func TestPreview64(t *testing.T) {
	s := Preview64(40, 20)
	if s.Checksum != preview64Small {
		t.Errorf("Preview64(40, 20) has SHA-256 %s, want %s", s.Checksum, preview64Small)
	}
	if s.Train.Size != 64 || s.Name != "preview64" || s.Train.N != 40 || s.Test.N != 20 {
		t.Errorf("%s: %d and %d images of %d", s.Name, s.Train.N, s.Test.N, s.Train.Size)
	}
	// A pixel of the small image is near the mean of the sixteen pixels in its place: the
	// pattern is the same, the noise is not.
	small, large := Preview(40, 20).Train, s.Train
	var sum float64
	for i := range small.N {
		a, b := small.Image(i), large.Image(i)
		for y := range 16 {
			for x := range 16 {
				mean := 0.0
				for dy := range 4 {
					for dx := range 4 {
						mean += float64(b[(4*y+dy)*64+4*x+dx]) / 16
					}
				}
				d := float64(a[y*16+x]) - mean
				sum += d * d / float64(small.N*256)
			}
		}
	}
	if rms := math.Sqrt(sum); rms > 30 {
		t.Errorf("the images differ by %.0f grey levels", rms)
	} else {
		t.Logf("the images differ by %.0f grey levels", rms)
	}
}

// The number of processors and the size of the set do not change an image.
func TestPreviewImageIsFunctionOfIndex(t *testing.T) {
	large := Preview(700, 70)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	small := Preview(300, 30)
	if !bytes.Equal(large.Train.Images[:len(small.Train.Images)], small.Train.Images) {
		t.Error("training images depend on how many there are")
	}
	if !bytes.Equal(large.Test.Images[:len(small.Test.Images)], small.Test.Images) {
		t.Error("test images depend on how many there are")
	}
	if bytes.Equal(small.Train.Image(0), small.Test.Image(0)) {
		t.Error("training and test sets hold the same image")
	}
}

func TestPreviewShape(t *testing.T) {
	s := Preview(1000, 500)
	for _, set := range []Set{s.Train, s.Test} {
		if set.Channels != 3 || set.Size != 16 || set.Classes != 10 || len(set.Labels) != set.N || len(set.Images) != set.N*3*16*16 {
			t.Fatalf("set is %d images of %dx%dx%d, %d classes, %d labels, %d bytes", set.N, set.Channels, set.Size, set.Size, set.Classes, len(set.Labels), len(set.Images))
		}
		var count [10]int
		for _, l := range set.Labels {
			count[l]++
		}
		for class, n := range count {
			if n != set.N/10 {
				t.Errorf("class %d has %d of %d images", class, n, set.N)
			}
		}
	}
	if s.Name != "preview" || !s.Canonical || s.Warning != "" {
		t.Errorf("source is %q, canonical %v, warning %q", s.Name, s.Canonical, s.Warning)
	}
}

// Mean and standard deviation of the grey levels are the same in all classes: neither
// brightness nor contrast tells the class.
func TestPreviewStatistics(t *testing.T) {
	s := Preview(4000, 10)
	for class := range 10 {
		var n, sum, squares float64
		for i := class; i < s.Train.N; i += 10 {
			for _, v := range s.Train.Image(i) {
				n, sum, squares = n+1, sum+float64(v), squares+float64(v)*float64(v)
			}
		}
		mean := sum / n
		deviation := math.Sqrt(squares/n - mean*mean)
		if mean < 123 || mean > 133 || deviation < 43 || deviation > 49 {
			t.Errorf("class %d: mean %.1f, deviation %.1f", class, mean, deviation)
		}
	}
}

// bell uses all eight bytes of a draw and has the stated standard deviation.
func TestBell(t *testing.T) {
	r := keyed(1)
	var sum, squares, fourth float64
	const n = 200000
	for range n {
		v := r.normal()
		sum, squares, fourth = sum+v, squares+v*v, fourth+v*v*v*v
	}
	if mean, variance, kurtosis := sum/n, squares/n, fourth/n; math.Abs(mean) > 0.01 || math.Abs(variance-1) > 0.015 || math.Abs(kurtosis-2.85) > 0.1 {
		t.Errorf("mean %.4f, variance %.4f, fourth moment %.3f; want 0, 1, 2.85", mean, variance, kurtosis)
	}
}

func TestSine(t *testing.T) {
	for i := range 5000 {
		angle := float64(i)/1000 - 2.5
		if got, want := sineOf(angle), math.Sin(2*math.Pi*angle); math.Abs(got-want) > 1e-12 {
			t.Fatalf("sineOf(%g) = %.15f, want %.15f", angle, got, want)
		}
		if got, want := float64(sine(turns(angle)))/sineOne, math.Sin(2*math.Pi*angle); math.Abs(got-want) > 1.0/650 {
			t.Fatalf("sine(%g turns) = %.5f, want %.5f", angle, got, want)
		}
	}
}

func BenchmarkPreview(b *testing.B) {
	for b.Loop() {
		Preview(0, 0)
	}
}
