// Tests that json.md describes all that --json prints, and the lines of a record.

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"depthlab/harness/bench"
	"depthlab/harness/device/xla"
	"depthlab/harness/record"
	"depthlab/harness/store"
)

// printed has the type of each command's JSON, by the headings of json.md.
var printed = map[string]any{
	"runs":               struct{ Runs []runLine }{},
	"status":             map[string][]store.Status{},
	"show":               store.Origin{},
	"diff":               struct{ Differences []store.Difference }{},
	"diff, of questions": struct{ Runs []store.RunDifference }{},
	"plan":               planOutput{},
	"eval":               evalOutput{},
	"eval --images": struct {
		Net      string
		Pictures []pictureResult
	}{},
	"bench":            bench.Result{},
	"bench --accuracy": bench.AccuracyResult{},
	"bench --loader":   bench.LoaderResult{},
	"explain --for":    xla.Forecast{},
	"record.jsonl":     record.Event{},
}

// paths lists the keys of a type's JSON: "runs[].id". The key of a map is "*".
func paths(t reflect.Type, name string) []string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return []string{name}
	case t.Kind() == reflect.Pointer:
		return paths(t.Elem(), name)
	case t.Kind() == reflect.Slice:
		return paths(t.Elem(), name+"[]")
	case t.Kind() == reflect.Map:
		return paths(t.Elem(), strings.TrimPrefix(name+".*", "."))
	case t.Kind() != reflect.Struct:
		return []string{name}
	}
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case key == "-" || !f.IsExported():
		case f.Anonymous && key == "":
			all = append(all, paths(f.Type, name)...)
		default:
			if key == "" && strings.HasPrefix(t.String(), "struct ") {
				key = strings.ToLower(f.Name) // of printed, above
			} else if key == "" {
				key = f.Name
			}
			all = append(all, paths(f.Type, strings.TrimPrefix(name+"."+key, "."))...)
		}
	}
	return all
}

var (
	heading = regexp.MustCompile("^## `(.*)`")
	keyLine = regexp.MustCompile("^\\| `([^`]+)` \\| \\S")
)

// described reads the keys under each heading of json.md.
func described(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open("json.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, at := map[string][]string{}, ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := heading.FindStringSubmatch(lines.Text()); m != nil {
			at = m[1]
		} else if m := keyLine.FindStringSubmatch(lines.Text()); m != nil {
			all[at] = append(all[at], m[1])
		}
	}
	return all
}

func TestJSONIsDescribed(t *testing.T) {
	all := described(t)
	for name, value := range printed {
		have, want := slices.Sorted(slices.Values(all[name])), slices.Sorted(slices.Values(paths(reflect.TypeOf(value), "")))
		for _, key := range want {
			if !slices.Contains(have, key) {
				t.Errorf("json.md, %s: there is no line | `%s` | meaning |", name, key)
			}
		}
		for _, key := range have {
			if !slices.Contains(want, key) {
				t.Errorf("json.md, %s: %s is not printed", name, key)
			}
		}
	}
	for name := range all {
		if _, known := printed[name]; !known {
			t.Errorf("json.md describes %q, which is no command's here", name)
		}
	}
}

// keys lists the keys of a JSON value in the form of json.md.
func keys(v any, name string, all map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, v := range v {
			keys(v, strings.TrimPrefix(name+"."+key, "."), all)
		}
	case []any:
		for _, v := range v {
			keys(v, name+"[]", all)
		}
	case nil:
	default:
		all[name] = true
	}
}

// Each command prints one JSON value and nothing else, without keys that json.md lacks.
func TestJSONIsWhatIsDescribed(t *testing.T) {
	root := t.TempDir()
	published, err := filepath.Abs("../../../results/published")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(published, filepath.Join(root, "results")); err != nil {
		t.Fatal(err)
	}
	question := write(t, root, "plain-8", "4")
	withGPU := filepath.Join(root, "gpu.yaml") // its first profile cannot be run by ref
	put(t, withGPU, 0, "question: Which?\nnets: [plain-8]\nprofiles:\n  big: {data: preview, needs: [gpu]}\n  small: {data: preview}\n")
	a, b := filepath.Join(published, "runs/plain-20-seed0-5868ab834d20"), filepath.Join(published, "runs/plain-20-seed0-6fb9cb9a87e6")
	all := described(t)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"runs", []string{"runs", "--json", "--sort", "test_error"}},
		{"status", []string{"status", "--json", filepath.Join(published, "shortcuts")}},
		{"show", []string{"show", "--json", filepath.Join(published, "shortcuts/cifar10-cpu/table.csv")}},
		{"diff", []string{"diff", "--json", a, b}},
		{"diff, of questions", []string{"diff", "--json", filepath.Join(published, "plain_vs_res/cifar10-cpu"), filepath.Join(published, "shortcuts/cifar10-cpu")}},
		{"plan", []string{"plan", "--json", "--device", "ref", question}},
		{"plan", []string{"plan", "--json", "--device", "ref", withGPU}},
	} {
		cmd, out, say := lab(root, c.args...)
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, say)
			continue
		}
		in := json.NewDecoder(out)
		var value any
		if err := in.Decode(&value); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err := in.Token(); err != io.EOF {
			t.Errorf("%s prints more than one value: %v", c.name, err)
		}
		have := map[string]bool{}
		keys(value, "", have)
		if len(have) < 3 {
			t.Errorf("%s: only %v", c.name, have)
		}
		for _, key := range slices.Sorted(maps.Keys(have)) {
			if !slices.ContainsFunc(all[c.name], func(known string) bool { return fits(known, key) }) {
				t.Errorf("%s prints %s, which json.md does not describe", c.name, key)
			}
		}
	}
}

// fits reports whether json.md has a key, where * stands for any name.
func fits(known, key string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(known), `\*`, ".*") + "$").MatchString(key)
}

// runs sorts by --sort, with unknown values last.
func TestRunsAreSorted(t *testing.T) {
	root := t.TempDir()
	published, err := filepath.Abs("../../../results/published")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(published, filepath.Join(root, "results")); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"test_error", "train_error"} {
		cmd, out, say := lab(root, "runs", "--json", "--sort", by)
		if err := cmd.Run(); err != nil {
			t.Fatal(err, say)
		}
		var list struct{ Runs []map[string]any }
		if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list.Runs) < 20 {
			t.Fatal(len(list.Runs), err)
		}
		last := -1.0
		for _, r := range list.Runs {
			x, known := r[by].(float64)
			if !known {
				x = 101
			}
			if x < last {
				t.Errorf("--sort %s: %v comes after %v", by, x, last)
			}
			last = x
		}
	}
}
