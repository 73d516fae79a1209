// Tests of records that grow while they are read.

package record

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Whatever happens to a record, a Follower returns what Read returns.
func TestFollower(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.jsonl")
	start := `{"kind":"start","step":0,"start":{"id":"a","net":"plain-8","steps":100}}` + "\n"
	train := func(step, e string) string { return `{"kind":"train","step":` + step + `,"error":` + e + `}` + "\n" }
	put := func(text string) func() {
		return func() {
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	add := func(text string) func() {
		return func() {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(text)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(text string) func() {
		return func() {
			if err := errors.Join(os.WriteFile(path+"2", []byte(text), 0o666), os.Rename(path+"2", path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := Follower{Path: path}
	var before *RunRecord
	for _, c := range []struct {
		name string
		do   func()
		same bool // the same pointer as before
	}{
		{"no file", func() {}, false},
		{"empty", put(""), false},
		{"half a line", add(start[:20]), false},
		{"begun", add(start[20:]), false},
		{"nothing new", func() {}, true},
		{"more", add(train("10", "50") + train("20", "40")), false},
		{"half a line more", add(train("30", "30")[:9]), true},
		{"its rest", add(train("30", "30")[9:] + train("40", "20")), false},
		{"back to a checkpoint, and on beyond the end of before", replace(start + train("10", "50") + train("20", "41") + train("30", "31") + train("40", "21") + train("50", "11")), false},
		{"cut where it lies", put(start + train("10", "50")), false},
		{"written over, as long as before", put(start + train("10", "51") + train("20", "42")), false},
		{"damaged", add("nonsense\n"), false},
		{"more behind it", add(train("30", "30")), false},
		{"mended", put(start + train("10", "51")), false},
		{"gone", func() { os.Remove(path) }, false},
		{"and back", put(start + train("10", "52")), false},
	} {
		c.do()
		got, err := f.Read()
		want, wantErr := Read(path)
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, got, err, want, wantErr)
		}
		if (got == before && got != nil) != c.same {
			t.Errorf("%s: the same record as before: %v, want %v", c.name, got == before, c.same)
		}
		before = got
	}
}

// Only what was appended is read, because what comes before could not be read any more.
func TestFollowerReadsWhatIsNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.jsonl")
	line := `{"kind":"warn","step":1,"text":"x"}` + "\n"
	text := `{"kind":"start","step":0,"start":{"id":"a","net":"plain-8","steps":100}}` + "\n" + strings.Repeat(line, 10)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	f := Follower{Path: path}
	if _, err := f.Read(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("?"), 5); err != nil { // Read would refuse this
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte(line), int64(len(text))); err != nil {
		t.Fatal(err)
	}
	if rec, err := f.Read(); err != nil || len(rec.Events) != 12 {
		t.Errorf("%v, %v", rec, err)
	}
}
