// Statistics of photos: mean image and principal axes of the colours.

package data

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"depthlab/harness/disk"
)

// PhotoStatistics are the statistics of photos as tests see them: of the centre of each.
type PhotoStatistics struct {
	Statistics
	Axes   [3][3]float64 // principal axes of the colours, each of length 1, the one with the largest variance first; in files of earlier versions in any order
	Spread [3]float64    // variance of the colours along each axis, in grey levels squared
}

// mostMeasured is the largest number of photos that statistics are computed from.
const mostMeasured = 10000

// PhotoStatistics computes the statistics of the listed images, resized to a shorter side
// of side pixels. If there are more than mostMeasured, it uses that many, evenly spread.
// The result is kept in the cache.
func (s *Set) PhotoStatistics(images []int32, side int) (out PhotoStatistics, err error) {
	if n := len(images); n > mostMeasured {
		some := make([]int32, mostMeasured)
		for i := range some {
			some[i] = images[i*n/mostMeasured]
		}
		images = some
	}
	h := sha256.New()
	fmt.Fprintln(h, s.Photos.Dir, s.Photos.Library, s.Size, side)
	for _, i := range images {
		fmt.Fprintln(h, s.Photos.Names[i], s.Photos.sums[i])
	}
	path := filepath.Join(s.Photos.cache, "statistics", fmt.Sprintf("%x.json", h.Sum(nil)[:8]))
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &out) == nil {
		return out, nil
	}
	if out, err = s.measure(images, side); err != nil {
		return out, err
	}
	text, err := json.Marshal(out)
	if err != nil {
		return out, err
	}
	return out, disk.Write(path, text)
}

// measure sums integers, so that the result does not depend on the order.
func (s *Set) measure(images []int32, side int) (out PhotoStatistics, err error) {
	const batch = 64
	centre := Centre(s.Size, side)
	l, err := NewLoader(s, Planar, batch, 4, func(k int, dst []Shot) []Shot {
		for _, i := range images[min(k*batch, len(images)):min((k+1)*batch, len(images))] {
			centre.Image = i
			dst = append(dst, centre)
		}
		return dst
	})
	if err != nil {
		return out, err
	}
	defer l.Close()
	area := s.Area()
	sum := make([]uint64, 3*area)
	var products [3][3]uint64
	n := 0
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		for _, e := range b.Failed {
			if isSystems(e) {
				return out, cannotRead(s.Photos.Dir, []string{failure(e.Name, e.Err)})
			}
		}
		for slot, row := range b.Rows {
			if row[0] < 0 {
				continue
			}
			n++
			x := b.Images[slot*3*area:][:3*area]
			for i, v := range x {
				sum[i] += uint64(v)
			}
			for i := range 3 {
				for j := range i + 1 {
					var p uint64
					for k := range area {
						p += uint64(x[i*area+k]) * uint64(x[j*area+k])
					}
					products[i][j] += p
				}
			}
		}
	}
	if n == 0 {
		return out, fmt.Errorf("%s: none of %d photos can be decoded", s.Photos.Dir, len(images))
	}
	out.Statistics = Statistics{Pixel: make([]float32, 3*area), Mean: make([]float32, 3), Std: make([]float32, 3)}
	values := float64(n) * float64(area)
	var mean [3]float64
	for c := range 3 {
		var total uint64
		for i := c * area; i < (c+1)*area; i++ {
			total += sum[i]
			out.Pixel[i] = float32(float64(sum[i]) / float64(n))
		}
		mean[c] = float64(total) / values
		out.Mean[c] = float32(mean[c])
	}
	covariance := mat.NewSymDense(3, nil)
	for i := range 3 {
		for j := range i + 1 {
			covariance.SetSym(i, j, float64(products[i][j])/values-mul(mean[i], mean[j]))
		}
		out.Std[i] = float32(math.Sqrt(max(covariance.At(i, i), 0)))
	}
	out.Spread, out.Axes = principal(covariance)
	return out, nil
}

// principal returns the eigenvalues of a covariance matrix, largest first, and the
// eigenvectors, each of length 1. It chooses the sign of an eigenvector that makes its
// first component that is not nearly 0 positive.
func principal(covariance *mat.SymDense) (values [3]float64, vectors [3][3]float64) {
	var e mat.EigenSym
	if !e.Factorize(covariance, true) {
		panic(fmt.Sprintf("data: no eigenvectors of %v", mat.Formatted(covariance, mat.Squeeze())))
	}
	ascending := e.Values(nil)
	var columns mat.Dense
	e.VectorsTo(&columns)
	for i := range 3 {
		values[i] = max(ascending[2-i], 0)
		v := &vectors[i]
		mat.Col(v[:], 2-i, &columns)
		if first := slices.IndexFunc(v[:], func(x float64) bool { return math.Abs(x) > 1e-6 }); v[first] < 0 {
			floats.Scale(-1, v[:])
		}
	}
	return values, vectors
}
