// Package store is the results folder: the files of every run, what made them, and the status
// of each run. A run is stored once, under a key made of what determines its weights.
// Questions are views: lists of runs.
//
//	results/runs/resnet-20-seed0-3fa9c1d2e4b5/   a run: record.jsonl run.json weights.safetensors kept/
//	                                             checkpoints/ lock (while it is trained)
//	results/QUESTION/PROFILE/                    a question: question.yaml runs.json log.txt, figures and tables
//
// It knows no device and trains nothing.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/nets"
)

// Store is a results folder.
type Store string

// Runs is the folder that contains the runs.
func (s Store) Runs() string { return filepath.Join(string(s), "runs") }

// Run is the folder of the run with a name, as Folder.Name has it.
func (s Store) Run(name string) Folder { return Folder(filepath.Join(s.Runs(), name)) }

// Published is the results folder that comes with the project, inside of this one.
func (s Store) Published() Store { return Store(filepath.Join(string(s), "published")) }

// View is the folder of a question's profile.
func (s Store) View(question, profile string) View {
	return View(filepath.Join(string(s), question, profile))
}

// Key identifies a run: a hash of the run's Hash, the checksum of its data, and the key
// of the trained run that it begins as ("" for none).
func Key(run experiments.Run, data, source string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{run.Hash(), data, source}, "\n")))
	return hex.EncodeToString(sum[:6])
}

// Folder is the folder of a run with this key.
func (s Store) Folder(run experiments.Run, key string) Folder {
	return s.Run(run.Name() + "-" + key)
}

var folderName = regexp.MustCompile(`^[a-z].*-seed[0-9]+-[0-9a-f]{12}$`)

// All lists the folders of runs in the store by name. strays are other entries, which may
// be copies of runs.
func (s Store) All() (runs []Folder, strays []string, err error) {
	entries, err := os.ReadDir(s.Runs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	for _, e := range entries {
		path := filepath.Join(s.Runs(), e.Name())
		info, broken := os.Stat(path) // follows links: a run may be stored elsewhere and linked here
		switch {
		case strings.HasPrefix(e.Name(), "."): // being imported or removed
		case broken == nil && info.IsDir() && folderName.MatchString(e.Name()):
			runs = append(runs, Folder(path))
		default:
			strays = append(strays, path)
		}
	}
	return runs, strays, err
}

// Folder is the folder of one run's files.
type Folder string

// Name is the folder's own name: net, seed and key.
func (f Folder) Name() string { return filepath.Base(string(f)) }

// Key is the key in the folder's name.
func (f Folder) Key() string {
	name := f.Name()
	return name[strings.LastIndexByte(name, '-')+1:]
}

func (f Folder) Record() string      { return filepath.Join(string(f), "record.jsonl") }
func (f Folder) Provenance() string  { return filepath.Join(string(f), "run.json") }
func (f Folder) Weights() string     { return filepath.Join(string(f), "weights.safetensors") }
func (f Folder) Checkpoints() string { return filepath.Join(string(f), "checkpoints") }
func (f Folder) lock() string        { return filepath.Join(string(f), "lock") }

// Compiled is the folder of the device's compiled programs. A resumed run uses them
// again, because compiling again may choose other algorithms.
func (f Folder) Compiled() string { return filepath.Join(f.Checkpoints(), "compiled") }

// Measuring is the folder of measurements of the trained net that are under way.
func (f Folder) Measuring() string { return filepath.Join(string(f), "measuring") }

// Take takes the run's lock. If another process trains the run, the error is a
// *lock.HeldError.
func (f Folder) Take(locks *lock.Set) (*lock.Lock, error) {
	if err := disk.MakeDir(string(f)); err != nil {
		return nil, err
	}
	return locks.Take(f.lock())
}

// Progress is how far a run has come.
type Progress int

const (
	Nothing  Progress = iota
	Begun             // resumes from its checkpoints
	Complete          // trained to its end
)

// Find returns how far the run has come. A record without run.json is enough: the
// folder's name says which run it is.
func (f Folder) Find() (Progress, error) {
	rec, err := record.Read(f.Record())
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, record.ErrEmpty):
		if f.HasCheckpoint() {
			return Begun, nil
		}
		return Nothing, nil
	case err != nil:
		return Nothing, err
	case rec.Finished():
		return Complete, nil
	}
	return Begun, nil
}

// HasCheckpoint reports whether the run can resume from a checkpoint.
func (f Folder) HasCheckpoint() bool { return len(state.Files(f.Checkpoints(), f.Name())) > 0 }

// Tidy removes what a finished run no longer needs, and incomplete files of a killed
// process. The caller holds the run's lock.
func Tidy(f Folder) error {
	return errors.Join(RemoveTemporaries(f), os.RemoveAll(f.Checkpoints()))
}

// RemoveTemporaries removes incomplete files of a killed process. The caller holds the
// run's lock.
func RemoveTemporaries(f Folder) error {
	all := func(string) bool { return true }
	return disk.RemoveTemporaries(string(f), all)
}

// Locked reports whether the folder has a lock, whoever holds it.
func (f Folder) Locked() bool {
	_, err := lock.Read(f.lock())
	return !errors.Is(err, fs.ErrNotExist)
}

// Holder returns the living process that trains the run.
func (f Folder) Holder() (lock.Holder, bool) {
	h, err := lock.Read(f.lock())
	return h, err == nil && !h.Dead()
}

// Remove removes the run. Its folder is renamed first, so that no part of it remains
// under its name. Fails if a living process trains the run.
func Remove(f Folder) error {
	if h, held := f.Holder(); held {
		return fmt.Errorf("%s is being trained by %v (last sign of life %s); if that process is gone, remove %s", f.Name(), h, h.Beating.Format(time.DateTime), f.lock())
	}
	gone := filepath.Join(filepath.Dir(string(f)), ".removed-"+f.Name())
	if err := errors.Join(os.RemoveAll(gone), os.Rename(string(f), gone)); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// Size is the size of the run's files on disk, in bytes.
func Size(f Folder) (bytes int64) {
	filepath.WalkDir(string(f), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// Space is the disk space of a run, in bytes, for a net with this many parameters: what
// is kept when the run is finished, and what is needed in addition while it trains.
func Space(run experiments.Run, params int64) (kept, passing int64) {
	// Running statistics and the names of tensors are a few percent more.
	weights := 4*params + 4*params/16 + 1<<16
	const event = 200 // bytes of one line of the record
	var looks int64   // one norm of each layer at every test
	if arch, err := nets.ParseArch(run.Net); err == nil {
		looks = int64(run.Schedule.Stop/run.EvalEvery+2) * 10 * int64(arch.Depth)
	}
	files := int64(1) // of weights
	if run.Keep.Best {
		files++
	}
	if run.Keep.Every > 0 {
		files += int64((run.Schedule.Stop - run.From) / run.Keep.Every)
	}
	events := int64(run.Schedule.Stop/run.LogEvery + run.Schedule.Stop/run.EvalEvery + len(run.Schedule.At) + 20)
	return files*weights + events*event + looks, (state.Keep + 1) * 2 * weights // with momenta; old checkpoints stay while the next one is written
}
