// The command submit: a question as an array of Slurm jobs.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"depthlab/experiments/dataset"
	"depthlab/harness/disk"
	"depthlab/harness/slurm"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
)

const aboutSubmit = `The options before "--" are those of run, and apply to each task; those after it are sbatch's.
Most sites need a partition, an account and, for questions that need one, a GPU for each task:

  ./run.sh submit FILE.yaml --tasks 4 -- --partition=gpu --account=lab --gpus=1 --time=8:00:00

The tasks share the runs of the question: each trains runs that no other task trains. Before its
time ends, or when it is preempted, a task saves and is requeued; later it resumes from there.
A task reads FILE.yaml when it starts, also after it was requeued: an edit changes what it trains.
With precision auto all tasks take what is best on this machine (bf16 for tasks with GPUs);
--precision names another.
The script and the logs are in results/NAME/PROFILE/slurm/; --dry-run prints the script.
`

func submitQuestion(ctx context.Context, c *call) error {
	words, options := c.rest, []string(nil)
	if i := slices.Index(c.rest, "--"); i >= 0 {
		words, options = c.rest[:i], c.rest[i+1:]
	}
	c.rest = words
	o := addRunOptions(c)
	tasks := c.Int("tasks", 0, "tasks of the array; 0: one for each run that is not finished, at most 4")
	dry := c.Bool("dry-run", false, "print the script, and submit nothing")
	c.about(aboutSubmit)
	files, err := c.files(1, "one question file, and the options of sbatch after --")
	if err != nil {
		return err
	}
	if *tasks < 0 {
		return usage("--tasks %d: expected a number of tasks", *tasks)
	}
	if err := o.check(c.machine()); err != nil {
		return err
	}
	if limit, known, err := slurm.TimeLimit(options); err != nil {
		return usageError{err}
	} else if known && limit < shortest {
		return tooShort("--time", limit)
	}
	c.gpus = slurm.GPUs(options)
	q, _, err := prepare(ctx, c, files[0], o.device)
	if err != nil {
		return err
	}
	left, precisions := unfinished(q)
	if left == 0 {
		say("All %d runs are finished: ./run.sh plot %s draws them.", len(q.plan.Runs), files[0])
		return nil
	}
	if *tasks == 0 {
		*tasks = min(left, 4)
	}
	script, err := jobScript(q, c, files[0], passedOn(words), options, *tasks)
	if err != nil {
		return err
	}
	if *dry {
		fmt.Print(script.Text())
		return nil
	}
	if err := errors.Join(takeOver(q.view), q.write(ctx), q.view.Alone(ctx, func() error { return q.view.Write(q.File, sweep.Entries(q.plan, q.folders)) })); err != nil {
		return err
	}
	if text := queued(ctx, q.view); text != "" {
		say("%s: they share the runs with the new tasks", text)
	}
	return submitScript(ctx, q, script, fmt.Sprintf("%d runs in %s", left, strings.Join(precisions, ", ")))
}

// unfinished counts the runs of the plan that are not finished, and lists their precisions.
func unfinished(q question) (n int, precisions []string) {
	for _, run := range q.plan.Runs {
		if found, err := q.folders[run.ID].Find(); err != nil || found != store.Complete {
			n++
			if !slices.Contains(precisions, run.Precision) {
				precisions = append(precisions, run.Precision)
			}
		}
	}
	return n, precisions
}

// passedOn returns the words of a command line without submit's own options.
func passedOn(words []string) (rest []string) {
	for i := 0; i < len(words); i++ {
		name, _, valued := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(words[i], "-"), "-"), "=")
		switch {
		case !strings.HasPrefix(words[i], "-"):
			rest = append(rest, words[i])
		case name == "dry-run":
		case name == "tasks" && !valued:
			i++
		case name != "tasks":
			rest = append(rest, words[i])
		}
	}
	return rest
}

