// Mutual exclusion: work that only one process at a time may do.

package lock

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"depthlab/harness"
	"depthlab/harness/disk"
)

// Alone runs f while no other process is in Alone with the lock at path. Use it for files
// that several processes write. Before f it removes incomplete files of a killed process
// from the lock's folder. The error is harness.ErrInterrupted if ctx ended while it
// waited.
func Alone(ctx context.Context, path string, f func() error) error {
	var locks Set
	for {
		held, err := locks.Take(path)
		var other *HeldError
		if err == nil {
			all := func(string) bool { return true }
			return errors.Join(disk.RemoveTemporaries(filepath.Dir(path), all), f(), held.Release())
		}
		if !errors.As(err, &other) {
			return err
		}
		select {
		case <-ctx.Done():
			return harness.ErrInterrupted
		case <-time.After(100 * time.Millisecond):
		}
	}
}
