// Tests of TensorBoard's event files.

package sweep_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"depthlab/harness"
	"depthlab/harness/sweep/sweeptest"
)

// A run's event file has the events of its record: after an interruption, and also if it is written
// after the run was finished.
func TestTensorBoardOfSweep(t *testing.T) {
	dir, later := t.TempDir(), t.TempDir()
	if err := sweeptest.NewSmall(t, later).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second file replaces the first, whose name has another time
		s := sweeptest.NewSmall(t, later)
		s.TensorBoard = true
		first, _ := filepath.Glob(filepath.Join(string(s.View), "tensorboard", "*", "*"))
		for _, path := range first {
			if err := os.Rename(path, filepath.Join(filepath.Dir(path), "events.out.tfevents.1600000000.depthlab")); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for n := 4; ; n = 1000 {
		s := sweeptest.NewSmall(t, dir)
		s.TensorBoard = true
		err := s.Run(sweeptest.StopAfter(n))
		if err == nil {
			break
		}
		if !errors.Is(err, harness.ErrInterrupted) {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{
		filepath.Join(string(sweeptest.Asked(dir)), "tensorboard", "plain-8-seed0"), filepath.Join(string(sweeptest.Asked(dir)), "tensorboard", "resnet-8-seed0"),
		filepath.Join(string(sweeptest.Asked(later)), "tensorboard", "plain-8-seed0"), filepath.Join(string(sweeptest.Asked(later)), "tensorboard", "resnet-8-seed0"),
	} {
		files, _ := filepath.Glob(filepath.Join(folder, "*"))
		if len(files) != 1 {
			t.Fatalf("files %q, want one", files)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		for len(text) > 0 { // length, its checksum, data, their checksum
			n := binary.LittleEndian.Uint64(text)
			text = text[8+4+n+4:]
			events++
		}
		if want := 1 + 6 + 2 + 1; events != want { // version, train, eval, full
			t.Errorf("%s: %d events, want %d", folder, events, want)
		}
	}
}
