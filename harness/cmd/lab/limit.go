// Time limits: --time, and the end of a batch job.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"depthlab/harness"
	"depthlab/harness/slurm"
)

// timeUp is the cause of a context that ended because the time was up.
type timeUp struct{ limit string }

func (t timeUp) Error() string { return "the time is up: " + t.limit }

// codeTimeUp is the exit code of a command that ended for lack of time: EX_TEMPFAIL of
// sysexits.h, "try again later".
const codeTimeUp = 75

// inTime returns a context that ends after limit (0 for none), or shortly before the Slurm job
// of this process ends. A task is requeued when Slurm warns it, so a job that is too short for
// a task is a usageError.
func inTime(ctx context.Context, limit time.Duration, task bool) (context.Context, context.CancelFunc, error) {
	until, reason := limit, fmt.Sprintf("--time %v", limit)
	if job := slurm.This().ID; job != "" {
		left, whole, limited, err := slurm.Left(ctx, job)
		switch {
		case err != nil:
			say("warning: the end of job %s is not known (%v); training is saved only when Slurm sends a signal", job, err)
		case limited && task && whole < shortest:
			return nil, nil, tooShort("Slurm job "+job, whole)
		case limited && (until == 0 || left-slurm.Warning/2 < until):
			until, reason = max(left-slurm.Warning/2, time.Second), fmt.Sprintf("Slurm job %s has %v left", job, (slurm.Warning/2).String())
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if until == 0 {
		return ctx, func() { cancel(nil) }, nil
	}
	timer := time.AfterFunc(until, func() { cancel(timeUp{reason}) })
	return ctx, func() { timer.Stop(); cancel(nil) }, nil
}

// shortest is the shortest time limit of a task.
const shortest = 2 * slurm.Warning

// tooShort is the error for a task's time limit below shortest.
func tooShort(what string, limit time.Duration) error {
	return usage("%s: a time limit of %v; a task needs at least %v, because Slurm warns it %v before the end and it would be requeued again and again: ask for more, such as -- --time=1:00:00",
		what, limit, shortest, slurm.Warning)
}

// inTimeError returns the timeUp of ctx if err is an interruption that it caused, else err.
func inTimeError(ctx context.Context, err error) error {
	up, ok := context.Cause(ctx).(timeUp)
	if ok && (errors.Is(err, harness.ErrInterrupted) || errors.Is(err, context.Canceled)) {
		return up
	}
	return err
}

// batchJob returns the variable that names the batch job of this process, "PBS_JOBID=7"; "" if
// there is none.
func batchJob() string {
	for _, variable := range []string{"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID"} {
		if id := os.Getenv(variable); id != "" {
			return variable + "=" + id
		}
	}
	return ""
}

// checkFallback returns an error if a batch job would run another profile than the question's
// first without --profile: nobody would see in time that it is a smaller one. The reasons say
// why the earlier profiles cannot run.
func checkFallback(c *call, q question, reasons []string) error {
	job := batchJob()
	if job == "" || c.profile != "" || len(reasons) == 0 {
		return nil
	}
	text := ""
	for _, line := range reasons {
		text += "\n  " + line
	}
	return usage("profile %s would run here, but a batch job (%s) takes another profile than the first only if it is named: add --profile %s, or provide what is missing (./run.sh prepare FILE.yaml fetches libraries on a machine with a network):%s",
		q.plan.Profile, job, q.plan.Profile, text)
}
