// Tests of photos on this machine, and of outlines.

package machine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/experiments/dataset"
	"depthlab/harness/data"
	"depthlab/harness/data/datatest"
	"depthlab/harness/machine"
	"depthlab/harness/sweep/sweeptest"
)

// If the process is killed in any file operation while it indexes photos, the next one makes
// the index again or finds it complete, and no temporary file is left.
func TestKilledWhileIndexing(t *testing.T) {
	index := func(root string) (*data.Source, error) {
		return machine.Machine{Root: root}.Data("imagenet").Load(context.Background(), data.FolderOptions{Size: 16})
	}
	if root := os.Getenv(sweeptest.EnvDir); root != "" {
		sweeptest.Mortal()
		if _, err := index(root); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Setenv("DEPTHLAB_IMAGENET", datatest.PhotoFolder(t))
	want, err := index(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := 1
	for ; ; at++ {
		root := t.TempDir()
		cmd, out := sweeptest.Process(t, "TestKilledWhileIndexing", root, at)
		err := cmd.Wait()
		if err != nil && !sweeptest.Killed(err) {
			t.Fatalf("%v\n%s", err, out)
		}
		got, failed := index(root)
		if failed != nil || got.Checksum != want.Checksum {
			t.Errorf("killed in operation %d: %v", at, failed)
		}
		if left, _ := os.ReadDir(filepath.Join(root, ".cache", "photos")); len(left) != 1 {
			t.Errorf("killed in operation %d: %v is left, want the index", at, left)
		}
		if err == nil {
			break
		}
	}
	if at < 10 { // a lock, and an index
		t.Errorf("only %d file operations", at)
	}
}

// The outline of a data set has its numbers and shapes.
func TestOutline(t *testing.T) {
	for name, want := range map[string]*data.Source{"preview": data.Preview(0, 0), "preview64": data.Preview64(0, 0)} {
		got, err := data.Outline(name, 0)
		if err != nil || got.Title != want.Title {
			t.Fatal(got, err)
		}
		for _, c := range [][2]data.Set{{got.Train, want.Train}, {got.Test, want.Test}} {
			if c[0].N != c[1].N || c[0].Channels != c[1].Channels || c[0].Size != c[1].Size || c[0].Classes != c[1].Classes {
				t.Errorf("%s: an outline of %d images of %d pixels, want %d of %d", name, c[0].N, c[0].Size, c[1].N, c[1].Size)
			}
		}
	}
	if _, err := data.Outline("mnist", 0); err == nil {
		t.Error("no error for the unknown data set mnist")
	}
}

// Photos are counted if there are any; without, the numbers of ImageNet are used. A named
// folder without photos is an error.
func TestOutlineOfPhotos(t *testing.T) {
	t.Setenv("DEPTHLAB_IMAGENET", "")
	for _, c := range []struct {
		dir                  string
		train, test, classes int
	}{{datatest.PhotoFolder(t), 18, 18, 3}, {"", dataset.Of("imagenet").Train, 50000, 1000}} {
		src, err := machine.Machine{Root: t.TempDir(), DataDir: c.dir}.Data("imagenet").Outline(context.Background(), data.FolderOptions{Size: 16})
		if err != nil {
			t.Fatal(err)
		}
		if src.Train.N != c.train || src.Test.N != c.test || src.Train.Classes != c.classes || src.Train.Size != 16 {
			t.Errorf("%q: %d + %d photos of %d classes, %d pixels", c.dir, src.Train.N, src.Test.N, src.Train.Classes, src.Train.Size)
		}
	}
	if _, err := (machine.Machine{Root: t.TempDir(), DataDir: t.TempDir()}).Data("imagenet").Outline(context.Background(), data.FolderOptions{Size: 16}); err == nil {
		t.Error("no error for an empty folder")
	}
}

// Own images are counted where they are.
func TestCount(t *testing.T) {
	t.Setenv("DEPTHLAB_FOLDER", "")
	m := machine.Machine{Root: t.TempDir()}
	if train, test, known, err := m.Data("folder").Count(context.Background()); known || err != nil {
		t.Errorf("there are none, and counted %d + %d, %v", train, test, err)
	}
	dir := datatest.PhotoFolder(t)
	m.DataDir = dir
	if train, test, known, err := m.Data("folder").Count(context.Background()); train != 18 || test != 18 || !known || err != nil {
		t.Errorf("counted %d + %d, %v, %v", train, test, known, err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "val", "n1")); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := m.Data("folder").Count(context.Background()); err == nil || !strings.Contains(err.Error(), "lacks 1 of the 3 classes") {
		t.Errorf("a class is missing in val: %v", err)
	}
}
