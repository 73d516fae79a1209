// Helpers for the tests of this package.

package model

import (
	"testing"

	"depthlab/experiments"
)

// small is a question with a small net that trains quickly.
const small = `
question: What is in it?
nets: [plain-8]
data: preview
batch: 4
train: 16
input: {pad: 1}
batch_norm: {group: 0, batches: 3}
schedule: {at: [4 steps], stop: 6 steps, warmup: none}
precision: fp32
`

// planned parses a question and returns its only plan.
func planned(t *testing.T, text string) *experiments.Plan {
	t.Helper()
	q, err := experiments.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return q.Plans[0]
}
