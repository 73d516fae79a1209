// Runs that continue another run, or begin with a file of weights.

package train

import (
	"context"
	"fmt"

	"depthlab/experiments"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/weights"
	"depthlab/nets/program"
)

// begin writes the weights that a fresh run begins with into the net, if it begins with those
// of another run (whose folder is source) or of a file. It returns events to record, which may
// have no step yet.
func begin(ctx context.Context, net *model.Model, source store.Folder) ([]record.Event, error) {
	switch run := net.Run; {
	case run.Continue != "":
		return beginWith(net, source.Weights())
	case run.Extend != "":
		return extend(ctx, net, source)
	case experiments.IsFile(run.Init):
		events, err := beginWith(net, run.Init)
		if err != nil {
			return events, err
		}
		test, err := classify(ctx, net, "eval", net.Images.TestSet, net.Images.Test) // with the file's statistics of batch norm
		if err != nil {
			return events, err
		}
		return append(events, test), nil
	}
	return nil, nil
}

// beginWith writes parameters and running statistics of a file of weights into the net. The
// optimizer's state is that of a new run, because files of weights have none. If the file's
// last layer has other classes, the net's last layer keeps its initial weights; the events say
// so.
func beginWith(net *model.Model, path string) (notes []record.Event, err error) {
	run := net.Run
	sum, err := store.Sum(path)
	if err != nil {
		return nil, fmt.Errorf("run %s begins with the weights in %s, which cannot be read any more: %w", run.ID, path, err)
	}
	if sum != run.Weights {
		return nil, fmt.Errorf("run %s begins with the weights in %s, which changed after the question was read (SHA-256 %.12s, then %.12s): start the command again", run.ID, path, run.Weights, sum)
	}
	wanted := model.Views(net.Programs.Train, program.Param, program.Stat)
	values, texts, err := weights.Initial(path, run.Net, wanted)
	if err != nil {
		return nil, fmt.Errorf("run %s begins with the weights in %s: %w", run.ID, path, err)
	}
	w := model.Writer{Session: net.Session}
	for _, b := range wanted {
		if v, ok := values[b.Name]; ok {
			w.Write(b.Name, v)
		}
	}
	for _, text := range texts {
		notes = append(notes, warning("%s", text))
	}
	return notes, w.Err
}

// curvesOf returns the curves of a run, with which the record of a run that continues it begins.
func curvesOf(old *record.RunRecord) (curves []record.Event) {
	for _, e := range old.Events {
		switch e.Kind {
		case "train", "rate", "eval", "gradients":
			curves = append(curves, e)
		}
	}
	return curves
}

// otherData warns if the data differ from those that the continued run was trained on.
func otherData(task Task) []string {
	p, err := store.ReadProvenance(task.Source)
	if err != nil || p.Checksum == task.Data.Checksum {
		return nil
	}
	return []string{fmt.Sprintf("the data (%s) differ from those that %s was trained on (%s)", task.Data.Title, task.Run.Continue, p.Data)}
}
