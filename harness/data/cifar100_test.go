// Tests of CIFAR-100, on files that they write.

package data

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// The second label of a record is the class.
func TestCIFAR100(t *testing.T) {
	for _, inner := range []string{"", cifar100.folder} {
		dir := t.TempDir()
		cifar100.write(t, filepath.Join(dir, inner))
		s, err := few(cifar100).open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != "cifar100" || s.Train.N != testRows || s.Test.N != testRows || s.Train.Classes != 100 {
			t.Fatalf("%s: %d and %d images of %d classes", s.Name, s.Train.N, s.Test.N, s.Train.Classes)
		}
		if s.Canonical || s.Title != "CIFAR-100, files differ from the canonical ones" || !strings.Contains(s.Warning, "train.bin, test.bin") {
			t.Errorf("canonical %v, title %q, warning %q", s.Canonical, s.Title, s.Warning)
		}
	}
	const size = 3074
	b := make([]byte, 2*size)
	b[0], b[1], b[2], b[size-1] = 19, 99, 7, 8
	b[size], b[size+1] = 3, 20
	set := newSet(2, 3, 32, 100)
	if err := cifar100.parse(bytes.NewReader(b), &set, 0, 2); err != nil {
		t.Fatal(err)
	}
	if set.Labels[0] != 99 || set.Labels[1] != 20 || set.Image(0)[0] != 7 || set.Image(0)[3071] != 8 {
		t.Errorf("labels %v, first pixel %d, last %d", set.Labels, set.Image(0)[0], set.Image(0)[3071])
	}
	for at, label := range map[int]byte{0: 20, 1: 100, size: 200} {
		bad := bytes.Clone(b)
		bad[at] = label
		if err := cifar100.parse(bytes.NewReader(bad), &set, 0, 2); err == nil || !strings.Contains(err.Error(), "has label") {
			t.Errorf("label %d at byte %d: %v", label, at, err)
		}
	}
}

// CIFAR-100's archive is downloaded and unpacked like CIFAR-10's.
func TestDownloadCIFAR100(t *testing.T) {
	b, good := pack(t, cifar100, entriesOf(cifar100))
	dir := t.TempDir()
	if err := good.download(context.Background(), dir, []string{serve(t, whole(b)).URL}, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := good.open(dir); err != nil || !s.Canonical || s.Title != "CIFAR-100" {
		t.Errorf("what was downloaded is read as %+v, %v", s, err)
	}
}
