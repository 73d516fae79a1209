// Tests of the loader, of views of photos, and of their statistics.

package data

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"
)

var testLook = Look{Size: 32, Scale: [2]int{36, 60}, Shift: [3]float64{4, 2, 1}, Axes: [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}

// A slot is a function of (seed, step, slot).
func TestShotsOfPlan(t *testing.T) {
	fresh := func() *Sampler { return &Sampler{Seed: 3, N: 50, Batch: 8, Flip: true} }
	p := fresh()
	var flips, low, high int
	for step := range 200 {
		got := p.Shots(step, testLook, nil)
		if want := fresh().Shots(step, testLook, nil); step%20 == 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d: %v from one sampler, %v from another", step, got, want)
		}
		rows := p.Rows(step, nil)
		if len(got) != len(rows) {
			t.Fatalf("step %d: %d shots of %d images", step, len(got), len(rows))
		}
		for i, s := range got {
			if s.Image != rows[i][0] || s.Flip != (rows[i][3]&1 != 0) || s.Noise != rows[i][3]&^1 {
				t.Fatalf("step %d, slot %d: %v for %v", step, i, s, rows[i])
			}
			v := s.View
			if v.Side < 36 || v.Side > 60 || v.X < 0 || v.X >= 1 || v.Y < 0 || v.Y >= 1 || v.W != 32 || v.H != 32 || v.Exact {
				t.Fatalf("view %+v", v)
			}
			if s.Flip {
				flips++
			}
			if v.Side == 36 {
				low++
			}
			if v.Side == 60 {
				high++
			}
		}
	}
	if flips < 700 || flips > 900 || low < 30 || high < 30 { // of 1600; 64 are expected at each end
		t.Errorf("%d flips, %d of the least side, %d of the most", flips, low, high)
	}
	if reflect.DeepEqual(p.Shots(0, testLook, nil), (&Sampler{Seed: 4, N: 50, Batch: 8, Flip: true}).Shots(0, testLook, nil)) {
		t.Error("two seeds, the same batch")
	}
}

