// Runs Slurm's commands, and parses their output.

package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command runs one of Slurm's commands, for at most the given time. The error has its standard
// error.
func command(ctx context.Context, most time.Duration, name string, args ...string) (out string, err error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second // do not wait longer for a child process that holds the pipe
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("%s: %w within %v", name, ErrNoAnswer, most)
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	return "", fmt.Errorf("%s: %s (%w)", name, strings.Join(strings.Fields(stderr.String()), " "), err)
}

// ErrNoAnswer says that Slurm took too long: it may or may not have done what the command asked for.
var ErrNoAnswer = errors.New("no answer")

// Submit submits a script with sbatch, with options before it and arguments after it, and returns the
// number of the job. A busy controller may take a minute; slow is called if it takes more than a few
// seconds.
func Submit(ctx context.Context, script string, options, args []string, slow func()) (id string, err error) {
	timer := time.AfterFunc(hesitation, slow)
	defer timer.Stop()
	words := append(append(append([]string{"--parsable"}, options...), script), args...)
	out, err := command(ctx, patience, "sbatch", words...)
	if err != nil {
		return "", err
	}
	return parseSubmitted(out)
}

// patience is the longest time that sbatch may take, hesitation the time before slow is called.
var patience, hesitation = 5 * time.Minute, 5 * time.Second

// parseSubmitted parses the output of sbatch --parsable: NUMBER, or NUMBER;CLUSTER, perhaps after
// messages of the site.
func parseSubmitted(out string) (id string, err error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	id, _, _ = strings.Cut(strings.TrimSpace(lines[len(lines)-1]), ";")
	if _, err := strconv.ParseUint(id, 10, 64); err != nil {
		return "", fmt.Errorf("sbatch: expected the number of a job, got %q", out)
	}
	return id, nil
}

// Job is a job, or a task of an array, as Slurm sees it.
type Job struct {
	ID       string // "17", or "17_2" for a task of an array
	State    string // as Slurm prints it: PENDING, RUNNING, ...
	Node     string // where it runs or ran; "" if it has not begun
	Restarts int
	Reason   string // why it waits; "" for none
}

// Ended reports whether Slurm will not run the job again.
func (j Job) Ended() bool {
	return slices.Contains([]string{"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}, j.State)
}

// Unlaunched reports whether the job could not be launched. The usual reason is that its log cannot
// be opened, because its folder does not exist on that node.
func (j Job) Unlaunched() bool { return j.Reason == "JobLaunchFailure" }

// columns are the columns that squeue prints, and their widths.
var columns = []struct {
	name  string
	width int
}{{"JobArrayID", 40}, {"State", 20}, {"NodeList", 100}, {"RestartCnt", 10}, {"Reason", 60}}

// answering is the longest time that squeue and sacct may take.
var answering = 15 * time.Second

// Jobs returns jobs by ID, given the numbers of jobs or arrays. Jobs that Slurm no longer knows are
// missing.
func Jobs(ctx context.Context, numbers []string) (map[string]Job, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	list := strings.Join(numbers, ",")
	var format []string
	for _, c := range columns {
		format = append(format, fmt.Sprintf("%s:%d", c.name, c.width))
	}
	jobs := map[string]Job{}
	// Jobs that ended long ago are only in the accounting, if the site has one.
	if out, err := command(ctx, answering, "sacct", "--allocations", "--noheader", "--parsable2", "--jobs="+list, "--format=JobID,State,NodeList"); err == nil {
		for _, j := range parseAccount(out) {
			jobs[j.ID] = j
		}
	}
	out, err := command(ctx, answering, "squeue", "--noheader", "--array", "--states=all", "--jobs="+list, "--Format="+strings.Join(format, ","))
	if err != nil && !strings.Contains(err.Error(), "Invalid job id") {
		return nil, err
	}
	for _, j := range parseQueue(out) {
		jobs[j.ID] = j
	}
	return jobs, nil
}

// parseQueue parses the output of squeue, with fixed widths of columns.
func parseQueue(out string) (all []Job) {
	for line := range strings.Lines(out) {
		rest := strings.TrimSuffix(line, "\n")
		var words []string
		for _, c := range columns {
			n := min(c.width, len(rest))
			words, rest = append(words, strings.TrimSpace(rest[:n])), rest[n:]
		}
		j := Job{ID: words[0], State: words[1], Node: words[2], Reason: words[4]}
		if j.Reason == "None" {
			j.Reason = ""
		}
		j.Restarts, _ = strconv.Atoi(words[3])
		if j.State != "" {
			all = append(all, j)
		}
	}
	return all
}

// parseAccount parses the output of sacct.
func parseAccount(out string) (all []Job) {
	for line := range strings.Lines(out) {
		words := strings.Split(strings.TrimSpace(line), "|")
		if len(words) != 3 {
			continue
		}
		state, _, _ := strings.Cut(words[1], " ") // "CANCELLED by 1000"
		j := Job{ID: words[0], State: state, Node: words[2]}
		if j.Node == "None assigned" {
			j.Node = ""
		}
		all = append(all, j)
	}
	return all
}

// Left returns how long a job may still run, and its time limit. limited is false if it has none.
func Left(ctx context.Context, job string) (left, limit time.Duration, limited bool, err error) {
	out, err := command(ctx, answering, "squeue", "--noheader", "--jobs="+job, "--format=%L %l")
	if err != nil {
		return 0, 0, false, err
	}
	words := strings.Fields(out)
	if len(words) != 2 {
		return 0, 0, false, fmt.Errorf("squeue: expected two times, got %q", out)
	}
	if limit, limited, err = ParseTime(words[1]); err != nil || !limited {
		return 0, 0, false, err
	}
	// squeue computes the time left with the clock of this machine. If the result is impossible,
	// the clock is wrong; use the limit.
	if left, _, err = ParseTime(words[0]); err != nil || left > limit {
		left = limit
	}
	return left, limit, true, nil
}
