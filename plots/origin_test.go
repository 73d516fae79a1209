// Tests of the origin in figures.

package plots

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someOrigin = "{\n  \"question\": \"Größer < 3 & \\\"so\\\" weiter?\",\n  \"runs\": [{\"id\": \"plain-20-seed0\"}]\n}\n"

// The text that Draw puts into a figure can be read from it. The picture and the tables
// do not change.
func TestOriginInFigures(t *testing.T) {
	q, rs := cpu()
	plain, marked := t.TempDir(), t.TempDir()
	if err := Draw(plain, q, rs); err != nil {
		t.Fatal(err)
	}
	q.Origin = []byte(someOrigin)
	if err := Draw(marked, q, rs); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"training_curves.png", "training_curves.svg"} {
		text, err := Origin(filepath.Join(marked, name))
		if err != nil || string(text) != someOrigin {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if _, err := Origin(filepath.Join(plain, name)); err == nil {
			t.Errorf("%s says where it comes from, although it was not told", name)
		}
	}
	if text, err := os.ReadFile(filepath.Join(marked, "provenance.json")); err != nil || string(text) != someOrigin {
		t.Errorf("provenance.json: %q, %v", text, err)
	}
	for name := range tables {
		a, _ := os.ReadFile(filepath.Join(plain, name))
		b, _ := os.ReadFile(filepath.Join(marked, name))
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s changed", name)
		}
	}
	a, b := picture(t, filepath.Join(plain, "training_curves.png")), picture(t, filepath.Join(marked, "training_curves.png"))
	if !bytes.Equal(a, b) {
		t.Error("the picture changed")
	}
}

func picture(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f) // checks the CRC of every chunk
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOriginOfOtherFiles(t *testing.T) {
	dir := t.TempDir()
	q, rs := cpu()
	q.Origin = []byte(someOrigin)
	if err := Draw(dir, q, rs); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "training_curves.png"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good)
	damaged[pngHead+40] ^= 1
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"empty":      {nil, "neither PNG nor SVG"},
		"text":       {[]byte("hello, world"), "does not say"},
		"cut":        {good[:pngHead+30], "EOF"},
		"only head":  {good[:pngHead], "does not say"},
		"damaged":    {damaged, "damaged"},
		"huge chunk": {[]byte("\x89PNG\r\n\x1a\n\xff\xff\xff\xffiTXtdepthlab"), "does not say"},
	} {
		path := filepath.Join(dir, "x.png")
		if err := os.WriteFile(path, c.file, 0o666); err != nil {
			t.Fatal(err)
		}
		if text, err := Origin(path); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q, error %v; want one that says %q", name, text, err, c.says)
		}
	}
}
