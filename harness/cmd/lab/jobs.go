// What Slurm says of the jobs that train runs.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"depthlab/harness/slurm"
	"depthlab/harness/store"
)

// number is the number of a job, or of the array that a task belongs to.
func number(id string) string {
	n, _, _ := strings.Cut(id, "_")
	return n
}

// of lists the tasks of some arrays: those that Slurm runs or will run, and those that have
// ended, the latest first.
func of(jobs map[string]slurm.Job, arrays []string) (at, ended []slurm.Job) {
	byNumber := func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
	for _, id := range slices.SortedFunc(maps.Keys(jobs), byNumber) {
		switch j := jobs[id]; {
		case !slices.Contains(arrays, number(id)):
		case j.Ended():
			ended = append([]slurm.Job{j}, ended...)
		default:
			at = append(at, j)
		}
	}
	return at, ended
}

// submitted lists the arrays that were submitted for a question.
func submitted(v store.View) (numbers []string, err error) {
	all, err := slurm.Submissions(v.Slurm())
	for _, s := range all {
		numbers = append(numbers, s.Job)
	}
	return numbers, err
}

// queued says which tasks of a question are with Slurm already; "" for none, or if that is
// not known.
func queued(ctx context.Context, v store.View) string {
	numbers, _ := submitted(v)
	jobs, err := slurm.Jobs(ctx, numbers)
	if err != nil {
		return ""
	}
	var words []string
	at, _ := of(jobs, numbers)
	for _, j := range at {
		words = append(words, j.ID+" "+j.State)
	}
	if len(words) == 0 {
		return ""
	}
	return "tasks of this question are with Slurm already (" + strings.Join(words, ", ") + ")"
}

// askSlurm adds to the status of runs what Slurm says of their jobs. Without Slurm, or jobs,
// it adds nothing.
func askSlurm(ctx context.Context, all map[store.View][]store.Status) (unread error) {
	arrays := map[store.View][]string{}
	var numbers []string
	for v, runs := range all {
		if !slices.ContainsFunc(runs, func(s store.Status) bool { return s.State != store.Finished }) {
			continue
		}
		found, err := submitted(v)
		unread = errors.Join(unread, err)
		for _, s := range runs {
			if s.State != store.Finished && s.Job != "" && !slices.Contains(found, number(s.Job)) {
				found = append(found, number(s.Job))
			}
		}
		arrays[v] = found
		numbers = append(numbers, found...)
	}
	jobs, err := slurm.Jobs(ctx, numbers)
	if errors.Is(err, exec.ErrNotFound) {
		return unread // the results lie on this machine, too, and Slurm is elsewhere
	}
	if err != nil {
		return errors.Join(unread, fmt.Errorf("what became of Slurm's jobs is not known: %w", err))
	}
	for v, found := range arrays {
		if len(found) > 0 {
			addJobs(all[v], jobs, found)
		}
	}
	return unread
}

// addJobs adds to the runs of a question the state of the jobs that were submitted for it.
func addJobs(runs []store.Status, jobs map[string]slurm.Job, arrays []string) {
	at, ended := of(jobs, arrays)
	byHand := slices.ContainsFunc(runs, func(s store.Status) bool { return s.State == store.Training && s.Job == "" })
	for i := range runs {
		s := &runs[i]
		if s.State == store.Finished || s.State == store.Failed || s.State == store.Training && s.Job == "" {
			continue
		}
		if s.Job == "" && len(at) == 0 && len(ended) > 0 {
			s.Job = ended[0].ID // it was to train the run
		}
		own, known := jobs[s.Job]
		if (!known || own.Ended()) && len(at) > 0 { // another task will take it
			if known && s.State == store.Silent {
				s.Why = fmt.Sprintf("job %s is %s; another task takes the run over", own.ID, own.State)
			}
			own, known = at[0], true
		}
		if known {
			s.Job, s.JobState, s.Node, s.Restarts = own.ID, own.State, own.Node, own.Restarts
		}
		if len(at) == 0 && !byHand {
			s.Why = lost(s.Job, own, known, arrays)
		}
	}
}

// lost says that no job will go on with a run.
func lost(id string, own slurm.Job, known bool, arrays []string) string {
	switch {
	case known && own.Unlaunched():
		return fmt.Sprintf("job %s could not be launched on %s (JobLaunchFailure), most often because its log cannot be opened there: the project's folder must be on a disk that all nodes share", id, own.Node)
	case known:
		return fmt.Sprintf("job %s is %s, and no other is left for this run: ./run.sh submit goes on with it", id, own.State)
	case id != "":
		return fmt.Sprintf("Slurm has lost job %s, and no other is left for this run: ./run.sh submit goes on with it", id)
	}
	return fmt.Sprintf("job %s, which was to train it, is with Slurm no more: ./run.sh submit goes on with it", arrays[len(arrays)-1])
}
