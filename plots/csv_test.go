// Tests of the tables for programs.

package plots

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"testing"

	"depthlab/harness/record"
)

// Every measurement is in curves.csv, once, with all its digits.
func TestCurvesAreTidy(t *testing.T) {
	q, rs := preview()
	third := 100.0 / 3
	rs[0].Events[1].Error, rs[0].Events[1].Seconds = &third, 1.5
	rs[0].Start.Variant = `a, "b"`
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := writeCurves(&b, nets); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines[0], ","); got != "net,seed,step,finished,train_error,train_loss,test_error,test_loss,rate,seconds" {
		t.Error(got)
	}
	have := map[string][]string{}
	for _, l := range lines[1:] {
		key := strings.Join(l[:3], "|")
		if have[key] != nil {
			t.Errorf("%s comes twice", key)
		}
		have[key] = l
	}
	points := 0
	for _, r := range rs {
		at := func(step int) []string {
			return have[strings.Join([]string{r.Start.Label(), strconv.FormatUint(r.Start.Seed, 10), strconv.Itoa(step)}, "|")]
		}
		for column, curve := range map[int][]record.Point{4: r.TrainCurve(), 6: r.TestCurve()} {
			for _, p := range curve {
				l := at(p.Step)
				if l == nil {
					t.Fatalf("%s lacks step %d", r.Start.ID, p.Step)
				}
				if got, err := strconv.ParseFloat(l[column], 64); err != nil || got != p.Error {
					t.Errorf("%s, step %d: %q, want %v", r.Start.ID, p.Step, l[column], p.Error)
				}
				points++
			}
		}
	}
	if points < 100 {
		t.Errorf("%d points were compared", points)
	}
	first := lines[1]
	for _, l := range lines {
		if l[0] == rs[0].Start.Label() {
			first = l
			break
		}
	}
	if first[4] != "33.333333333333336" || first[9] != "1.5" || first[3] != "true" {
		t.Errorf("first line %q", first)
	}
	if table := string(commaSeparated(q, nets)); !strings.Contains(table, `"plain-20 (a, ""b"")",1,`) && !strings.Contains(table, `(a, ""b"")"`) {
		t.Errorf("table.csv:\n%s", table)
	}
}
