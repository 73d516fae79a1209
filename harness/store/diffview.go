// What differs between two questions, run by run.

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// RunDifference is what differs between the runs that two questions call by the same ID.
type RunDifference struct {
	ID          string       `json:"id"`
	A           string       `json:"a,omitempty"` // name of the run's folder in the first question; "" for none
	B           string       `json:"b,omitempty"` // and in the second
	Differences []Difference `json:"differences"`
	Problem     string       `json:"problem,omitempty"` // why they could not be compared
}

// DiffViews compares the runs of two questions, those of the first in their order and
// then those that only the second has.
func DiffViews(a, b View) ([]RunDifference, error) {
	_, first, err := a.Read()
	if err != nil {
		return nil, err
	}
	_, second, err := b.Read()
	if err != nil {
		return nil, err
	}
	if len(first) == 0 || len(second) == 0 {
		return nil, fmt.Errorf("%s has %d runs and %s has %d: nothing to compare", a, len(first), b, len(second))
	}
	all := []RunDifference{}
	for _, e := range first {
		d := RunDifference{ID: e.ID, A: e.Run, Differences: []Difference{}}
		if i := slices.IndexFunc(second, func(o Entry) bool { return o.ID == e.ID }); i >= 0 {
			d.B = second[i].Run
			d.compare(a.Folder(e), b.Folder(second[i]))
		}
		all = append(all, d)
	}
	for _, e := range second {
		if !slices.ContainsFunc(first, func(o Entry) bool { return o.ID == e.ID }) {
			all = append(all, RunDifference{ID: e.ID, B: e.Run, Differences: []Difference{}})
		}
	}
	return all, nil
}

func (d *RunDifference) compare(a, b Folder) {
	differences, err := Diff(string(a), string(b))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.Problem = "not begun in one of them"
	case err != nil:
		d.Problem = err.Error()
	case differences != nil:
		d.Differences = differences
	}
}

// Shared are the differences that all compared runs have, with the same values: what
// was changed in the question. With fewer than two runs there are none.
func Shared(all []RunDifference) (shared []Difference) {
	var compared []RunDifference
	for _, d := range all {
		if d.A != "" && d.B != "" && d.Problem == "" {
			compared = append(compared, d)
		}
	}
	if len(compared) < 2 {
		return nil
	}
	for _, x := range compared[0].Differences {
		if !slices.ContainsFunc(compared, func(d RunDifference) bool { return !slices.Contains(d.Differences, x) }) {
			shared = append(shared, x)
		}
	}
	return shared
}
