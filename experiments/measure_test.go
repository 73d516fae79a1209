// Tests of the options of measurements.

package experiments

import (
	"strings"
	"testing"
)

// TestMeasurements checks that the plan and the resolved file have the options of the measurements
// that the profile's figures draw, and no others; and that options do not change the runs.
func TestMeasurements(t *testing.T) {
	const text = good + `  measured: {data: preview, schedule: {at: [], stop: 500 steps}, figures: [landscape_2d, lesion], lesion: {draws: 3}}
  other: {like: measured, lesion: {draws: 4}, figures: [lesion]}
`
	q, err := Parse("q.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	plans := map[string]*Plan{}
	for _, p := range q.Plans {
		plans[p.Profile] = p
	}
	if got := plans["small"].Measurements.Options(); len(got) != 0 {
		t.Errorf("figures of curves have options %v", got)
	}
	got := plans["measured"].Measurements.Options()
	if len(got) != 2 || got["lesion"]["draws"] != 3 || got["lesion"]["most"] != 20 || got["landscape"]["grid"] != 51 || got["landscape"]["seed"] != 123 {
		t.Errorf("options %v", got)
	}
	if plans["measured"].Runs[0].Hash() != plans["other"].Runs[0].Hash() {
		t.Error("an option of a measurement makes another run")
	}
	for profile, want := range map[string][]string{"small": nil, "measured": {"lesion:", "landscape:"}, "other": {"lesion:"}} {
		resolved, err := q.Resolved(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"lesion:", "gradient_correlation:", "landscape:"} {
			has, wanted := strings.Contains(string(resolved), "\n"+key), strings.Contains(strings.Join(want, " "), key)
			if has != wanted {
				t.Errorf("%s: %s in the resolved file: %v, want %v", profile, key, has, wanted)
			}
		}
		if _, err := Parse("q.yaml", resolved); err != nil {
			t.Errorf("%s: the resolved file: %v", profile, err)
		}
	}
}

// TestMeasuredRuns wants the questions about trained nets to have the recipes of
// plain_vs_res.yaml: a net that this has trained is only measured.
func TestMeasuredRuns(t *testing.T) {
	trained := load(t, "plain_vs_res.yaml")
	for _, file := range []string{"lesion.yaml", "gradient_correlation.yaml", "landscape.yaml"} {
		for _, profile := range []string{"cifar10", "cifar10-cpu", "cifar10-cpu-full", "preview"} {
			hashes := map[string]string{}
			for _, run := range choose(t, trained, profile).Runs {
				hashes[run.ID] = run.Hash()
			}
			same := 0
			for _, run := range choose(t, load(t, file), profile).Runs {
				if hash, known := hashes[run.ID]; known {
					same++
					if run.Hash() != hash {
						t.Errorf("%s, %s: %s is another run", file, profile, run.ID)
					}
				}
			}
			if same < 4 {
				t.Errorf("%s, %s: %d of its runs are those of plain_vs_res.yaml", file, profile, same)
			}
		}
	}
}
