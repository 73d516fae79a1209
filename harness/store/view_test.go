// Tests of views: which runs are used.

package store

import (
	"os"
	"slices"
	"testing"
)

// A run counts as used from the moment a question lists it, or asks to continue it.
func TestUsed(t *testing.T) {
	const a, b, child = "plain-8-seed0-00000000000a", "plain-8-seed1-00000000000b", "plain-8-seed0-00000000000c"
	st := Store(t.TempDir())
	v := st.View("more", "default")
	if err := v.Write("more.yaml", []Entry{{"plain-8-seed0", child}}); err != nil {
		t.Fatal(err)
	}
	text := "question: On?\ncontinue: {run: [" + a + ", " + b + "], for: 4 steps}\n"
	if err := os.WriteFile(v.Question(), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	used, err := st.Used()
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{a, b, child} {
		if !slices.Equal(used[run], []string{"more/default"}) {
			t.Errorf("%s is used by %q", run, used[run])
		}
	}
}
