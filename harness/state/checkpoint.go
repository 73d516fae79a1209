// Checkpoints: saves the state of a run, finds the newest undamaged one, removes old
// ones.

package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"depthlab/harness/disk"
)

// Checkpoint is the state of a run after a number of steps.
type Checkpoint struct {
	Step    int               // steps done
	Meta    map[string]string // of the caller; no key begins with "depthlab."
	Tensors []Tensor
}

// Keys of the metadata that Save adds and load removes. The SHA-256 is over the whole
// file, header included, with zeros in place of its own digits.
const (
	reserved = "depthlab."
	idKey    = reserved + "id"
	stepKey  = reserved + "step"
	sumKey   = reserved + "sha256"
)

var noSum = strings.Repeat("0", 2*sha256.Size)

const (
	extension   = ".safetensors"
	damagedMark = ".damaged"
)

// Keep is the number of checkpoints that are kept of a run. The older one is used if the
// newer one is damaged.
const Keep = 2

// Path is the path of a run's checkpoint: DIR/ID-step000123.safetensors.
func Path(dir, id string, step int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-step%06d%s", id, step, extension))
}

// Save writes a checkpoint atomically: whole or not at all. Then it removes all but the
// latest Keep checkpoints up to this step. It makes dir if necessary. Only one process at
// a time may save a run. A file of the same step is replaced.
func Save(dir, id string, c *Checkpoint) error {
	if err := checkID(id); err != nil {
		return err
	}
	if c.Step < 0 {
		return fmt.Errorf("checkpoint of step %d", c.Step)
	}
	path := Path(dir, id, c.Step)
	meta := map[string]string{idKey: id, stepKey: strconv.Itoa(c.Step), sumKey: noSum}
	for k, v := range c.Meta {
		if strings.HasPrefix(k, reserved) {
			return fmt.Errorf("%s: metadata key %q is reserved", path, k)
		}
		meta[k] = v
	}
	header, tensors, err := encodeHeader(meta, c.Tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	sum, err := sumSpace(header, noSum)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	h := sha256.New()
	writeParts(h, header, tensors) // a hash never returns an error
	copy(sum, digits(h))
	if err := disk.WriteFunc(path, func(w io.Writer) error { return writeParts(w, header, tensors) }); err != nil {
		return err
	}
	found, err := list(dir, id)
	if err != nil {
		return err
	}
	steps := slices.DeleteFunc(found.steps, func(s int) bool { return s > c.Step })
	return errors.Join(removeTemporaries(dir, id), removeAll(dir, base(id, steps[min(Keep, len(steps)):])))
}

func digits(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// sumSpace returns the bytes of a header that hold the digits of the SHA-256.
func sumSpace(header []byte, sum string) ([]byte, error) {
	mark := []byte(`"` + sumKey + `":"` + sum + `"`)
	i := bytes.Index(header, mark)
	if i < 0 || bytes.Contains(header[i+1:], mark) {
		return nil, errors.New("the header has no place for a SHA-256, or more than one")
	}
	end := i + len(mark) - 1
	return header[end-len(sum) : end], nil
}

// load reads a checkpoint that Save wrote, and the ID of its run. A *FormatError means that
// it is damaged: load notices every changed, missing or added byte.
func load(path string) (c *Checkpoint, id string, err error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, "", err
	}
	c, id, err = decodeCheckpoint(b)
	return c, id, at(path, err)
}

func decodeCheckpoint(b []byte) (c *Checkpoint, id string, err error) {
	f, err := Decode(b)
	if err != nil {
		return nil, "", err
	}
	want := f.Meta[sumKey]
	if len(want) != len(noSum) {
		return nil, "", wrong("no SHA-256 in its metadata: this program did not write it as a checkpoint")
	}
	header, data, err := cut(b)
	if err != nil {
		return nil, "", err
	}
	start := b[:prefix+len(header)]
	// Work on a copy: b belongs to the caller, and the header is small.
	start = bytes.Clone(start)
	space, err := sumSpace(start, want)
	if err != nil {
		return nil, "", wrong("%v", err)
	}
	copy(space, noSum)
	h := sha256.New()
	h.Write(start)
	h.Write(data)
	if got := digits(h); got != want {
		return nil, "", wrong("its SHA-256 is %s, it was written with %s", got, want)
	}
	step, err := strconv.Atoi(f.Meta[stepKey])
	if err != nil {
		return nil, "", wrong("%s is %q", stepKey, clip(f.Meta[stepKey]))
	}
	id = f.Meta[idKey]
	maps.DeleteFunc(f.Meta, func(k, _ string) bool { return strings.HasPrefix(k, reserved) })
	return &Checkpoint{Step: step, Meta: f.Meta, Tensors: f.Tensors}, id, nil
}

// Latest reads a run's newest undamaged checkpoint. It returns nil without an error if
// there is none. It renames a damaged one to *.damaged, with a warning that names it and
// the damage. It removes temporary files of an interrupted Save. A file that cannot be
// read is an error, because it may be undamaged.
func Latest(dir, id string) (c *Checkpoint, warnings []string, err error) {
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	found, err := list(dir, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := removeTemporaries(dir, id); err != nil {
		warnings = append(warnings, fmt.Sprintf("a temporary file of an interrupted run could not be removed: %v", err))
	}
	for _, step := range found.steps {
		path := Path(dir, id, step)
		c, owner, err := load(path)
		if err == nil && (owner != id || c.Step != step) {
			err = &FormatError{path, fmt.Sprintf("it is of step %d of run %q", c.Step, clip(owner))}
		}
		var damage *FormatError
		switch {
		case err == nil:
			return c, warnings, nil
		case !errors.As(err, &damage):
			return nil, warnings, err
		}
		note := fmt.Sprintf("damaged checkpoint set aside as %s: %s", filepath.Base(path)+damagedMark, damage.What)
		if err := os.Rename(path, path+damagedMark); err != nil {
			note = fmt.Sprintf("damaged checkpoint skipped, but not renamed (%v): %s", err, damage.What)
		}
		warnings = append(warnings, note)
	}
	return nil, warnings, nil
}

// Files lists the paths of a run's checkpoints, including damaged ones.
func Files(dir, id string) []string {
	found, err := list(dir, id)
	if err != nil {
		return nil
	}
	var paths []string
	for _, name := range append(base(id, found.steps), found.damaged...) {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// base returns the file names of a run's checkpoints.
func base(id string, steps []int) []string {
	var names []string
	for _, s := range steps {
		names = append(names, filepath.Base(Path("", id, s)))
	}
	return names
}

func removeTemporaries(dir, id string) error {
	return disk.RemoveTemporaries(dir, func(name string) bool {
		step, rest, ok := parseName(name, id)
		return ok && rest == extension && name == filepath.Base(Path("", id, step))
	})
}

func removeAll(dir string, names []string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// files lists the checkpoint files of one run.
type files struct {
	steps   []int // of its undamaged checkpoints, latest first
	damaged []string
}

func list(dir, id string) (found files, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return files{}, err
	}
	for _, e := range entries {
		step, rest, ok := parseName(e.Name(), id)
		switch {
		case !ok:
		case rest == extension && e.Name() == filepath.Base(Path("", id, step)): // not "step5", which Save does not write
			found.steps = append(found.steps, step)
		case rest == extension+damagedMark:
			found.damaged = append(found.damaged, e.Name())
		}
	}
	slices.Sort(found.steps)
	slices.Reverse(found.steps)
	return found, nil
}

// parseName splits a file name ID-stepSTEP.REST into step and .REST.
func parseName(name, id string) (step int, rest string, ok bool) {
	number, found := strings.CutPrefix(name, id+"-step")
	if i := strings.IndexByte(number, '.'); found && i >= 0 {
		number, rest = number[:i], number[i:]
		step, err := strconv.Atoi(number)
		return step, rest, err == nil && step >= 0
	}
	return 0, "", false
}

// checkID refuses an ID that is not a plain file name, or a hidden one.
func checkID(id string) error {
	if id == "" || id[0] == '.' || len(id) > 200 || strings.ContainsAny(id, "/\\\x00") {
		return fmt.Errorf("%q cannot be the ID of a run, because it becomes part of a file name", clip(id))
	}
	return nil
}
