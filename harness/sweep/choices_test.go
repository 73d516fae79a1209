// Tests of algorithms that a device chooses by timing.

package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep/sweeptest"
)

// choosy is a device that makes another choice each time it is opened, unless the run's folder
// has one.
type choosy struct {
	device.Device
	made *int
}

type choosySession struct {
	device.Session
	choice device.Choice
}

func (d choosy) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	if err != nil {
		return nil, err
	}
	*d.made++
	choice := fmt.Sprint(*d.made)
	if path := filepath.Join(o.Folder, "choice"); o.Folder != "" {
		if kept, err := os.ReadFile(path); err == nil {
			choice = string(kept)
		} else if err := disk.Write(path, []byte(choice)); err != nil {
			return nil, err
		}
	}
	return choosySession{s, device.Choice{Key: "train", Value: choice}}, nil
}

func (s choosySession) Choices() []device.Choice { return []device.Choice{s.choice} }

// The choices of a device are in the provenance. A deterministic run resumes with them. A run
// that is not deterministic may resume with others, and then says so.
func TestChoices(t *testing.T) {
	for _, c := range []struct{ deterministic, choice, said string }{
		{"true", "1", ""},
		{"false", "2", "resumes with other arithmetic than before (compiled train 1 -> 2)"},
	} {
		dir, made := t.TempDir(), 0
		dev := choosy{sweeptest.Fast(), &made}
		text := strings.Replace(several, "seeds: [0, 1, 2]", "seeds: [0]\ndeterministic: "+c.deterministic, 1)
		err := sweeptest.New(t, text, dir, dev, "").Run(sweeptest.StopAfter(3)) // it saves after two steps
		if !errors.Is(err, harness.ErrInterrupted) {
			t.Fatal(err)
		}
		if err := sweeptest.New(t, text, dir, dev, "").Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		p, err := store.ReadProvenance(sweeptest.At(dir, "plain-8-seed0"))
		if err != nil {
			t.Fatal(err)
		}
		last := p.Sessions[len(p.Sessions)-1]
		if len(p.Sessions) != 2 || len(last.Choices) != 1 || last.Choices[0] != (device.Choice{Key: "train", Value: c.choice}) {
			t.Errorf("deterministic %s: %d sessions, the last with the choices %v; want 2 and %s", c.deterministic, len(p.Sessions), last.Choices, c.choice)
		}
		rec, err := record.Read(sweeptest.At(dir, "plain-8-seed0").Record())
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, e := range rec.Events {
			if e.Kind == "warn" && strings.Contains(e.Text, "other arithmetic") {
				said += e.Text
			}
		}
		if !strings.HasPrefix(said, c.said) || c.said == "" && said != "" {
			t.Errorf("deterministic %s: the record warns %q, want %q", c.deterministic, said, c.said)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*")); len(left) > 0 {
			t.Errorf("a finished run leaves %v", left)
		}
	}
}
