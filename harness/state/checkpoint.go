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

// Checkpoint is a run after a number of steps.
type Checkpoint struct {
	Step    int               // steps done
	Meta    map[string]string // the caller's; no key begins with "depthlab."
	Tensors []Tensor
}

// Metadata that Save adds and Load takes off. The sum is over the whole file,
// header and all, with the sum's own digits being zeros.
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

// Keep is how many checkpoints of a run are kept: the older is for when the
// newer is damaged.
const Keep = 2

// Path is the file of a run's checkpoint: ID-step000123.safetensors.
func Path(dir, id string, step int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-step%06d%s", id, step, extension))
}

// Save writes a checkpoint, whole or not at all, and then removes all but the
// latest Keep up to this step. It makes dir if need be. One process at a time
// may save a run. A file of the same step is replaced.
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
	writeParts(h, header, tensors) // a hash never fails
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

// sumSpace is the place in a header of the digits of the sum.
func sumSpace(header []byte, sum string) ([]byte, error) {
	mark := []byte(`"` + sumKey + `":"` + sum + `"`)
	i := bytes.Index(header, mark)
	if i < 0 || bytes.Contains(header[i+1:], mark) {
		return nil, errors.New("the place of its SHA-256 is not to be found")
	}
	end := i + len(mark) - 1
	return header[end-len(sum) : end], nil
}

// Load reads a checkpoint that Save wrote. A *FormatError says that it is
// damaged: any byte that differs, is missing or follows is noticed.
func Load(path string) (*Checkpoint, error) {
	c, _, err := load(path)
	return c, err
}

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
		return nil, "", wrong("no SHA-256 in its metadata, so it is no checkpoint of this program")
	}
	header, data, err := cut(b)
	if err != nil {
		return nil, "", err
	}
	start := b[:prefix+len(header)]
	// Not in place: the header is small and b the caller's.
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

// Latest reads a run's newest checkpoint that is whole; nil without an error
// when there is none. A damaged one is renamed to *.damaged, and warnings name
// it and say why. Temporary files of an interrupted Save are removed. A file
// that cannot be read at all is an error, as it may well be whole.
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
		warnings = append(warnings, fmt.Sprintf("a temporary file of an interrupted run is left: %v", err))
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
			note = fmt.Sprintf("damaged checkpoint passed over, but not renamed (%v): %s", err, damage.What)
		}
		warnings = append(warnings, note)
	}
	return nil, warnings, nil
}

// Files lists the paths of a run's checkpoints, damaged ones among them.
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

// Remove removes all checkpoints of a run, damaged ones and temporary files
// with them. Other files and other runs' stay.
func Remove(dir, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	found, err := list(dir, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(removeTemporaries(dir, id), removeAll(dir, append(base(id, found.steps), found.damaged...)))
}

// base is the names of a run's checkpoints.
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

// files of one run.
type files struct {
	steps   []int // of its checkpoints, latest first
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
		case rest == extension && e.Name() == filepath.Base(Path("", id, step)): // and not "step5"
			found.steps = append(found.steps, step)
		case rest == extension+damagedMark:
			found.damaged = append(found.damaged, e.Name())
		}
	}
	slices.Sort(found.steps)
	slices.Reverse(found.steps)
	return found, nil
}

// parseName takes the step out of ID-stepSTEP.REST.
func parseName(name, id string) (step int, rest string, ok bool) {
	number, found := strings.CutPrefix(name, id+"-step")
	if i := strings.IndexByte(number, '.'); found && i >= 0 {
		number, rest = number[:i], number[i:]
		step, err := strconv.Atoi(number)
		return step, rest, err == nil && step >= 0
	}
	return 0, "", false
}

// checkID refuses what would not be one file name, or a hidden one.
func checkID(id string) error {
	if id == "" || id[0] == '.' || len(id) > 200 || strings.ContainsAny(id, "/\\\x00") {
		return fmt.Errorf("%q can not be the ID of a run: it is part of a file name", clip(id))
	}
	return nil
}
