// Speed of decoding, cropping and flipping photos, compared with torchvision's.

package bench

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"depthlab/harness/data"
)

//go:embed torch_loader.py
var torchLoader []byte

// routes are torchvision's two ways, as torch_loader.py names them.
var routes = []string{"pil", "tensor"}

// LoaderResult is the speed of making training crops, in photos per second: medians over
// alternating rounds, with all files in the page cache.
type LoaderResult struct {
	Decoder   string             `json:"decoder"`
	Threads   int                `json:"threads"` // our threads = processes of torchvision
	Photos    float64            `json:"photos_per_s"`
	Torch     string             `json:"torchvision,omitempty"`         // version
	TorchBy   map[string]float64 `json:"torchvision_per_s,omitempty"`   // by route: "pil", "tensor"
	RatioBest float64            `json:"ratio_to_the_faster,omitempty"` // median of the rounds' ratios to the faster route
}

// Loader measures the paper's training transform of the photos of src, without a device, in
// rounds of n photos. python is the path of a Python with torchvision; "" measures ours only.
func Loader(ctx context.Context, src *data.Source, n, rounds int, python string) (r LoaderResult, err error) {
	set := &src.Train
	r.Decoder, r.Threads = set.Photos.Library.String(), runtime.GOMAXPROCS(0)
	look := data.Look{Size: set.Size, Scale: [2]int{256, 480}, Shift: [3]float64{3, 1, 1}, Axes: [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}
	theirs := map[string]*rival{}
	if python != "" {
		for _, route := range routes {
			t, err := startRival(ctx, route, python, torchLoader, nil, filepath.Join(set.Photos.Dir, "train"), route,
				strconv.Itoa(r.Threads), strconv.Itoa(look.Size), strconv.Itoa(look.Scale[0]), strconv.Itoa(look.Scale[1]))
			if err != nil {
				return r, fmt.Errorf("torchvision: %w", err)
			}
			defer t.close()
			theirs[route], r.Torch = t, t.version
		}
	}
	if _, err := ourRound(ctx, set, look, n); err != nil { // reads the files into the page cache
		return r, err
	}
	var ours, ratios []float64
	by := map[string][]float64{}
	for range rounds {
		d, err := ourRound(ctx, set, look, n)
		if err != nil {
			return r, err
		}
		speed := float64(n) / d.Seconds()
		ours = append(ours, speed)
		best := 0.0
		for _, route := range routes {
			t, ok := theirs[route]
			if !ok {
				continue
			}
			d, err := t.run(n)
			if err := cmp.Or(ctx.Err(), err); err != nil { // the end of ctx kills the process
				return r, err
			}
			their := float64(n) / d.Seconds()
			by[route] = append(by[route], their)
			best = max(best, their)
		}
		if best > 0 {
			ratios = append(ratios, speed/best)
		}
	}
	r.Photos = median(ours)
	if len(ratios) > 0 {
		r.RatioBest, r.TorchBy = median(ratios), map[string]float64{}
		for route, speeds := range by {
			r.TorchBy[route] = median(speeds)
		}
	}
	return r, nil
}

// ourRound makes n crops with the loader that training uses. If ctx ends first, the error is ctx's.
func ourRound(ctx context.Context, set *data.Set, look data.Look, n int) (time.Duration, error) {
	const batch = 32
	plan := data.Sampler{Seed: 1, N: set.N, Batch: batch, Flip: true}
	began := time.Now()
	l, err := data.NewLoader(set, data.Planar, batch, 8, func(k int, dst []data.Shot) []data.Shot {
		if k*batch >= n {
			return dst
		}
		return plan.Shots(k, look, dst)
	})
	if err != nil {
		return 0, err
	}
	defer l.Close()
	made := 0
	for {
		b, err := l.Next()
		if err != nil {
			break // io.EOF
		}
		if len(b.Failed) > 0 {
			return 0, b.Failed[0]
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		made += len(b.Rows)
	}
	return time.Duration(float64(time.Since(began)) * float64(n) / float64(made)), nil
}
