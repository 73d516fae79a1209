// Tests of testskip: DEPTHLAB_TEST_ALL asks for everything and turns skips into failures,
// and no test skips in another way.

package testskip

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// trial is a test that records how it ends.
type trial struct {
	testing.TB
	end string
}

func (t *trial) Helper()                        {}
func (t *trial) Log(...any)                     {}
func (t *trial) SkipNow()                       { t.end = "skipped"; runtime.Goexit() }
func (t *trial) Skipf(string, ...any)           { t.SkipNow() }
func (t *trial) Fatalf(format string, a ...any) { t.end = "failed"; runtime.Goexit() }

func end(f func(t testing.TB)) string {
	t, done := &trial{end: "passed"}, make(chan bool)
	go func() {
		defer close(done)
		f(t)
	}()
	<-done
	return t.end
}

func TestAll(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	t.Setenv(Absent, absent)
	for _, c := range []struct {
		all  string
		do   func(t testing.TB)
		want string
	}{
		{"", func(t testing.TB) { Skip(t, "no library") }, "skipped"},
		{"1", func(t testing.TB) { Skip(t, "no library") }, "failed"},
		{"", func(t testing.TB) { Part(t, "no library") }, "passed"},
		{"1", func(t testing.TB) { Part(t, "no library") }, "failed"},
		{"", func(t testing.TB) { Hardware(t, AMX) }, "skipped"},
		{"1", func(t testing.TB) { Hardware(t, GPU) }, "skipped"},
	} {
		t.Setenv(All, c.all)
		if got := Everything(); got != (c.all != "") {
			t.Errorf("with %s=%s Everything is %v", All, c.all, got)
		}
		if got := end(c.do); got != c.want {
			t.Errorf("with %s=%s it is %s, want %s", All, c.all, got, c.want)
		}
	}
	if text, err := os.ReadFile(absent); string(text) != "no library\nno library\nno AMX here\nno GPU here\n" {
		t.Errorf("absent: %q, %v", text, err)
	}
}

var direct = regexp.MustCompile(`\b\w+\.(Skip|Skipf|SkipNow)\(|\btesting\.Short\(`)

// No test skips in another way.
func TestNoOtherSkips(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testskip" || path != root && strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			if m := direct.FindString(line); m != "" && !strings.HasPrefix(m, "testskip.") {
				t.Error(fmt.Sprintf("%s:%d: %s...): use package testskip, so that it fails where %s is set", path, i+1, m, All))
			}
		}
		return err
	})
	if err != nil || files < 100 {
		t.Errorf("%d files read, %v", files, err)
	}
}
