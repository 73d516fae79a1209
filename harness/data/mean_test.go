// Tests of mean image and channel statistics.

package data

import (
	"math"
	"slices"
	"testing"
)

func TestStatistics(t *testing.T) {
	// Four images of two channels, 1x1.
	s := Set{Images: []uint8{0, 10, 255, 10, 3, 10, 100, 10}, Labels: make([]int32, 4), N: 4, Channels: 2, Size: 1, Classes: 1}
	for _, test := range []struct {
		images    []int32
		mean, std float64
	}{
		{nil, 89.5, math.Sqrt((89.5*89.5 + 165.5*165.5 + 86.5*86.5 + 10.5*10.5) / 4)},
		{[]int32{1, 2}, 129, 126},
		{[]int32{0}, 0, 0},
		{[]int32{}, 0, 0},
	} {
		got := s.Statistics(test.images)
		if d := float64(got.Mean[0]) - test.mean; math.Abs(d) > 1e-5 {
			t.Errorf("images %v: mean %v, want %v", test.images, got.Mean[0], test.mean)
		}
		if d := float64(got.Std[0]) - test.std; math.Abs(d) > 1e-5 {
			t.Errorf("images %v: deviation %v, want %v", test.images, got.Std[0], test.std)
		}
		if got.Pixel[0] != got.Mean[0] {
			t.Errorf("images %v: pixel mean %v, channel mean %v", test.images, got.Pixel[0], got.Mean[0])
		}
		if len(test.images) > 0 && (got.Pixel[1] != 10 || got.Std[1] != 0) {
			t.Errorf("images %v: constant channel has mean %v, deviation %v", test.images, got.Pixel[1], got.Std[1])
		}
	}
}

func TestPixelMean(t *testing.T) {
	s := Preview(50, 1).Train
	got := s.Statistics([]int32{1, 4, 9})
	if len(got.Pixel) != len(s.Image(0)) {
		t.Fatalf("%d means of %d pixels", len(got.Pixel), len(s.Image(0)))
	}
	for i := range got.Pixel {
		want := float32((float64(s.Image(1)[i]) + float64(s.Image(4)[i]) + float64(s.Image(9)[i])) / 3)
		if got.Pixel[i] != want {
			t.Fatalf("pixel %d: %v, want %v", i, got.Pixel[i], want)
		}
	}
	if all := s.Statistics(nil); !slices.Equal(all.Pixel, s.Statistics(Indices(50)).Pixel) {
		t.Error("nil is not all images")
	}
}
