// Mean image and channel statistics of a data set.

package data

import (
	"math"
	"runtime"
	"sync"
)

// Statistics are the statistics of a training set, in grey levels of 0..255. They are
// computed from integer sums, so that they do not depend on the number of processors.
// Without images all are zero.
type Statistics struct {
	Pixel []float32 // (Channels, H, W): the mean image
	Mean  []float32 // (Channels): mean over images and pixels
	Std   []float32 // (Channels): standard deviation over images and pixels
}

// Statistics computes the statistics of the listed images; nil means all.
func (s *Set) Statistics(images []int32) Statistics {
	if images == nil {
		images = Indices(s.N)
	}
	n, area := float64(len(images)), s.Area()
	out := Statistics{
		Pixel: make([]float32, s.Channels*area),
		Mean:  make([]float32, s.Channels),
		Std:   make([]float32, s.Channels),
	}
	if len(images) == 0 {
		return out
	}
	sum, squares := s.sums(images)
	for c := range s.Channels {
		var total, totalSquares uint64
		for i := c * area; i < (c+1)*area; i++ {
			out.Pixel[i] = float32(float64(sum[i]) / n)
			total += sum[i]
			totalSquares += squares[i]
		}
		values := n * float64(area)
		mean := float64(total) / values
		variance := float64(totalSquares)/values - mul(mean, mean)
		out.Mean[c], out.Std[c] = float32(mean), float32(math.Sqrt(max(variance, 0)))
	}
	return out
}

// sums computes the sum of each pixel and of its square over images.
func (s *Set) sums(images []int32) (sum, squares []uint64) {
	size := s.Channels * s.Area()
	sum, squares = make([]uint64, size), make([]uint64, size)
	workers := runtime.GOMAXPROCS(0)
	var wait sync.WaitGroup
	var lock sync.Mutex
	for w := range workers {
		wait.Go(func() {
			a, b := make([]uint64, size), make([]uint64, size)
			for _, i := range images[w*len(images)/workers : (w+1)*len(images)/workers] {
				for k, v := range s.Image(int(i)) {
					a[k] += uint64(v)
					b[k] += uint64(v) * uint64(v)
				}
			}
			lock.Lock()
			defer lock.Unlock()
			for k := range sum {
				sum[k] += a[k]
				squares[k] += b[k]
			}
		})
	}
	wait.Wait()
	return sum, squares
}
