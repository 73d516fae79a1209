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

// timeUp is the cause that a context ended: the time is up.
type timeUp struct{ limit string }

func (t timeUp) Error() string { return "the time is up: " + t.limit }

// codeTimeUp is the exit code of a command that ended for lack of time: EX_TEMPFAIL of
// sysexits.h, "try again later".
const codeTimeUp = 75

// inTime ends ctx when the limit is over (0 for none), or when the Slurm job of this process
// is about to. A task, which goes back into the queue when it is warned, refuses a job that
// is too short for anything but warnings.
func inTime(ctx context.Context, limit time.Duration, task bool) (context.Context, context.CancelFunc, error) {
	until, reason := limit, fmt.Sprintf("--time %v", limit)
	if job := slurm.This().ID; job != "" {
		left, whole, limited, err := slurm.Left(ctx, os.Getenv("SLURM_JOB_ID"))
		switch {
		case err != nil:
			say("warning: when job %s ends is not known (%v); it ends by Slurm's signals alone", job, err)
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

// tooShort refuses the time limit of a task.
func tooShort(what string, limit time.Duration) error {
	return usage("%s: a time limit of %v; a task needs %v at least, since it is warned %v before the end and would go back into the queue again and again: ask for more, such as -- --time=1:00:00",
		what, limit, shortest, slurm.Warning)
}

// inTimeError is err as the command's error: it ended because the time was up, if so.
func inTimeError(ctx context.Context, err error) error {
	up, ok := context.Cause(ctx).(timeUp)
	if ok && (errors.Is(err, harness.ErrInterrupted) || errors.Is(err, context.Canceled)) {
		return up
	}
	return err
}

// batchJob names the batch job that this process is part of; "" for none.
func batchJob() string {
	for _, variable := range []string{"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID"} {
		if id := os.Getenv(variable); id != "" {
			return variable + "=" + id
		}
	}
	return ""
}

// unasked refuses, in a batch job, a profile that was not named and is not the question's
// first: nobody is there to see that it is a smaller one.
func (c *call) unasked(q question, reasons []string) error {
	job := batchJob()
	if job == "" || c.profile != "" || len(reasons) == 0 {
		return nil
	}
	text := ""
	for _, line := range reasons {
		text += "\n  " + line
	}
	return usage("profile %s would run here, and a batch job (%s) does not take another than the first unasked: add --profile %s, or mend what is missing (./run.sh prepare FILE.yaml fetches libraries where there is a network):%s",
		q.plan.Profile, job, q.plan.Profile, text)
}
