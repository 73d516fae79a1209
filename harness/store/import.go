// Import: copies runs into the store, from another results folder or from the older
// layout: results/QUESTION/PROFILE with runs/, weights/ and checkpoints/ inside.

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/record"
	"depthlab/harness/state"
)

// Import copies the runs of a question's folder into a store, each atomically, and adds
// them to the question's view there. Finished runs that these begin as or continue come
// along. The folder itself is not changed, so an older program can still use it. Import
// leaves out runs that the store already has, runs that a living process trains, and with
// finished also runs that are not finished. A finished run replaces one of the same name
// that is not finished. Import returns the number of runs copied. say reports each run that
// was not copied, and why.
func Import(dir string, into Store, finished bool, say func(format string, args ...any)) (n int, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	view := into.View(filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
	entries, n, err := importRuns(View(dir), into, finished, say)
	if err != nil || len(entries) == 0 {
		return n, err
	}
	file, known, err := view.Read()
	if err != nil {
		return n, err
	}
	for _, e := range known {
		switch i := slices.IndexFunc(entries, func(n Entry) bool { return n.ID == e.ID }); {
		case i < 0:
			entries = append(entries, e)
		case entries[i].Run != e.Run:
			say("%s is %s now; %s is not listed any more", e.ID, entries[i].Run, e.Run)
		}
	}
	if text, err := os.ReadFile(View(dir).Question()); err == nil {
		if _, err := os.Stat(view.Question()); errors.Is(err, fs.ErrNotExist) {
			if err := disk.Write(view.Question(), text); err != nil {
				return n, err
			}
		}
	}
	return n, view.Write(file, entries)
}

// Former reports whether a question's folder has runs in the older layout.
func Former(v View) bool {
	found, _ := formerRuns(string(v))
	return len(found) > 0
}

func importRuns(from View, into Store, finished bool, say func(format string, args ...any)) (entries []Entry, n int, err error) {
	_, listed, err := from.Read()
	if err != nil {
		return nil, 0, err
	}
	var folders []Folder
	for _, e := range listed {
		f := from.Folder(e)
		if f == into.Run(e.Run) {
			continue
		}
		if found, err := f.Find(); err != nil || found != Complete {
			say("%s is left where it is: %s", f.Name(), cause(err))
			continue
		}
		entries, folders = append(entries, e), append(folders, f)
	}
	for _, f := range sources(folders) {
		if found, err := f.Find(); err != nil || found != Complete {
			say("%s, with whose weights others begin, is left where it is: %s", f.Name(), cause(err))
			continue
		}
		folders = append(folders, f)
	}
	for _, f := range folders {
		to := into.Run(f.Name())
		brought, err := bring(to, true, func(tmp Folder) error { return copyRun(f, tmp) })
		if err != nil {
			return nil, n, err
		}
		if brought {
			n++
		} else if err := supply(f, to, say); err != nil {
			return nil, n, err
		}
	}
	ids, err := formerRuns(string(from))
	if err != nil {
		return nil, n, err
	}
	for _, id := range ids {
		old, err := readFormer(string(from), id)
		if err != nil {
			say("%s is left where it is: %v", id, err)
			continue
		}
		if finished && old.Finished == "" {
			say("%s is left where it is: it is not finished", id)
			continue
		}
		to := into.Folder(old.Run, old.key)
		brought, err := bring(to, old.Finished != "", func(tmp Folder) error { return old.copy(tmp, to) })
		var held *lock.HeldError
		if errors.As(err, &held) {
			say("%s is left where it is: %v", id, err)
			continue
		}
		if err != nil {
			return nil, n, fmt.Errorf("%s: %w", id, err)
		}
		if brought {
			n++
		}
		entries = append(entries, Entry{ID: id, Run: to.Name()})
	}
	return entries, n, nil
}

// bring makes a run's folder and calls fill to fill it, atomically. A run that is there
// already is left alone, but a finished one replaces one that is not finished and that no
// process trains.
func bring(to Folder, finished bool, fill func(tmp Folder) error) (brought bool, err error) {
	_, err = os.Stat(string(to))
	exists := err == nil
	if exists {
		found, err := to.Find()
		if _, held := to.Holder(); held || !finished || found == Complete || err != nil {
			return false, nil
		}
	}
	tmp := Folder(filepath.Join(filepath.Dir(string(to)), fmt.Sprintf(".coming-%s-%d", to.Name(), os.Getpid()))) // others may bring it, too
	if err := errors.Join(os.RemoveAll(string(tmp)), disk.MakeDir(string(tmp))); err != nil {
		return false, err
	}
	if err := fill(tmp); err != nil {
		return false, errors.Join(err, os.RemoveAll(string(tmp)))
	}
	if exists {
		if err := Remove(to); err != nil {
			return false, errors.Join(err, os.RemoveAll(string(tmp)))
		}
	}
	if err := os.Rename(string(tmp), string(to)); err != nil {
		if found, _ := to.Find(); found == Complete { // another process brought it
			err = nil
		}
		return false, errors.Join(err, os.RemoveAll(string(tmp)))
	}
	return true, nil
}

// supply copies the weights of a finished run to the same run, which lacks them. say reports why
// another run of that name stays as it is.
func supply(from, to Folder, say func(format string, args ...any)) error {
	if h, held := to.Holder(); held {
		say("%s stays as it is: it is being trained by %v", to.Name(), h)
		return nil
	}
	theirs, err := os.ReadFile(from.Record())
	if err != nil {
		return err
	}
	if ours, err := os.ReadFile(to.Record()); err != nil || !bytes.Equal(ours, theirs) {
		say("%s is here already, with another record, and stays; ./run.sh rm %[1]s removes it, so that the other can come", to.Name())
		return nil
	}
	if _, err := os.Stat(to.Weights()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return copyIfThere(from.Weights(), to.Weights())
}

// copyRun copies a finished run.
func copyRun(from, to Folder) error {
	return errors.Join(
		copyFile(from.Record(), to.Record()), copyIfThere(from.Provenance(), to.Provenance()), copyIfThere(from.Weights(), to.Weights()), copyKept(from, to))
}

func copyIfThere(from, to string) error {
	if err := copyFile(from, to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return disk.WriteFunc(to, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}

// former is a run in the older layout.
type former struct {
	dir, id, key string
	Provenance
}

// formerRuns lists the runs in a question's folder in the older layout.
func formerRuns(dir string) (ids []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".jsonl")
		if !ok {
			continue
		}
		path := filepath.Join(dir, "runs", e.Name())
		if rec, _ := record.Read(path); !record.Stray(path, rec) {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// readFormer reads runs/ID.json of the older layout.
func readFormer(dir, id string) (*former, error) {
	text, err := os.ReadFile(filepath.Join(dir, "runs", id+".json"))
	if err != nil {
		return nil, fmt.Errorf("its recipe is unknown: %w", err)
	}
	// A file without sessions describes the latest process at its top level.
	var file struct {
		Provenance
		Proof                struct{ Program, Data, Source string }
		Version, Go, Started string
		Device               device.Info
		Choices              []device.Choice
		Seconds              float64
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, &DamagedError{filepath.Join(dir, "runs", id+".json"), err}
	}
	f := &former{dir: dir, id: id, Provenance: file.Provenance}
	source := ""
	if file.Run.Extend != "" {
		from, err := readFormer(dir, file.Run.Source())
		if err != nil {
			return nil, fmt.Errorf("the run that it begins as: %w", err)
		}
		source = from.key
		f.Source = Store("").Folder(from.Run, from.key).Name()
	}
	f.Checksum = file.Proof.Data
	f.key = Key(file.Run, file.Proof.Data, source)
	f.Key = f.key
	if f.Sessions == nil {
		f.Sessions = []Session{{
			Version: file.Version, Go: file.Go, Device: file.Device, Choices: file.Choices, Program: file.Proof.Program,
			Last: file.Run.Schedule.Stop, Started: file.Started, Ended: file.Finished, Seconds: file.Seconds, Note: unknownHistory,
		}}
	}
	return f, nil
}

// copy copies the run into tmp, whose final name is to. If the run is not finished, copy
// holds its lock meanwhile.
func (f *former) copy(tmp, to Folder) error {
	path := filepath.Join(f.dir, "runs", f.id+".jsonl")
	rec, err := record.Read(path)
	if err != nil {
		return err
	}
	if !rec.Finished() {
		var locks lock.Set
		held, err := locks.Take(filepath.Join(f.dir, "runs", f.id+".lock"))
		if err != nil {
			return err
		}
		defer held.Release()
		if err := f.copyCheckpoint(tmp, to); err != nil {
			return err
		}
	}
	if err := copyFile(path, tmp.Record()); err != nil {
		return err
	}
	if err := copyIfThere(filepath.Join(f.dir, "weights", f.id+".safetensors"), tmp.Weights()); err != nil {
		return err
	}
	return WriteProvenance(tmp, &f.Provenance)
}

// copyCheckpoint copies the newest undamaged checkpoint, under the run's new name.
func (f *former) copyCheckpoint(tmp, to Folder) error {
	c, _, err := state.Latest(filepath.Join(f.dir, "checkpoints"), f.id)
	if err != nil || c == nil {
		return err
	}
	return state.Save(tmp.Checkpoints(), to.Name(), c)
}