func photos(t *testing.T, n int) *Source {
	t.Helper()
	s, err := ImageFolder(context.Background(), folder(t, n), options(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// load takes batches of a sampler.
func load(t *testing.T, s *Set, batches int) (all []*Batch) {
	t.Helper()
	p := &Sampler{Seed: 1, N: s.N, Batch: 8, Flip: true}
	l, err := NewLoader(s, Planar, 8, 3, func(k int, dst []Shot) []Shot {
		if k == batches {
			return dst
		}
		return p.Shots(k, testLook, dst)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for {
		b, err := l.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &Batch{Images: bytes.Clone(b.Images), Labels: append([]int32{}, b.Labels...), Rows: append([]Row{}, b.Rows...), Failed: b.Failed})
	}
}

// The pixels do not depend on the number of threads.
func TestThreads(t *testing.T) {
	s := photos(t, 5)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := load(t, &s.Train, 6)
	runtime.GOMAXPROCS(5)
	five := load(t, &s.Train, 6)
	if len(one) != 6 || !reflect.DeepEqual(one, five) {
		t.Errorf("%d and %d batches differ", len(one), len(five))
	}
	if bytes.Equal(one[0].Images, one[1].Images) {
		t.Error("all batches are the same")
	}
	p := &Sampler{Seed: 1, N: s.Train.N, Batch: 8, Flip: true}
	for k, b := range one {
		for slot, r := range p.Rows(k, nil) {
			if b.Rows[slot] != (Row{int32(slot), 0, 0, r[3]}) {
				t.Errorf("batch %d, slot %d: row %v of a sample with the bits %#x", k, slot, b.Rows[slot], r[3])
			}
		}
	}
}

// A file that becomes unreadable after the index was built gives an empty slot, and is
// named.
func TestFileBreaks(t *testing.T) {
	s := photos(t, 4)
	name := s.Train.Photos.Names[5]
	if err := os.Truncate(filepath.Join(s.Train.Photos.Dir, name), 250); err != nil {
		t.Fatal(err)
	}
	s.Train.Photos.Broken[7] = "known before"
	failed, empty := 0, 0
	for _, b := range load(t, &s.Train, 3) { // two epochs
		for _, e := range b.Failed {
			failed++
			if e.Name != name {
				t.Errorf("failed: %v", e)
			}
		}
		for _, r := range b.Rows {
			if r[0] < 0 {
				empty++
			}
		}
	}
	if failed != 2 || empty != 4 {
		t.Errorf("%d failed, %d slots empty", failed, empty)
	}
}

func TestCloseEarly(t *testing.T) {
	s := photos(t, 3)
	before := runtime.NumGoroutine()
	for range 5 {
		l, err := NewLoader(&s.Train, Planar, 4, 2, func(k int, dst []Shot) []Shot {
			return append(dst, Shots([]int32{0, 1, 2, 3}, []Shot{Centre(32, 36)})...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		runtime.GC()
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestPhotoStatistics(t *testing.T) {
	s := photos(t, 6)
	stats, err := s.Train.PhotoStatistics(Indices(s.Train.N), 36)
	if err != nil {
		t.Fatal(err)
	}
	// Greys of 60 to 210, and a bright corner.
	for c := range 3 {
		if stats.Mean[c] < 100 || stats.Mean[c] > 160 || stats.Mean[c] != stats.Mean[0] || stats.Std[c] < 30 {
			t.Errorf("mean %v, deviation %v", stats.Mean, stats.Std)
		}
	}
	// Grey photos have only one axis of colours.
	grey := 0
	for i, v := range stats.Spread {
		if v > 1 {
			grey++
			for c := range 3 {
				if math.Abs(math.Abs(stats.Axes[i][c])-1/math.Sqrt(3)) > 1e-9 {
					t.Errorf("axis %v", stats.Axes[i])
				}
			}
			if sd := float64(stats.Std[0]); math.Abs(v-3*sd*sd) > 1e-3*v {
				t.Errorf("variance %v, of a channel %v", v, sd*sd)
			}
		}
	}
	if grey != 1 {
		t.Errorf("variances %v", stats.Spread)
	}
	// The result is cached: no photo is read again.
	if err := os.RemoveAll(s.Train.Photos.Dir); err != nil {
		t.Fatal(err)
	}
	again, err := s.Train.PhotoStatistics(Indices(s.Train.N), 36)
	if err != nil || !reflect.DeepEqual(again, stats) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := s.Train.PhotoStatistics(Indices(s.Train.N), 37); err == nil {
		t.Error("statistics of no photo")
	}
}

// Axes and variances give the matrix again. Their order and signs are fixed.
func TestPrincipal(t *testing.T) {
	for _, a := range [][3][3]float64{
		{{4, 1, -2}, {1, 3, 0.5}, {-2, 0.5, 5}},
		{{5, 4, 4}, {4, 5, 4}, {4, 4, 5}},   // nearly the covariance of grey photos
		{{2, -1, 0}, {-1, 2, 0}, {0, 0, 9}}, // axes (0, 0, 1) and (1, -1, 0)
	} {
		var flat []float64
		for _, row := range a {
			flat = append(flat, row[:]...)
		}
		values, axes := principal(mat.NewSymDense(3, flat))
		if values[0] < values[1] || values[1] < values[2] {
			t.Errorf("values %v", values)
		}
		for i := range 3 {
			for j := range 3 {
				sum, dot := 0.0, 0.0
				for k := range 3 {
					sum += values[k] * axes[k][i] * axes[k][j]
					dot += axes[i][k] * axes[j][k]
				}
				if math.Abs(sum-a[i][j]) > 1e-12 || math.Abs(dot-map[bool]float64{true: 1}[i == j]) > 1e-12 {
					t.Fatalf("values %v, axes %v", values, axes)
				}
			}
			if v := axes[i]; v[0] < -1e-6 || math.Abs(v[0]) <= 1e-6 && v[1] < -1e-6 || math.Abs(v[0])+math.Abs(v[1]) <= 1e-6 && v[2] < 0 {
				t.Errorf("axis %v: the other sign was expected", v)
			}
		}
	}
}

func TestTenCrops(t *testing.T) {
	seen := map[Shot]bool{}
	for _, s := range TenCrops(224, 256) {
		seen[s] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different crops", len(seen))
	}
}
