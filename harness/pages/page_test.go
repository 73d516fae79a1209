// Tests of the content of a page.

package pages

import (
	"testing"

	"depthlab/experiments"
	"depthlab/harness/store"
)

// The commands on a page repeat the question. If the command line changed it, they use the resolved
// file in its folder.
func TestCommands(t *testing.T) {
	q, err := experiments.Parse("experiments/q.yaml", []byte("question: Which?\nnets: [plain-8]\nprofiles: {small: {data: preview}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{
		"small":                       "./run.sh experiments/q.yaml --profile small",
		"small+schedule.stop=9_steps": "./run.sh results/q/small+schedule.stop=9_steps/question.yaml",
	} {
		all := commands(Question{q, q.Plans[0], store.Store(t.TempDir()).View("q", folder)}, nil)
		if got := all[1].Text; got != want {
			t.Errorf("%s: %s, want %s", folder, got, want)
		}
	}
}
