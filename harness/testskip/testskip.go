// Package testskip leaves tests out, which is the only way to do so here. Where
// DEPTHLAB_TEST_ALL is set, as .ci/run sets it, nothing may be left out but what
// needs hardware that is not here: every other reason is a failure.
package testskip

import (
	"fmt"
	"os"
	"testing"
)

const (
	// All is the environment variable that forbids to leave tests out.
	All = "DEPTHLAB_TEST_ALL"
	// Absent is the environment variable that names a file to which each piece of
	// hardware that a test lacked is added, one a line.
	Absent = "DEPTHLAB_TEST_ABSENT"
)

// Hardware that may be absent. Everything else can be installed.
const (
	GPU        = "GPU"
	AVX512     = "AVX-512"
	AVX512BF16 = "AVX512-BF16"
	AMX        = "AMX"
)

// Skip leaves the test out, for a reason that can be mended.
func Skip(t testing.TB, reason string, args ...any) {
	t.Helper()
	Part(t, reason, args...)
	t.SkipNow()
}

// Part is said where a part of a test is left out, and the rest goes on.
func Part(t testing.TB, reason string, args ...any) {
	t.Helper()
	text := "SKIPPED: " + fmt.Sprintf(reason, args...)
	if os.Getenv(All) != "" {
		t.Fatalf("%s; %s forbids it", text, All)
	}
	t.Log(text)
}

// Short says whether tests shall be quick. It is an error that they shall, and
// that all are to be run.
func Short(t testing.TB) bool {
	t.Helper()
	if testing.Short() && os.Getenv(All) != "" {
		t.Fatalf("-short leaves tests out, and %s forbids it", All)
	}
	return testing.Short()
}

// Hardware leaves the test out because the named hardware is not here.
func Hardware(t testing.TB, name string) {
	t.Helper()
	if path := os.Getenv(Absent); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, name)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Skipf("SKIPPED: no %s here", name)
}
