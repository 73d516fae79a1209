// Results that somebody sent, checked before any of it is used.

package store

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/record"
	"depthlab/harness/state"
)

// PackError says what is wrong with a file that was to be unpacked.
type PackError struct {
	Path string
	Err  error
}

func (e *PackError) Error() string { return fmt.Sprintf("%s: %v; nothing was unpacked", e.Path, e.Err) }
func (e *PackError) Unwrap() error { return e.Err }

// The largest sizes of what is unpacked, in bytes, and the most files.
const (
	maxText     = 16 << 20
	maxRecord   = 1 << 30
	maxWeights  = 4 << 30
	maxUnpacked = 64 << 30
	maxFiles    = 100_000
)

var (
	// Folders are named after files and options of the user (preview+optimizer.rate=0.05), and after
	// nets (resnet-32_scale=0.5). They may have any characters but those that no file system or
	// terminal likes.
	questionName = regexp.MustCompile(`^[^/\\:.\pC][^/\\:\pC]{0,149}/[^/\\:.\pC][^/\\:\pC]{0,149}$`)
	runFile      = regexp.MustCompile(`^runs/([a-z][^/\\:\pC]{0,149}-seed[0-9]+-[0-9a-f]{12})/(record\.jsonl|run\.json|weights\.safetensors)$`)
)

// limit is the most bytes of a file of a pack, and whether it is to be unpacked; ok is
// false for one that no pack has. What was drawn stays where it is: it is drawn anew,
// from the records.
func limit(name string) (most uint64, wanted, ok bool) {
	if m := runFile.FindStringSubmatch(name); m != nil {
		return map[string]uint64{"record.jsonl": maxRecord, "run.json": maxText, "weights.safetensors": maxWeights}[m[2]], true, true
	}
	dir, file := path.Split(name)
	switch {
	case name == "README.txt":
		return maxText, false, true
	case !questionName.MatchString(strings.TrimSuffix(dir, "/")) || strings.HasPrefix(name, "runs/"):
		return 0, false, false
	case file == "question.yaml" || file == "runs.json":
		return maxText, true, true
	}
	return maxWeights, false, drawn.MatchString(file)
}

// Unpack brings the runs of a packed question into a store, and gives the question's
// view there and how many runs came. What is there already is left alone, except for runs
// that are not finished: see Import. Everything is checked first: a *PackError says what is
// wrong, and then nothing was changed.
func Unpack(from string, into Store, say func(format string, args ...any)) (v View, runs int, err error) {
	refuse := func(err error) (View, int, error) { return "", 0, &PackError{from, err} }
	z, err := zip.OpenReader(from)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		return "", 0, err
	case err != nil:
		return refuse(fmt.Errorf("it is not a zip file, or it is incomplete (%w)", err))
	}
	defer z.Close()
	name, size, err := survey(z.File)
	if err != nil {
		return refuse(err)
	}
	if err := disk.MakeDir(string(into)); err != nil {
		return "", 0, err
	}
	if free, known := disk.Free(string(into)); known && int64(size) > free {
		return refuse(fmt.Errorf("it needs %d MiB on the disk of %s, where %d MiB are free", size>>20, into, free>>20))
	}
	tmp, err := os.MkdirTemp(string(into), ".unpacking-")
	if err != nil {
		return "", 0, err
	}
	defer os.RemoveAll(tmp)
	for _, f := range z.File {
		if _, wanted, _ := limit(f.Name); wanted {
			broken, err := extract(f, filepath.Join(tmp, filepath.FromSlash(f.Name)))
			if broken != nil {
				return refuse(fmt.Errorf("%s: %w", f.Name, broken))
			}
			if err != nil {
				return "", 0, err
			}
		}
	}
	packed := View(filepath.Join(tmp, filepath.FromSlash(name)))
	v = View(filepath.Join(string(into), filepath.FromSlash(name)))
	if err := checkView(packed); err != nil {
		return refuse(relative(err, tmp))
	}
	if err := agrees(packed, v); err != nil {
		return refuse(err)
	}
	runs, err = Import(string(packed), into, true, say)
	return v, runs, err
}

// survey checks the names and sizes of a zip's files, and gives the name of its one
// question and the bytes that will be unpacked.
func survey(files []*zip.File) (question string, size uint64, err error) {
	if len(files) > maxFiles {
		return "", 0, fmt.Errorf("it has %d files, more than %d", len(files), maxFiles)
	}
	seen := map[string]bool{}
	for _, f := range files {
		most, wanted, ok := limit(f.Name)
		switch {
		case strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 == 0 && path.Clean(f.Name)+"/" == f.Name && !strings.HasPrefix(f.Name, "."):
			continue // a folder, as other programs write them
		case !fs.ValidPath(f.Name) || strings.ContainsAny(f.Name, "\\:\x00"):
			return "", 0, fmt.Errorf("the name %q leads out of it", f.Name)
		case !f.Mode().IsRegular():
			return "", 0, fmt.Errorf("%q is not a regular file", f.Name)
		case !ok:
			return "", 0, fmt.Errorf("%q is none of the files that pack writes", f.Name)
		case seen[f.Name]:
			return "", 0, fmt.Errorf("%q is in it twice", f.Name)
		case f.UncompressedSize64 > most:
			return "", 0, fmt.Errorf("%q has %d MiB, more than %d", f.Name, f.UncompressedSize64>>20, most>>20)
		}
		seen[f.Name] = true
		if wanted {
			size += f.UncompressedSize64
		}
		if dir, file := path.Split(f.Name); file == "question.yaml" {
			if question != "" {
				return "", 0, fmt.Errorf("it has two questions, %s and %s", question, path.Clean(dir))
			}
			question = path.Clean(dir)
		}
	}
	switch {
	case question == "" || !seen[question+"/runs.json"]:
		return "", 0, errors.New("it has no question.yaml with its runs.json: not written by pack")
	case size > maxUnpacked:
		return "", 0, fmt.Errorf("it would unpack to %d GiB, more than %d", size>>30, maxUnpacked>>30)
	}
	return question, size, nil
}

