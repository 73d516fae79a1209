// Tests of leaving runs to other processes that train them.

package sweep_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// With Leave, a run that another process trains is left to it, unless that process is dead.
func TestLeave(t *testing.T) {
	const id = "plain-8-seed0"
	for name, c := range map[string]struct {
		lives bool
		want  store.Progress // of the run that another machine trains
	}{
		"alive":         {true, store.Nothing},
		"its node died": {false, store.Complete},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := sweeptest.NewSmall(t, dir)
			s.Folders = sweep.Place(s.Plan, s.View.Store(), s.Data.Checksum, s.Device.Info(), "")
			s.Leave = true
			s.SetStale(1500 * time.Millisecond)
			path := filepath.Join(string(s.Folders[id]), "lock")
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(`{"host":"node3","pid":7,"token":"theirs","job":"17_2"}`), 0o666)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			beating := make(chan struct{})
			go func() {
				defer close(beating)
				for c.lives && ctx.Err() == nil {
					now := time.Now()
					os.Chtimes(path, now, now)
					time.Sleep(100 * time.Millisecond)
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
			if got, err := s.Folders["resnet-8-seed0"].Find(); err != nil || got != store.Complete {
				t.Errorf("the other run: %v, %v; want it finished", got, err)
			}
		})
	}
}
