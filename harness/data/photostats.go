package data

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"depthlab/harness/disk"
)

// PhotoStatistics are of photos as tests see them: the centre of each.
type PhotoStatistics struct {
	Statistics
	Axes   [3][3]float64 // principal axes of the colours, each of length 1
	Spread [3]float64    // variance of the colours along each, in grey levels squared
}

// mostMeasured bounds the photos that statistics are taken over.
const mostMeasured = 10000

// PhotoStatistics are over the images named, or as many of them, evenly spread,
// as mostMeasured, at a shorter side of side pixels. They are worked out once
// and kept in the cache.
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

// measure sums integers, so that nothing depends on the order.
func (s *Set) measure(images []int32, side int) (out PhotoStatistics, err error) {
	const batch = 64
	centre := Centre(s.Size, side)
	l, err := NewLoader(s, batch, 4, func(k int, dst []Shot) []Shot {
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
	var covariance [3][3]float64
	for i := range 3 {
		for j := range i + 1 {
			covariance[i][j] = float64(products[i][j])/values - mul(mean[i], mean[j])
			covariance[j][i] = covariance[i][j]
		}
		out.Std[i] = float32(math.Sqrt(max(covariance[i][i], 0)))
	}
	out.Spread, out.Axes = principal(covariance)
	return out, nil
}

// principal gives the eigenvalues and eigenvectors of a symmetric matrix, by
// Jacobi's rotations.
func principal(a [3][3]float64) (values [3]float64, vectors [3][3]float64) {
	for i := range 3 {
		vectors[i][i] = 1
	}
	for range 30 { // far more sweeps than it takes
		for _, pq := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
			p, q := pq[0], pq[1]
			if a[p][q] == 0 {
				continue
			}
			theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
			t := math.Copysign(1, theta) / (math.Abs(theta) + math.Sqrt(mul(theta, theta)+1))
			c := 1 / math.Sqrt(mul(t, t)+1)
			s := mul(t, c)
			for k := range 3 {
				x, y := a[k][p], a[k][q]
				a[k][p], a[k][q] = mul(c, x)-mul(s, y), mul(s, x)+mul(c, y)
			}
			for k := range 3 {
				x, y := a[p][k], a[q][k]
				a[p][k], a[q][k] = mul(c, x)-mul(s, y), mul(s, x)+mul(c, y)
			}
			for k := range 3 { // rows are vectors
				x, y := vectors[p][k], vectors[q][k]
				vectors[p][k], vectors[q][k] = mul(c, x)-mul(s, y), mul(s, x)+mul(c, y)
			}
		}
	}
	for i := range 3 {
		values[i] = max(a[i][i], 0)
	}
	return values, vectors
}