// extract writes a file of a zip. broken is what is wrong with the zip; err is that it
// could not be written.
func extract(f *zip.File, to string) (broken, err error) {
	in, err := f.Open()
	if err != nil {
		return err, nil
	}
	defer in.Close()
	// A file with more than it says is an error of the reader's, as one with another sum.
	from := &noting{from: in}
	err = disk.WriteFunc(to, func(w io.Writer) error { _, err := io.Copy(w, from); return err })
	if from.err != nil {
		return from.err, nil
	}
	return nil, err
}

// noting is a reader that notes why it could not read on.
type noting struct {
	from io.Reader
	err  error
}

func (n *noting) Read(b []byte) (int, error) {
	k, err := n.from.Read(b)
	if err != io.EOF {
		n.err = err
	}
	return k, err
}

// checkView reads all of an unpacked question as it would be read later, and more strictly.
func checkView(v View) error {
	q, err := Load(v)
	if err != nil {
		return err
	}
	if len(q.Plans) != 1 {
		return fmt.Errorf("question.yaml has %d profiles, expected the one that was asked", len(q.Plans))
	}
	_, entries, err := v.Read()
	if err != nil {
		return err
	}
	folders, strays, err := v.Store().All()
	if err != nil {
		return fmt.Errorf("runs: %w", err)
	}
	if len(strays) > 0 {
		return fmt.Errorf("runs: %q are not runs", strays)
	}
	for _, f := range folders {
		if err := checkRun(f); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if strings.ContainsAny(e.ID, "/\\\x00") {
			return fmt.Errorf("runs.json: %q is not the name of a run", e.ID)
		}
		if _, err := os.Stat(string(v.Folder(e))); err != nil {
			return fmt.Errorf("runs.json lists %s, whose folder runs/%s is missing", e.ID, e.Run)
		}
	}
	return nil
}

// checkRun fails unless the folder has a whole, finished run that its name belongs to.
func checkRun(f Folder) error {
	rec, err := record.Read(f.Record())
	if err != nil {
		return err
	}
	if !rec.Finished() {
		return fmt.Errorf("%s: the run is not finished", f.Record())
	}
	p, err := ReadProvenance(f)
	if err != nil {
		return err
	}
	source := ""
	if p.Run.Extend != "" { // the key of a run that continues another has the sum of its weights instead
		source = Folder(p.Source).Key()
	}
	if name := p.Run.Name() + "-" + Key(p.Run, p.Checksum, source); name != f.Name() {
		return fmt.Errorf("%s: its recipe and data are those of a run called %s", f.Provenance(), name)
	}
	s := rec.Start
	if s.Net != p.Run.Net || s.Seed != p.Run.Seed || s.Steps != p.Run.Schedule.Stop || s.Batch != p.Run.Batch {
		return fmt.Errorf("%s: a record of %s, seed %d, %d steps of %d images; run.json has %s, seed %d, %d steps of %d",
			f.Record(), s.Net, s.Seed, s.Steps, s.Batch, p.Run.Net, p.Run.Seed, p.Run.Schedule.Stop, p.Run.Batch)
	}
	if _, err := os.Stat(f.Weights()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err = state.ReadFile(f.Weights())
	return err
}

// agrees fails if the store has another question of that name, or other runs of that question, such
// as in another precision: its list would name the packed ones instead.
func agrees(packed, own View) error {
	theirs, err := Load(packed)
	if err != nil {
		return err
	}
	if _, err := os.Stat(own.Question()); err == nil { // its text may be of another version
		ours, err := Load(own)
		if err != nil || !slices.Equal(hashes(ours), hashes(theirs)) {
			return fmt.Errorf("%s is another question of the same name; --into FOLDER unpacks elsewhere", own.Question())
		}
	}
	_, listed, err := own.Read()
	if err != nil {
		return err
	}
	_, entries, err := packed.Read()
	if err != nil {
		return err
	}
	for _, o := range listed {
		if found, err := own.Folder(o).Find(); err == nil && found == Nothing {
			continue
		}
		for _, e := range entries {
			if o.ID == e.ID && o.Run != e.Run {
				return fmt.Errorf("%s lists other runs: %s is %s there, and %s here; --into FOLDER unpacks elsewhere", own.List(), e.ID, o.Run, e.Run)
			}
		}
	}
	return nil
}

// hashes are the hashes of a question's runs.
func hashes(q *experiments.Question) (all []string) {
	for _, p := range q.Plans {
		for _, run := range p.Runs {
			all = append(all, run.Hash())
		}
	}
	return all
}

// relative takes the temporary folder out of what an error says.
func relative(err error, dir string) error {
	if text := err.Error(); strings.Contains(text, dir) {
		return errors.New(strings.ReplaceAll(strings.ReplaceAll(text, dir+string(filepath.Separator), ""), dir, "it"))
	}
	return err
}