// jobScript returns the batch script of the question. It starts run.sh in the current folder, since
// words may name files relative to it.
func jobScript(q question, c *call, file string, words, options []string, tasks int) (s slurm.Script, err error) {
	root, err := filepath.Abs(c.machine().Root)
	if err != nil {
		return s, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return s, err
	}
	folder, err := filepath.Abs(q.view.Slurm())
	if err != nil {
		return s, err
	}
	run := filepath.Join(root, "run.sh")
	if c.profile == "" { // on a node another profile may be the first whose needs are met
		words = append(words, "--profile", q.plan.Profile)
	}
	if c.gpus && !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "--device") || strings.HasPrefix(w, "-device") }) {
		words = append(words, "--device", "xla") // otherwise a task would use the CPU if the GPU fails
	}
	plot := append([]string{run, "plot", file, "--profile", q.plan.Profile}, changeWords(c.changes)...)
	if c.dataDir != "" && dataset.Of(q.plan.Runs[0].Data).Own() { // whose images plot counts
		plot = append(plot, "--data", c.dataDir)
	}
	return slurm.Script{
		About:   fmt.Sprintf("%s, %s: %q. Written by ./run.sh submit %s", q.plan.Name, q.asked(), q.plan.Question, strings.Join(append(words, "--tasks", strconv.Itoa(tasks)), " ")),
		Name:    q.plan.Name,
		Path:    filepath.Join(folder, time.Now().UTC().Format("20060102T150405Z")+".sh"),
		Dir:     dir,
		Tasks:   tasks,
		Options: options,
		Train:   append(append([]string{run, "run"}, words...), "--task", "--no-download"),
		Plot:    append(plot, "--no-download"),
	}, nil
}

// submitScript writes the script, submits it, and then the job that draws the figures after it. left
// describes the runs that are not finished.
func submitScript(ctx context.Context, q question, script slurm.Script, left string) error {
	path, text := script.Path, []byte(script.Text())
	err := disk.Create(path, text)
	for errors.Is(err, fs.ErrExist) { // another submission in the same second
		time.Sleep(100 * time.Millisecond)
		script.Path = filepath.Join(filepath.Dir(path), time.Now().UTC().Format("20060102T150405Z")+".sh")
		path, text = script.Path, []byte(script.Text())
		err = disk.Create(path, text)
	}
	if err != nil {
		return err
	}
	slow := func() { say("still waiting for sbatch") }
	now := slurm.Submission{Tasks: script.Tasks, Submitted: store.UTC()}
	now.Job, err = slurm.Submit(ctx, path, nil, nil, slow)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w\nthe script is written; on a machine of the cluster run: sbatch %s", err, slurm.Quote([]string{path}))
	case errors.Is(err, slurm.ErrNoAnswer):
		return fmt.Errorf("%w; squeue --me shows whether the job was submitted\nthe script is %s", err, path)
	case err != nil:
		return fmt.Errorf("%w\nnothing was submitted; the script is %s", err, path)
	}
	if err := now.Note(path); err != nil {
		return err
	}
	say("job %s: %d tasks for %s", now.Job, now.Tasks, left)
	if now.Plot, err = slurm.Submit(ctx, path, plotOptions(now.Job), []string{"plot"}, slow); err != nil {
		say("warning: the job that draws the figures was not submitted; ./run.sh plot %s draws them: %v", q.File, err)
	} else {
		say("job %s: draws the figures after the tasks", now.Plot)
	}
	say("script  %s\nlogs    %s\n./run.sh status %s shows how far the runs are", path, filepath.Join(filepath.Dir(path), now.Job+"_*.log"), q.view)
	return now.Note(path)
}

// plotOptions returns the options of sbatch that make the script the job that draws the figures
// after an array of tasks, also if tasks fail. The job asks for the same resources as the tasks,
// since sites may not grant others.
func plotOptions(array string) []string {
	return []string{"--dependency=afterany:" + array, "--array=0", "--output=" + array + "_plot.log", "--time=10"}
}
