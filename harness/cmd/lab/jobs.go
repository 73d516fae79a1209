// The state of Slurm's jobs that train the runs of a question.

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

// number returns the number of a job, or of the array that a task belongs to.
func number(id string) string {
	n, _, _ := strings.Cut(id, "_")
	return n
}

// tasksOf lists the tasks of some arrays: those that run or are queued, and those that have
// ended, the latest first.
func tasksOf(jobs map[string]slurm.Job, arrays []string) (live, ended []slurm.Job) {
	byNumber := func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
	for _, id := range slices.SortedFunc(maps.Keys(jobs), byNumber) {
		switch j := jobs[id]; {
		case !slices.Contains(arrays, number(id)):
		case j.Ended():
			ended = append([]slurm.Job{j}, ended...)
		default:
			live = append(live, j)
		}
	}
	return live, ended
}

// submitted lists the arrays that were submitted for a question.
func submitted(v store.View) (numbers []string, err error) {
	all, err := slurm.Submissions(v.Slurm())
	for _, s := range all {
		numbers = append(numbers, s.Job)
	}
	return numbers, err
}

// queued describes the tasks of a question that run or are queued; "" if there are none, or if
// Slurm does not answer.
func queued(ctx context.Context, v store.View) string {
	numbers, _ := submitted(v)
	jobs, err := slurm.Jobs(ctx, numbers)
	if err != nil {
		return ""
	}
	var words []string
	live, _ := tasksOf(jobs, numbers)
	for _, j := range live {
		words = append(words, j.ID+" "+j.State)
	}
	if len(words) == 0 {
		return ""
	}
	return "tasks of this question run or are queued already (" + strings.Join(words, ", ") + ")"
}

// askSlurm adds the state of Slurm's jobs to the status of runs that are not finished. On a
// machine without Slurm it adds nothing. The error is of what could not be read; the rest is
// added all the same.
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
		return unread // this machine only shares the results with the cluster
	}
	if err != nil {
		return errors.Join(unread, fmt.Errorf("the state of Slurm's jobs is not known: %w", err))
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
	live, ended := tasksOf(jobs, arrays)
	byHand := slices.ContainsFunc(runs, func(s store.Status) bool { return s.State == store.Training && s.Job == "" })
	for i := range runs {
		s := &runs[i]
		if s.State == store.Finished || s.State == store.Failed || s.State == store.Training && s.Job == "" {
			continue
		}
		if s.Job == "" && len(live) == 0 && len(ended) > 0 {
			s.Job = ended[0].ID // it was to train the run
		}
		own, known := jobs[s.Job]
		if (!known || own.Ended()) && len(live) > 0 { // another task will take it
			if known && s.State == store.Silent {
				s.Why = fmt.Sprintf("job %s is %s; another task takes the run over", own.ID, own.State)
			}
			own, known = live[0], true
		}
		if known {
			s.Job, s.JobState, s.Node, s.Restarts = own.ID, own.State, own.Node, own.Restarts
		}
		if len(live) == 0 && !byHand {
			s.Why = lost(s.Job, own, known, arrays)
		}
	}
}

// lost says why no job will continue a run, and what to do. own is the run's job, if known.
func lost(id string, own slurm.Job, known bool, arrays []string) string {
	switch {
	case known && own.Unlaunched():
		return fmt.Sprintf("job %s could not be launched on %s (JobLaunchFailure), most often because its log cannot be opened there: the project's folder must be on a disk that all nodes share", id, own.Node)
	case known:
		return fmt.Sprintf("job %s is %s, and no other job is left for this run: ./run.sh submit continues it", id, own.State)
	case id != "":
		return fmt.Sprintf("Slurm does not know job %s any more, and no other job is left for this run: ./run.sh submit continues it", id)
	}
	return fmt.Sprintf("Slurm does not know job %s any more, which was to train it: ./run.sh submit continues it", arrays[len(arrays)-1])
}
