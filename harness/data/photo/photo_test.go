// Tests of decoding, cropping and resizing.

package photo

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"depthlab/harness/testskip"
)

// scene is a picture with edges and slopes.
func scene(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h), uint8((x/17 + y/11) % 2 * 200), 255})
		}
	}
	return m
}

func encode(t testing.TB, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func library(t testing.TB) *Library {
	t.Helper()
	path, err := Find(filepath.Join("..", "..", "..", ".lib"))
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// decoders lists Go's decoder (nil), and libjpeg-turbo if available.
func decoders(t testing.TB) []*Library {
	t.Helper()
	all := []*Library{nil}
	if path, err := Find(filepath.Join("..", "..", "..", ".lib")); err == nil {
		l, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func cut(t testing.TB, l *Library, file []byte, v View) []uint8 {
	t.Helper()
	c, err := NewCutter(l)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dst := make([]uint8, 3*v.W*v.H)
	if err := c.Cut(dst, file, v); err != nil {
		t.Fatal(err)
	}
	return dst
}

// furthest returns the largest difference of two images and the number of bytes that
// differ.
func furthest(a, b []uint8) (most, n int) {
	for i := range a {
		d := max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
		most = max(most, d)
		if d > 0 {
			n++
		}
	}
	return most, n
}

// Decoding a part gives the same pixels as decoding the whole image.
func TestPartOfAnImage(t *testing.T) {
	l := library(t)
	for _, size := range [][2]int{{500, 375}, {375, 500}, {333, 333}, {640, 130}} {
		file := encode(t, scene(size[0], size[1]), 90)
		for _, at := range [][2]float64{{0, 0}, {0.3, 0.7}, {0.5, 0.5}, {0.99, 0.99}} {
			v := View{Side: 128, W: 112, H: 90, X: at[0], Y: at[1]}
			if min(size[0], size[1]) >= 256 {
				v.Side = 250 // no scaled decoding
			}
			part := cut(t, l, file, v)
			whole, err := NewCutter(l)
			if err != nil {
				t.Fatal(err)
			}
			whole.turbo.entire = true
			full := make([]uint8, len(part))
			if err := whole.Cut(full, file, v); err != nil {
				t.Fatal(err)
			}
			whole.Close()
			if most, n := furthest(part, full); most > 0 {
				t.Errorf("%v at %v: %d bytes differ by up to %d from those of the whole image", size, at, n, most)
			}
		}
	}
}

// An interleaved crop has the pixels of a planar one, with shifts that clamp.
func TestInterleaved(t *testing.T) {
	file := encode(t, scene(100, 70), 90)
	v := View{Side: 40, W: 37, H: 24, X: 0.4, Y: 0.6, Shift: [3]int{-30, 0, 90}}
	for _, l := range decoders(t) {
		planar := cut(t, l, file, v)
		c, err := NewCutter(l)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Layout = Interleaved
		got := make([]uint8, len(planar))
		if err := c.Cut(got, file, v); err != nil {
			t.Fatal(err)
		}
		area := v.W * v.H
		for i, u := range got {
			if want := planar[i%3*area+i/3]; u != want {
				t.Fatalf("%s: colour %d of pixel %d is %d, planar %d", l, i%3, i/3, u, want)
			}
		}
	}
}

// The two decoders differ by rounding only.
func TestDecodersAgree(t *testing.T) {
	l := library(t)
	grey := image.NewGray(image.Rect(0, 0, 90, 70))
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i)
	}
	var shot bytes.Buffer
	if err := png.Encode(&shot, scene(80, 90)); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"colour": encode(t, scene(300, 200), 95), "grey": encode(t, grey, 95), "png": shot.Bytes(),
		"narrow": encode(t, scene(1, 200), 90), "low": encode(t, scene(200, 1), 90), "dot": encode(t, scene(1, 1), 90),
	} {
		v := View{Side: 64, W: 48, H: 48, X: 0.5, Y: 0.5, Exact: true}
		a, b := cut(t, l, file, v), cut(t, nil, file, v)
		// Go repeats chroma values where libjpeg-turbo interpolates them.
		sum := 0
		for i := range a {
			sum += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
		}
		if mean := float64(sum) / float64(len(a)); mean > 2.5 {
			t.Errorf("%s: the decoders differ by %.2f levels on average", name, mean)
		}
	}
}

// Files as other programs write them: CMYK, which libjpeg-turbo does not decode for us,
// and progressive scans. The expected colours are Pillow's (testdata/cmyk.py).
func TestForeign(t *testing.T) {
	for name, want := range map[string][3]int{"cmyk.jpg": {49, 190, 216}, "progressive.jpg": {201, 120, 41}} {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range decoders(t) {
			got := cut(t, l, file, View{Side: 24, W: 20, H: 20, X: 0.5, Y: 0.5})
			for c, w := range want {
				for i, v := range got[c*400:][:400] {
					if d := int(v) - w; d < -2 || d > 2 {
						t.Fatalf("%s by %s: byte %d of colour %d is %d, want %d", name, l, i, c, v, w)
					}
				}
			}
		}
	}
}

// The middle of a wide and of a high crop equals the square crop, with every decoder. A
// crop that the resized photo does not contain is refused.
func TestRectangles(t *testing.T) {
	for _, l := range decoders(t) {
		for _, c := range []struct{ w, h, W, H int }{{300, 200, 80, 48}, {200, 300, 48, 80}, {300, 200, 96, 64}} {
			file := encode(t, scene(c.w, c.h), 90)
			v := View{Side: 64, W: c.W, H: c.H, X: 0.5, Y: 0.5, Exact: true}
			whole := cut(t, l, file, v)
			v.W, v.H = 48, 48
			square := cut(t, l, file, v)
			for i, got := range square {
				x, y, channel := i%48+(c.W-48)/2, i/48%48+(c.H-48)/2, i/(48*48)
				if want := whole[(channel*c.H+y)*c.W+x]; got != want {
					t.Fatalf("%+v by %s: byte %d of the middle is %d, of the square %d", c, l, i, want, got)
				}
			}
			v.W, v.H = c.W+32, c.H+32
			cutter, err := NewCutter(l)
			if err != nil {
				t.Fatal(err)
			}
			if err := cutter.Cut(make([]uint8, 3*v.W*v.H), file, v); err == nil {
				t.Errorf("%+v by %s: cut from a photo that is smaller", v, l)
			}
			cutter.Close()
		}
	}
}

// Decoding at an eighth of the size is enough for a small view of a large photo.
func TestScaledDecoding(t *testing.T) {
	l := library(t)
	file := encode(t, scene(1600, 1200), 95)
	v := View{Side: 140, W: 128, H: 128, X: 0.4, Y: 0.6}
	scaled := cut(t, l, file, v)
	v.X, v.Y, v.Exact = 18.0/46, 7.0/12, true // the same place
	full := cut(t, l, file, v)
	sum := 0
	for i := range full {
		sum += max(int(full[i])-int(scaled[i]), int(scaled[i])-int(full[i]))
	}
	if mean := float64(sum) / float64(len(full)); mean > 4 || mean == 0 {
		t.Errorf("scaled decoding differs by %.2f levels on average", mean)
	}
}

// The kernels give the bits of the plain loops, for any number of rows and any length of a row.
func TestVector(t *testing.T) {
	if !vector {
		testskip.Hardware(t, "AVX2 or NEON")
	}
	const rows = 3
	var tp taps
	for _, c := range []struct{ in, out, first, n int }{{100, 100, 0, 100}, {100, 37, 3, 30}, {100, 333, 50, 101}, {1, 50, 0, 50}, {1000, 64, 0, 64}} {
		touched := tp.set(c.in, c.out, c.first, c.n)
		src := make([]uint8, (c.in+tp.n)*4*7+slack)
		for i := range src {
			src[i] = uint8(i*i>>5 ^ i)
		}
		for n := 1; n <= rows; n++ {
			want, got := make([]uint8, n*4*c.n), make([]uint8, n*4*c.n)
			acrossGo(want, src, 4*c.in, &tp, touched.from)
			vectors.acrossRows(got, src, 4*c.in, &tp, touched.from)
			if !slices.Equal(got, want) {
				t.Errorf("across %v differs, with %d rows", c, n)
			}
		}
		for _, pitch := range []int{4, 4 * 7} {
			long := make([]uint8, pitch+slack)
			want, got := make([]uint8, pitch), long[:pitch]
			for y := range c.n {
				w := tp.weight[y*tp.n:][:tp.n]
				downGo(want, src[int(tp.offset[y])*pitch:], pitch, w)
				vectors.downRow(got, src[int(tp.offset[y])*pitch:], pitch, w)
				if !slices.Equal(got, want) {
					t.Fatalf("down %v differs in row %d of %d bytes", c, y, pitch)
				}
			}
		}
	}
}

// guarded copies a buffer to memory between two pages that may not be accessed: directly before
// the second one, or directly after the first.
func guarded[T any](t *testing.T, s []T, atEnd bool) []T {
	t.Helper()
	page, n := os.Getpagesize(), len(s)*int(unsafe.Sizeof(s[0]))
	whole := (n + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, page+whole+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(m) })
	for _, guard := range [][]byte{m[:page], m[page+whole:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	at := page
	if atEnd {
		at += whole - n
	}
	c := unsafe.Slice((*T)(unsafe.Pointer(&m[at])), len(s))
	copy(c, s)
	return c
}

// At no scale does resize read or write outside the buffers of the size that it asks for:
// a kernel that did would end the test with SIGSEGV. The kernels give the bits of the plain
// loops.
func TestResizeKeepsToItsMemory(t *testing.T) {
	had := vector
	defer func() { vector = had }()
	for _, c := range []struct {
		w, h int
		v    View
	}{
		{64, 64, View{Side: 64, W: 64, H: 64}},
		{30, 20, View{Side: 64, W: 64, H: 64, X: 1, Y: 1}},
		{257, 300, View{Side: 32, W: 17, H: 31, X: 1, Y: 1}},
		{7000, 2000, View{Side: 256, W: 224, H: 224, X: 1, Y: 1}}, // scale 7.8
		{7000, 7000, View{Side: 256, W: 224, H: 9, X: 1, Y: 1}},   // scale 27.3
		{3000, 3000, View{Side: 40, W: 33, H: 3, X: 1, Y: 0.5}},   // scale 75
		{2048, 1, View{Side: 1, W: 3, H: 1, X: 1}},
		{1, 65000, View{Side: 8, W: 8, H: 8, Y: 1}},
		{60000, 64, View{Side: 2, W: 2, H: 2, X: 1, Y: 1}},
	} {
		var want []uint8
		for _, run := range []struct{ vectors, atEnd bool }{{false, true}, {true, true}, {true, false}} {
			if run.vectors && !had {
				continue
			}
			vector = run.vectors
			cutter := &Cutter{}
			region := cutter.aim(c.v, c.w, c.h, 1)
			for _, a := range []*taps{&cutter.across, &cutter.down} {
				a.offset, a.weight = guarded(t, a.offset, run.atEnd), guarded(t, a.weight, run.atEnd)
			}
			cutter.pixels = guarded(t, make([]uint8, cutter.pixelBytes(region)), run.atEnd)
			cutter.narrow = guarded(t, make([]uint8, cutter.narrowBytes(c.v)), run.atEnd)
			cutter.row = guarded(t, make([]uint8, rowBytes(c.v)), run.atEnd)
			for i := range cutter.pixels {
				cutter.pixels[i] = uint8(i*i>>5 ^ i)
			}
			own := [3]*uint8{&cutter.pixels[0], &cutter.narrow[0], &cutter.row[0]}
			got := guarded(t, make([]uint8, 3*c.v.W*c.v.H), run.atEnd)
			cutter.resize(got, region, c.v)
			if own != [3]*uint8{&cutter.pixels[0], &cutter.narrow[0], &cutter.row[0]} {
				t.Errorf("%d x %d, %+v: asked for more memory", c.w, c.h, c.v)
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d x %d, %+v, %+v: other bytes than without vectors", c.w, c.h, c.v, run)
			}
		}
	}
}

// Splitting rows of any length, with shifts that reach black and white.
func TestSplit(t *testing.T) {
	if !vector {
		testskip.Hardware(t, "AVX2 or NEON")
	}
	for n := leastSplit; n <= 3*leastSplit; n++ {
		src := make([]uint8, 4*n)
		for i := range src {
			src[i] = uint8(i * 37)
		}
		for _, shift := range [][3]int{{}, {10, -20, 100}, {-255, 255, 300}} {
			got, want := make([]uint8, 3*n), make([]uint8, 3*n)
			vectors.splitRow(got[:n], got[n:2*n], got[2*n:], src, shift)
			splitGo(want[:n], want[n:2*n], want[2*n:], src, shift)
			if !slices.Equal(got, want) {
				t.Errorf("%d pixels, shift %v: vectors give other bytes", n, shift)
			}
		}
	}
}

// Without resizing pixels are unchanged. Shifts stop at black and white.
func TestShift(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		copy(m.Pix[4*i:], []uint8{uint8(i), uint8(200 + i%56), 100, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	got := cut(t, nil, b.Bytes(), View{Side: 8, W: 8, H: 8, Shift: [3]int{-10, 20, 3}})
	for i := range 64 {
		if got[i] != uint8(max(0, i-10)) || got[64+i] != uint8(min(255, 220+i%56)) || got[128+i] != 103 {
			t.Fatalf("pixel %d is %d %d %d", i, got[i], got[64+i], got[128+i])
		}
	}
}

// A crop in the middle, rounded as torchvision does in tests, and one at the far end.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		v    View
		n    int
		want int
	}{
		{View{Exact: true}, 3, 2}, {View{Exact: true}, 5, 2}, {View{Exact: true}, 4, 2},
		{View{}, 3, 2}, {View{}, 4, 2},
	} {
		if got := c.v.place(0.5, c.n); got != c.want {
			t.Errorf("the middle of %d is %d (exact %v), want %d", c.n, got, c.v.Exact, c.want)
		}
	}
	if got := (View{}).place(0.999999, 7); got != 7 {
		t.Errorf("the end is %d", got)
	}
}

func TestBroken(t *testing.T) {
	file := encode(t, scene(300, 200), 90)
	huge := slices.Clone(file)
	at := bytes.Index(huge, []byte{0xff, 0xc0}) + 5
	copy(huge[at:], []byte{0xff, 0xff, 0xff, 0xff})
	libs := map[string]*Library{"Go": nil}
	if path, err := Find(filepath.Join("..", "..", "..", ".lib")); err == nil {
		if libs["turbo"], err = Open(path); err != nil {
			t.Fatal(err)
		}
	}
	for decoder, l := range libs {
		for name, c := range map[string]struct {
			file []byte
			says string
		}{
			"empty": {nil, ""}, "text": {[]byte("<html>not found</html>"), "unknown format"},
			"cut short": {file[:len(file)/2], ""}, "header only": {file[:300], ""}, "huge": {huge, "65535"},
		} {
			c2, err := NewCutter(l)
			if err != nil {
				t.Fatal(err)
			}
			v := View{Side: 64, W: 48, H: 48, X: 0.5, Y: 0.9, Exact: true}
			err = c2.Cut(make([]uint8, 3*48*48), c.file, v)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: %v", decoder, name, err)
			}
			// The next photo is not affected.
			if err := c2.Cut(make([]uint8, 3*48*48), file, v); err != nil {
				t.Errorf("%s, after %s: %v", decoder, name, err)
			}
			c2.Close()
		}
	}
}

func TestNoLibrary(t *testing.T) {
	t.Setenv(EnvLibrary, "/nowhere/libturbojpeg.so.0")
	if _, err := Find(""); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("a library that is not there: %v", err)
	}
	text := filepath.Join(t.TempDir(), "libturbojpeg.so.0")
	if err := os.WriteFile(text, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(text); err == nil {
		t.Error("a text was opened as a library")
	}
}
