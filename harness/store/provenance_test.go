// Tests of provenance and of the differences between runs.

package store_test

import (
	"context"
	"strings"
	"testing"

	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep/sweeptest"
)

// Two runs of one recipe do not differ. Runs of two recipes differ in what was changed
// and in their results.
func TestDiff(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	const id = "resnet-8-seed0"
	if d, err := store.Diff(string(sweeptest.At(a, id)), sweeptest.At(b, id).Record()); err != nil || len(d) > 0 {
		t.Errorf("equal runs: %v, %v", d, err)
	}
	p, err := store.ReadProvenance(sweeptest.At(b, id))
	if err != nil {
		t.Fatal(err)
	}
	p.Sessions = append(p.Sessions, p.Sessions[0])
	p.Sessions[0].Job, p.Sessions[1].Job, p.Sessions[1].Restart = "17_2", "17_2", 1
	if err := store.WriteProvenance(sweeptest.At(b, id), p); err != nil {
		t.Fatal(err)
	}
	if d, err := store.Diff(string(sweeptest.At(a, id)), string(sweeptest.At(b, id))); err != nil || len(d) > 0 {
		t.Errorf("equal runs, one of them a requeued task of Slurm: %v, %v", d, err)
	}
	s := sweeptest.NewSmall(t, b)
	for i := range s.Plan.Runs {
		s.Plan.Runs[i].Optimizer.Rate = 0.05
	}
	s.Data.Checksum = "other noise"
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	d, err := store.Diff(string(sweeptest.At(a, id)), string(s.Folders[id]))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range d {
		names = append(names, one.Name)
	}
	all := strings.Join(names, " ")
	if !strings.HasPrefix(all, "data_sha256 run.optimizer.rate") {
		t.Errorf("differences %s", all)
	}
	if _, err := store.Diff(string(sweeptest.At(a, id)), a); err == nil || !strings.Contains(err.Error(), "expected a run's folder") {
		t.Errorf("error %v", err)
	}
	rec, err := record.Read(sweeptest.At(a, id).Record())
	if err != nil {
		t.Fatal(err)
	}
	if o := store.OriginOf(sweeptest.At(a, id), rec); strings.Join(o.Versions, " ") != "test" || o.Recipe == "" || o.Checksum != "noise" || o.Steps != 6 || o.Finished == "" || !strings.HasPrefix(strings.Join(o.Devices, " "), sweeptest.Fast().Info().Name+", ") {
		t.Errorf("incomplete: %+v", o)
	}
	if o := store.OriginOf(store.Folder(t.TempDir()), rec); o.ID != id || o.Steps != 6 || o.Problem == "" {
		t.Errorf("without run.json: %+v", o)
	}
}
