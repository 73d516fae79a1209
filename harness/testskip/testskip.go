// Package testskip says what is tested. Without DEPTHLAB_TEST_ALL tests are short: they
// leave out what their tables mark. If it is set, as ./run.sh test --all does, everything
// is tested, and only tests that need absent hardware may be skipped. Any other reason to
// skip is then a failure. There is no other way to skip a test in this repository.
package testskip

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	// All is the environment variable that asks for everything and forbids skipping.
	All = "DEPTHLAB_TEST_ALL"
	// Absent is the environment variable that names a file. Each skip adds a line to it on
	// what the test lacks: ./run.sh test shows them at its end.
	Absent = "DEPTHLAB_TEST_ABSENT"
)

// Hardware that may be absent. Everything else can be installed.
const (
	GPU        = "GPU"
	AVX512     = "AVX-512"
	AVX512BF16 = "AVX512-BF16"
	AMX        = "AMX"
)

// Skip skips the test for a reason that can be fixed.
func Skip(t testing.TB, reason string, args ...any) {
	t.Helper()
	Part(t, reason, args...)
	t.SkipNow()
}

// Part notes that a part of a test is skipped. The rest goes on.
func Part(t testing.TB, reason string, args ...any) {
	t.Helper()
	text := "SKIPPED: " + fmt.Sprintf(reason, args...)
	if os.Getenv(All) != "" {
		t.Fatalf("%s; %s forbids it", text, All)
	}
	t.Log(text)
	note(t, fmt.Sprintf(reason, args...))
}

// Everything reports whether to test all. If not, rows that a table marks `all` are left
// out, and loops that repeat turn fewer times. Outside a test, as in gpu-check, it is true.
func Everything() bool { return !testing.Testing() || os.Getenv(All) != "" }

// Hardware skips the test because the named hardware is absent.
func Hardware(t testing.TB, name string) {
	t.Helper()
	note(t, "no "+name+" here")
	t.Skipf("SKIPPED: no %s here", name)
}

// note adds a line to the file that Absent names.
func note(t testing.TB, line string) {
	t.Helper()
	path := os.Getenv(Absent)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, strings.ReplaceAll(line, "\n", " "))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
