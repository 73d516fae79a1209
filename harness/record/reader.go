// Reads records strictly.

package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// maxLine is the maximum length of a record's line, in bytes.
const maxLine = 1 << 20

// ErrEmpty is returned for a record without a complete line: its run is just beginning.
var ErrEmpty = errors.New("the record has no events yet")

// RunRecord is the record of one run, as read back.
type RunRecord struct {
	Path   string
	Start  Start
	Events []Event // all events; "start" is the first
}

// Read reads the record of one run. It ignores an incomplete last line, because the run
// may be writing it. Any other deviation from what Writer writes is an error with file
// and line.
func Read(path string) (*RunRecord, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(path, f)
}

func read(path string, from io.Reader) (*RunRecord, error) {
	f := Follower{Path: path}
	if err := f.extend(from); err != nil {
		return nil, err
	}
	return f.rec, nil
}

// wholeLine is a bufio.SplitFunc for lines that end with a newline.
func wholeLine(b []byte, _ bool) (advance int, line []byte, err error) {
	if n := bytes.IndexByte(b, '\n') + 1; n > 0 {
		return n, b[:n], nil
	}
	return 0, nil, nil
}

func parse(line []byte) (Event, error) {
	var e Event
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		if err == io.EOF {
			return e, errors.New("empty line")
		}
		return e, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return e, errors.New("more than one value on the line")
	}
	return e, nil
}

// checker holds what the lines so far imply for the next line.
type checker struct {
	started     bool
	train, eval int // steps of the latest events of these kinds
	latest      int // highest step so far
	steps       int
}

func (c *checker) next(e Event) error {
	if c.started != (e.Kind != "start") {
		return fmt.Errorf("%q event: the first event, and no other, is \"start\"", e.Kind)
	}
	switch {
	case e.Step < 0:
		return fmt.Errorf("%q event: step %d is negative", e.Kind, e.Step)
	case c.started && e.Step > c.steps:
		return fmt.Errorf("%q event: step %d is after the last, %d", e.Kind, e.Step, c.steps)
	}
	switch e.Kind {
	case "start":
		if e.Start == nil {
			return errors.New("\"start\" event without \"start\"")
		}
		if e.Start.Net == "" || e.Start.Steps <= 0 {
			return fmt.Errorf("\"start\" event: net %q, %d steps", e.Start.Net, e.Start.Steps)
		}
		c.started, c.steps = true, e.Start.Steps
	case "train":
		// A repeated step means that the record was continued without Truncate.
		if e.Step <= c.train {
			return fmt.Errorf("\"train\" event: step %d comes after step %d", e.Step, c.train)
		}
		c.train = e.Step
	case "eval":
		if e.Step < c.eval {
			return fmt.Errorf("\"eval\" event: step %d comes after step %d", e.Step, c.eval)
		}
		c.eval = e.Step
	case "rate":
		if e.Step < c.latest {
			return fmt.Errorf("\"rate\" event: step %d comes after step %d", e.Step, c.latest)
		}
	case "gradients", "responses":
		if len(e.Layers) == 0 {
			return fmt.Errorf("%q event of step %d without layers", e.Kind, e.Step)
		}
	case "measured":
		if e.Measured == nil || e.Measured.Name == "" {
			return fmt.Errorf("\"measured\" event of step %d does not say what was measured", e.Step)
		}
	case "over":
		if e.Of == "" {
			return fmt.Errorf("\"over\" event of step %d without \"of\"", e.Step)
		}
	case "full", "warn", "stop", "end":
	default:
		return fmt.Errorf("unknown kind of event %q", e.Kind)
	}
	c.latest = max(c.latest, e.Step)
	return nil
}

// runOf returns the ID of the run, taken from the record's file name.
func runOf(path string) string { return strings.TrimSuffix(filepath.Base(path), ".jsonl") }

// Stray reports whether the file at path is probably a copy of a record: its name is not
// that of the run in it. r is its content, or nil if it could not be read. Then the name
// decides: names of runs never have blanks or brackets, names of copies usually do.
func Stray(path string, r *RunRecord) bool {
	if r == nil || r.Start.ID == "" {
		return strings.ContainsAny(runOf(path), " ()")
	}
	return r.Start.ID != runOf(path)
}

// escapeGlob escapes a folder's name, so that Glob does not read it as a pattern.
func escapeGlob(dir string) string {
	var b bytes.Buffer
	for _, c := range []byte(dir) {
		if bytes.IndexByte([]byte(`*?[\`), c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Sort sorts records for figures and tables: plain nets before residual ones, then by
// depth, net, variant, seed and path.
func Sort(recs []*RunRecord) {
	sort.SliceStable(recs, func(i, j int) bool {
		a, b := recs[i].Start, recs[j].Start
		switch {
		case a.Residual != b.Residual:
			return b.Residual
		case a.Depth != b.Depth:
			return a.Depth < b.Depth
		case a.Net != b.Net:
			return a.Net < b.Net
		case a.Variant != b.Variant:
			return a.Variant < b.Variant
		case a.Seed != b.Seed:
			return a.Seed < b.Seed
		}
		return recs[i].Path < recs[j].Path
	})
}
