// The folders of a question's runs in the store, and their precision.

package sweep

import (
	"fmt"
	"slices"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/store"
)

// Place sets the precision of a plan's runs, and returns their folders in the store, by ID. With
// precision auto it takes a precision in which the run is finished, else one in which it was begun; if
// there are several, the device's best. Else it takes the one that the question's list has, so that
// tasks on unlike machines share the runs; else the device's best. precision is that of the command
// line, which replaces the file's; "" for none. checksum is that of the data.
func Place(p *experiments.Plan, st store.Store, checksum string, info device.Info, precision string) map[string]store.Folder {
	folders := map[string]store.Folder{}
	_, listed, _ := st.View(p.Name, p.Folder).Read() // a damaged list is written anew
	// A run comes before those that extend it.
	for i := range p.Runs {
		run := &p.Runs[i]
		source := ""
		if from, ok := folders[run.Source()]; ok {
			source = from.Key()
		}
		at := func(precision string) store.Folder {
			same := *run
			same.Precision = precision
			return st.Folder(same, store.Key(same, checksum, source))
		}
		auto := run.Precision == "auto" && (precision == "" || precision == "auto")
		model.Resolve(run, info, precision)
		best := store.Nothing
		for _, candidate := range append([]string{run.Precision}, allPrecisions...) {
			if found, err := at(candidate).Find(); auto && err == nil && found > best {
				run.Precision, best = candidate, found
			}
		}
		if auto && best == store.Nothing {
			for _, candidate := range byAuto {
				if slices.Contains(listed, store.Entry{ID: run.ID, Run: at(candidate).Name()}) {
					run.Precision = candidate
				}
			}
		}
		folders[run.ID] = at(run.Precision)
	}
	return folders
}

// allPrecisions lists the precisions that a run may have.
var allPrecisions = []string{string(device.FP32), string(device.TF32), string(device.BF16)}

// byAuto lists the precisions that auto may choose.
var byAuto = []string{string(device.FP32), string(device.BF16)}

// Entries lists the runs of a plan, for its view.
func Entries(p *experiments.Plan, folders map[string]store.Folder) (all []store.Entry) {
	for _, run := range p.Runs {
		all = append(all, store.Entry{ID: run.ID, Run: folders[run.ID].Name()})
	}
	return all
}

// Asks returns an error if a run of the store has another recipe than the question's run, apart from
// precision and data.
func Asks(run experiments.Run, made *store.Provenance) error {
	run.Precision = made.Run.Precision
	if run.Hash() != made.Run.Hash() {
		made := made.Run
		made.ID, made.Variant, made.LogEvery, made.EvalEvery, made.SaveEvery = run.ID, run.Variant, run.LogEvery, run.EvalEvery, run.SaveEvery
		var words []string
		for _, d := range store.Differences(made, run) {
			words = append(words, d.String())
		}
		return fmt.Errorf("it was trained with another recipe than that of the question: %s", strings.Join(words, ", "))
	}
	return nil
}
