// Package datatest is small data sets for tests.
package datatest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"depthlab/harness/data"
)

// Noise is 20 images of 4x4 to train on, and 8 to test on.
func Noise() *data.Source {
	set := func(n int, seed uint64) data.Set {
		r := rand.New(rand.NewPCG(seed, 0))
		set := data.Set{N: n, Channels: 3, Size: 4, Classes: 10, Images: make([]uint8, n*3*4*4), Labels: make([]int32, n)}
		for i := range set.Images {
			set.Images[i] = uint8(r.Uint32())
		}
		for i := range set.Labels {
			set.Labels[i] = int32(i % 10)
		}
		return set
	}
	return &data.Source{Name: "preview", Title: "noise", Train: set(20, 1), Test: set(8, 2), Checksum: "noise", Canonical: true}
}

// PhotoFolder has three classes of six photos, for training and validation.
func PhotoFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for class := range 3 {
		for i := range 6 {
			m := image.NewRGBA(image.Rect(0, 0, 30+5*i, 40-2*i))
			for p := range len(m.Pix) / 4 {
				x, y := p%m.Rect.Dx(), p/m.Rect.Dx()
				m.Set(x, y, color.RGBA{uint8(80*class + 5*x), uint8(9 * y * (i + 1)), uint8(x*y + 40*i), 255})
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, m, nil); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"train", "val"} {
				path := filepath.Join(dir, part, fmt.Sprint("n", class), fmt.Sprintf("%d.JPEG", i))
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return dir
}

// Photos reads the folder as ImageNet is read, in crops of 16.
func Photos(t *testing.T, dir string) *data.Source {
	t.Helper()
	src, err := data.ImageFolder(context.Background(), dir, data.FolderOptions{Size: 16, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return src
}
