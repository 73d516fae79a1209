// Tests of leaving runs to other processes that train them.

package sweep_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"depthlab/harness/measure"
	"depthlab/harness/record"
	"depthlab/harness/slurm"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// With Leave, a run that another task of this question trains is left to it, unless that task is dead. Run
// waits for other processes, which may train it for another question: then its measurements are missing.
func TestLeave(t *testing.T) {
	const id = "plain-8-seed0"
	t.Setenv("SLURM_ARRAY_JOB_ID", "5")
	t.Setenv("SLURM_ARRAY_TASK_ID", "0")
	for name, c := range map[string]struct {
		job   string // that holds the lock
		beats int    // of its heart, ten a second; then it releases the lock, if it had any
		want  store.Progress
	}{
		"of this array":       {"5_2", 1000, store.Nothing},
		"submitted before":    {"17_2", 1000, store.Nothing},
		"of another question": {"99_0", 30, store.Complete},
		"not of Slurm":        {"", 30, store.Complete},
		"its node died":       {"17_2", 0, store.Complete},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := sweeptest.NewSmall(t, dir)
			s.Folders = sweep.Place(s.Plan, s.View.Store(), s.Data.Checksum, s.Device.Info(), "")
			s.Leave, s.Plan.Figures = true, []string{"layer_responses"}
			s.SetStale(1500 * time.Millisecond)
			path := filepath.Join(string(s.Folders[id]), "lock")
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(`{"host":"node3","pid":7,"token":"theirs","job":"`+c.job+`"}`), 0o666),
				slurm.Submission{Job: "17"}.Note(filepath.Join(s.View.Slurm(), "1.sh"))); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			beating := make(chan struct{})
			go func() {
				defer close(beating)
				for beat := 0; beat < c.beats && ctx.Err() == nil; beat++ {
					now := time.Now()
					os.Chtimes(path, now, now)
					time.Sleep(100 * time.Millisecond)
				}
				if c.beats > 0 && ctx.Err() == nil {
					os.Remove(path)
				}
			}()
			err := s.Run(context.Background())
			cancel()
			<-beating
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Folders[id].Find(); err != nil || got != c.want {
				t.Errorf("the other machine's run: %v, %v; want %v", got, err, c.want)
			}
			if rec, err := record.Read(s.Folders[id].Record()); c.want == store.Complete && (err != nil || len(measure.Lacking(rec, s.Plan)) > 0) {
				t.Errorf("its measurements are missing (%v)", err)
			}
			if got, err := s.Folders["resnet-8-seed0"].Find(); err != nil || got != store.Complete {
				t.Errorf("the other run: %v, %v; want it finished", got, err)
			}
		})
	}
}
