// Tests of which keys are part of a run's identity.

package experiments

import (
	"strings"
	"testing"
)

// The schema says of each key whether it is part of a run's identity: then a file with another
// value of the key has a run with another hash, else with the same.
func TestIdentity(t *testing.T) {
	const file = "question: Same?\nnets: [plain-8]\n"
	hash := func(text string) string {
		t.Helper()
		q, err := Parse("q.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		runs := q.Plans[0].Runs
		return runs[len(runs)-1].Hash()
	}
	for key, line := range map[string]string{
		"data": "data: preview", "train": "train: 1000", "validation": "validation: 5000", "batch": "batch: 64", "micro_batch": "micro_batch: 64",
		"input": "input: {pad: 2}", "init": "init: fan_out", "batch_norm": "batch_norm: {batches: 30}", "optimizer": "optimizer: {rate: 0.2}",
		"schedule": "schedule: {stop: 60000 steps}", "label_smoothing": "label_smoothing: 0.1", "keep": "keep: [last, best]", "precision": "precision: fp32", "deterministic": "deterministic: false",
		"log": "log: 100 steps", "evaluate": "evaluate: 2 epochs", "save": "save: 500 steps", "figures": "figures: [error_by_depth]",
		"pairs": "pairs: {depths: [14]}", "name": "variants: [{name: wide, batch: 64}]",
	} {
		same := hash(file+line+"\n") == hash(file)
		if key == "name" {
			same = hash(file+line+"\n") == hash(file+strings.Replace(line, "wide", "other", 1)+"\n")
		}
		if told := strings.HasPrefix(identity(key), " (Not part"); told != same {
			t.Errorf("%s: the schema says that it is no part of a run's identity: %v; the hash stays: %v", key, told, same)
		}
	}
}
