// Tests of the feed of photos.

package model

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
	"depthlab/harness/testskip"
)

const onPhotos = `
question: Does it see photos?
nets: [plain-8]
data: imagenet
train: 18
batch: 4
input: {crop: 16, scale: [18, 24]}
batch_norm: {group: 2, batches: 3}
schedule: {at: [6 steps], stop: 9 steps, warmup: none}
precision: fp32
`

// paced is a session that computes nothing, but needs a given time for each step and each
// copied batch.
type paced struct {
	device.Session
	step, copying time.Duration
	staged, freed int
}

func (p *paced) Info() device.Info  { return device.Info{} }
func (p *paced) ChannelsLast() bool { return true }
func (p *paced) Use(x device.Staged) error {
	if p.freed++; x.(*paced) != p {
		return errors.New("another session's batch")
	}
	return nil
}
func (p *paced) Free() error { p.freed++; return nil }
func (p *paced) Stage(images []uint8, labels []int32) (device.Staged, error) {
	time.Sleep(p.copying)
	p.staged++
	return p, nil
}

// A device that needs 40 ms for a step and 25 ms to copy a batch waits at most 5 % of the
// time, although decoding takes time, too. All staged batches are freed.
func TestFeedAhead(t *testing.T) {
	src := datatest.Photos(t, datatest.PhotoFolder(t))
	photos := data.Join(&src.Train, &src.Test)
	sampler, look := data.Sampler{N: 18, Batch: 4}, data.Look{Size: 16, Scale: [2]int{18, 24}}
	var shares []float64
	for range 5 { // other work on this machine may take the CPU from the decoder
		s := &paced{step: 40 * time.Millisecond, copying: 25 * time.Millisecond}
		f := NewFeed(s, photos, 4)
		began := time.Now()
		for step := range 25 {
			if step == 1 { // batches are prefetched now
				began, f.Waited = time.Now(), 0
			}
			if step == 10 { // a test in between
				if err := f.Each(context.Background(), data.Shots([]int32{20, 21}, []data.Shot{data.Centre(16, 18)}), func([]device.Row) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := f.train(sampler, look, step)
			if err != nil || len(rows) != 4 {
				t.Fatalf("step %d: %d rows, %v", step, len(rows), err)
			}
			time.Sleep(s.step)
		}
		shares = append(shares, f.Waited.Seconds()/time.Since(began).Seconds())
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if s.staged != s.freed {
			t.Errorf("%d batches were copied, %d freed", s.staged, s.freed)
		}
		if slices.Min(shares) <= 0.05 {
			break
		}
	}
	if share := slices.Min(shares); !(share <= 0.05) {
		t.Errorf("the device waited for %.1f %% of the time, want at most 5 %%", 100*share)
	}
}

// A batch is the same on every device, in any order of the pixels and on any number of
// replicas. The same for a test of all photos.
func TestFeedOnDevices(t *testing.T) {
	src := datatest.Photos(t, datatest.PhotoFolder(t))
	run := planned(t, onPhotos).Runs[0]
	all := map[string]device.Device{"ref": ref.New(), "ref on 2": ref.Together(2)}
	path, err := xla.Find("", filepath.Join("..", "..", ".lib"))
	if err != nil {
		testskip.Part(t, "xla: %v", err)
	} else {
		for name, devices := range map[string][]int{"xla": nil, "xla on 2": {0, 1}} {
			dev, err := xla.Open(path, xla.Options{Quick: true, Devices: devices})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			all[name] = dev
		}
	}
	var want []float64
	for _, name := range []string{"ref", "ref on 2", "xla", "xla on 2"} {
		dev := all[name]
		if dev == nil {
			continue
		}
		m, err := Open(run, src, dev, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, staged := m.Session.(device.Stager); staged != strings.HasPrefix(name, "xla") {
			t.Errorf("%s: batches are staged: %v", name, staged)
		}
		metrics, err := m.Steps(0, 3, 3, device.Rates{Learning: 0.001, Statistics: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		var got []float64
		for _, x := range metrics {
			got = append(got, float64(x.Loss))
		}
		if err := m.Average(context.Background(), 3); err != nil {
			t.Fatal(err)
		}
		c, err := m.Evaluate(context.Background(), m.Images.Test)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, float64(c.Images), c.Loss)
		if want == nil {
			want = got
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 1e-4*want[i]) {
				t.Errorf("%s: %v, want %v as on ref", name, got, want)
				break
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
