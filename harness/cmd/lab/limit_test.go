// Tests of --time, of the time of a Slurm job, and of profiles in a batch job.

package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"depthlab/harness"
)

// slurmSays puts a fake Slurm on the PATH, and makes this process a task.
func slurmSays(t *testing.T, commands map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range commands {
		tool(t, dir, name, "#!/bin/sh\necho \"$*\" >>'"+filepath.Join(dir, name+".calls")+"'\n"+text+"\n")
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("SLURM_JOB_ID", "17") // as for one task of each array
	t.Setenv("SLURM_ARRAY_JOB_ID", "17")
	t.Setenv("SLURM_ARRAY_TASK_ID", "2")
	return dir
}

func TestInTime(t *testing.T) {
	for name, c := range map[string]struct {
		squeue string // script of the fake squeue; "" outside Slurm
		limit  time.Duration
		task   bool
		ends   bool   // within a few seconds
		says   string // the reason, or the error
	}{
		"no limit":                      {"", 0, false, false, ""},
		"--time":                        {"", 10 * time.Millisecond, false, true, "--time 10ms"},
		"--time, and time enough":       {"echo 1:00:00 1:00:00", 10 * time.Millisecond, true, true, "--time 10ms"},
		"the job is about to end":       {"echo 1:01 1:00:00", 0, false, true, "Slurm job 17_2 has 1m0s left"},
		"before --time is over":         {"echo 1:01 1:00:00", time.Hour, false, true, "Slurm job 17_2 has 1m0s left"},
		"the job has time":              {"echo 30:00 1:00:00", 0, true, false, ""},
		"a job without limit":           {"echo UNLIMITED UNLIMITED", 0, true, false, ""},
		"a clock that is an hour wrong": {"echo INVALID 1:00:00", 0, true, false, ""},
		"too short for a task":          {"echo 3:00 3:00", 0, true, false, "Slurm job 17_2: a time limit of 3m0s; a task needs at least 4m0s"},
		"short, by hand":                {"echo 3:00 3:00", 0, false, false, ""},
		"squeue does not say":           {"exit 1", 0, true, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			calls := ""
			if c.squeue != "" {
				calls = filepath.Join(slurmSays(t, map[string]string{"squeue": c.squeue}), "squeue.calls")
			}
			ctx, stop, err := inTime(context.Background(), c.limit, c.task)
			if calls != "" && !strings.Contains(readText(t, calls), "--jobs=17_2 ") {
				t.Errorf("squeue was not asked for task 17_2:\n%s", readText(t, calls))
			}
			if err != nil {
				var use usageError
				if c.says == "" || !errors.As(err, &use) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %q", err, c.says)
				}
				return
			}
			defer stop()
			wait := 100 * time.Millisecond
			if c.ends {
				wait = time.Minute
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			if (ctx.Err() != nil) != c.ends {
				t.Errorf("ended: %v, want %v", ctx.Err(), c.ends)
			}
			err = inTimeError(ctx, harness.ErrInterrupted)
			var up timeUp
			if errors.As(err, &up) != c.ends || c.ends && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v, want %q", err, c.says)
			}
			if c.ends && signalCode(ctx) != 75 {
				t.Errorf("exit code %d, want 75", signalCode(ctx))
			}
			if other := errors.New("another"); inTimeError(ctx, other) != other {
				t.Error("another error was changed")
			}
		})
	}
}

// With --time training saves when the time is up and ends with exit code 75; the same command
// resumes it.
func TestTimeUp(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "plain-8", "2")
	step := 0
	for _, limit := range []string{"4s", "6s"} {
		cmd, _, say := lab(dir, file, "--device", "ref", "--time", limit)
		if got := code(cmd.Run()); got != 75 || !strings.Contains(say.String(), "the time is up: --time "+limit+"; stopped and saved, the same command resumes from here") {
			t.Errorf("exit code %d, said:\n%s", got, say)
		}
		before := step
		if step = kept(t, dir, "plain-8-seed0"); before > 0 && step <= before {
			t.Errorf("stopped at step %d, before at %d", step, before)
		}
	}
}

// A batch job takes another profile than the first only with --profile.
func TestUnasked(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "fast.yaml")
	put(t, file, 0, asked+"data: preview\nprofiles: {fast: {needs: [gpu]}, slow: {train: 64, batch: 2, input: {pad: 2}}}\n")
	for _, c := range []struct {
		args []string
		env  string
		code int
		says string
	}{
		{[]string{file}, "PBS_JOBID=7", 2, "a batch job (PBS_JOBID=7) takes another profile than the first only if it is named: add --profile slow"},
		{[]string{file, "--profile", "slow", "--time", "1ms"}, "PBS_JOBID=7", 75, "the time is up"},
		{[]string{file, "--time", "1ms"}, "X=1", 75, "the time is up"},
		{[]string{file, "--time", "-1s"}, "X=1", 2, "--time -1s: expected a time such as 55m"},
		{[]string{file, "--time", "5"}, "X=1", 2, "5"},
	} {
		cmd, _, said := wishing(root, []string{c.env, "SLURM_JOB_ID=", "CUDA_VISIBLE_DEVICES="}, c.args...)
		if got := code(cmd.Run()); got != c.code || !strings.Contains(said.String(), c.says) {
			t.Errorf("%q with %s: exit code %d, want %d and %q:\n%s", c.args, c.env, got, c.code, c.says, said)
		}
	}
}
