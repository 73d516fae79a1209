// Tests of submit and status with a real Slurm.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"depthlab/harness/slurm"
	"depthlab/harness/store"
	"depthlab/harness/testskip"
)

const small = `
question: Does it come back?
nets: [plain-8]
data: preview
train: 64
batch: 8
input: {pad: 2}
batch_norm: {group: 0, batches: 2}
schedule: {at: [], stop: STEPS steps, warmup: none}
seeds: SEEDS
log: 2 steps
evaluate: STEPS steps
save: 50 steps
precision: fp32
figures: [training_curves]
`

// project creates a folder with run.sh, this program, and a question with the given steps and
// seeds.
func project(t *testing.T, steps int, seeds string) (root, file string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, tools := checkout(t, "#!/bin/sh\nexport LAB_TEST_MAIN=1\nexec '"+self+"' \"$@\"\n")
	tool(t, tools, "python3", "#!/bin/sh\nexit 1\n")
	put(t, filepath.Join(root, "experiments/q.yaml"), 0, strings.NewReplacer("STEPS", fmt.Sprint(steps), "SEEDS", seeds).Replace(small))
	return root, "experiments/q.yaml"
}

// start runs a command of the project.
func start(t *testing.T, root string, args ...string) (code int, out, said string) {
	t.Helper()
	cmd := exec.Command("bash", append([]string{"run.sh"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, "tools")+":"+os.Getenv("PATH"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

var submittedJob = regexp.MustCompile(`(?m)^job (\d+): (\d+) tasks|^job (\d+): draws`)

// submit submits the question, and returns the numbers of its array and of the job that plots.
func submit(t *testing.T, root, file string, args ...string) (array, plot string) {
	t.Helper()
	code, _, said := start(t, root, append([]string{"submit", file, "--device", "cpu"}, args...)...)
	found := submittedJob.FindAllStringSubmatch(said, -1)
	if code != 0 || len(found) != 2 {
		t.Fatalf("submit: exit code %d\n%s", code, said)
	}
	return found[0][1], found[1][3]
}

// states returns the states of a job's tasks in Slurm.
func states(t *testing.T, job string) []string {
	t.Helper()
	out, err := exec.Command("squeue", "--noheader", "--array", "--states=all", "--jobs="+job, "--format=%T").CombinedOutput()
	if err != nil {
		t.Fatalf("squeue: %v: %s", err, out)
	}
	return strings.Fields(string(out))
}

// completes waits for the job that plots, and checks that it and the tasks completed.
func completes(t *testing.T, root, array, plot string) {
	t.Helper()
	waitFor(t, "job "+plot, func() bool {
		s := states(t, plot)[0]
		return s != "PENDING" && s != "RUNNING" && s != "COMPLETING"
	})
	for _, s := range append(states(t, array), states(t, plot)...) {
		if s != "COMPLETED" {
			t.Errorf("a task is %s", s)
		}
	}
	results := filepath.Join(root, "results/q/default")
	if _, err := os.Stat(filepath.Join(results, "training_curves.png")); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(strings.NewReplacer("[", `\[`).Replace(results), "slurm", "*.log"))
		for _, path := range logs {
			t.Logf("%s:\n%s", path, readText(t, path))
		}
		t.FailNow()
	}
}

// weightsOf returns the weights of a finished run, and its provenance.
func weightsOf(t *testing.T, root, id string) (weights string, sessions []store.Session) {
	t.Helper()
	f := stored(t, root, id)
	made, err := store.ReadProvenance(f)
	if err != nil {
		t.Fatal(err)
	}
	return readText(t, f.Weights()), made.Sessions
}

func TestSlurm(t *testing.T) {
	if !testskip.Everything() {
		testskip.Skip(t, "a Slurm; ./run.sh test --all starts one and trains in it")
	}
	t.Setenv("OMP_NUM_THREADS", "1") // a job has one CPU: the same for the undisturbed run
	c := startCluster(t)
	const id, steps = "plain-8-seed0", 1500
	undisturbed, file := project(t, steps, "[0]")
	if code, _, said := start(t, undisturbed, file, "--device", "cpu"); code != 0 {
		t.Fatal(said)
	}
	want, _ := weightsOf(t, undisturbed, id)
	// same checks that a run has the bits of the undisturbed one, after at least two sessions.
	same := func(t *testing.T, root string) []store.Session {
		t.Helper()
		got, sessions := weightsOf(t, root, id)
		if got != want || len(sessions) < 2 || sessions[1].First == 0 {
			t.Errorf("not the bits of an undisturbed run, or not resumed: %+v", sessions)
		}
		return sessions
	}

	t.Run("sweep", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, 50, "[0, 1]")
		array, plot := submit(t, root, file, "--tasks", "3", "--", "--nodelist=n1")
		completes(t, root, array, plot)
		for _, seed := range []string{"0", "1"} {
			if _, sessions := weightsOf(t, root, "plain-8-seed"+seed); len(sessions) != 1 || !strings.HasPrefix(sessions[0].Job, array+"_") {
				t.Errorf("seed %s: trained by %+v", seed, sessions)
			}
		}
		if code, _, said := start(t, root, "submit", file, "--device", "cpu"); code != 0 || !strings.Contains(said, "All 2 runs are finished") {
			t.Errorf("submitted again: exit code %d, %s", code, said)
		}
	})

	// plan knows a job's memory limit.
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, steps, "[0]")
		start(t, root, "version") // built
		put(t, filepath.Join(root, file), 0, strings.NewReplacer("STEPS", "50", "SEEDS", "[0]", "batch: 8", "batch: 1024", "group: 0", "group: 64", "train: 64", "train: 2048").Replace(small))
		plan := func(mib string) string {
			t.Helper()
			cmd := exec.Command("sbatch", "--wait", "--mem="+mib, "--output="+mib+".log", "--wrap=bash run.sh plan "+file+" --device cpu --no-download")
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			return readText(t, filepath.Join(root, mib+".log"))
		}
		for mib, want := range map[string]string{"300": "divided into micro-batches", "150": "micro-batches of 64 images"} {
			if got := plan(mib); !strings.Contains(got, want) {
				t.Errorf("with %s MiB: %s\nwant %q", mib, got, want)
			}
		}
	})

	// A node without the folder of the results cannot start a job or write its log: status says so.
	t.Run("not shared", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, steps, "[0]")
		array, _ := submit(t, root, file, "--", "--hold")
		slurmDir := filepath.Join(root, "results/q/default/slurm")
		away := filepath.Join(root, "away")
		if err := os.Rename(slurmDir, away); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("scontrol", "release", array).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		waitFor(t, "the task's end", func() bool { return states(t, array)[0] == "FAILED" })
		if err := os.Rename(away, slurmDir); err != nil {
			t.Fatal(err)
		}
		if _, out, said := start(t, root, "status", "results"); !strings.Contains(out, "must be on a disk that all nodes share") {
			t.Errorf("status says\n%s%s", out, said)
		}
	})

	// Slurm warns a task, at most half a minute late, and requeues it when it ends, and not the others.
	// One task of an array has the array's number as its SLURM_JOB_ID: it is the one that is warned.
	t.Run("warned", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		script := slurm.Script{
			Name: "warned", Path: filepath.Join(dir, "1.sh"), Dir: dir, Tasks: 2, Options: []string{"--time=2"},
			Train: []string{"bash", "-c", "[ $SLURM_JOB_ID = $SLURM_ARRAY_JOB_ID ] && [ ${SLURM_RESTART_COUNT:-0} = 0 ] || exit 0; trap 'exit 138' USR1; sleep 600 & wait; exit 1"},
		}
		put(t, script.Path, 0, script.Text())
		job, err := slurm.Submit(context.Background(), script.Path, nil, nil, func() {})
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "both tasks' end", func() bool { return slices.Equal(states(t, job), []string{"COMPLETED", "COMPLETED"}) })
		jobs, err := slurm.Jobs(context.Background(), []string{job})
		if a, b := jobs[job+"_0"].Restarts, jobs[job+"_1"].Restarts; err != nil || a+b != 1 {
			t.Errorf("%+v, %v; want one of two tasks requeued", jobs, err)
		}
	})

	t.Run("signalled", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, steps, "[0]")
		array, plot := submit(t, root, file)
		begun(t, root, id, 40)
		holder, _ := stored(t, root, id).Holder()
		if holder.Job != array+"_0" {
			t.Errorf("held by %v", holder)
		}
		if _, out, said := start(t, root, "status", "results"); !regexp.MustCompile(array + `_0 +RUNNING +n[12] +0`).MatchString(out) {
			t.Errorf("status does not have the job:\n%s%s", out, said)
		}
		shell := parent(t, holder.PID)
		syscall.Kill(shell, syscall.SIGUSR1)
		completes(t, root, array, plot)
		if s := same(t, root); len(s) != 2 || s[0].Job != s[1].Job || s[1].Restart != 1 {
			t.Errorf("sessions %+v", s)
		}
	})

	// Slurm preempts the task, as for a job of higher priority, and requeues it itself.
	t.Run("preempted", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, steps, "[0]")
		array, plot := submit(t, root, file)
		begun(t, root, id, 40)
		if out, err := exec.Command("scontrol", "requeue", array+"_0").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		completes(t, root, array, plot)
		same(t, root)
	})

	t.Run("node died", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, steps, "[0]")
		array, plot := submit(t, root, file, "--", "--nodelist=n2")
		begun(t, root, id, 40)
		holder, _ := stored(t, root, id).Holder()
		c.reset("n2", holder.PID)
		completes(t, root, array, plot)
		same(t, root)
	})

	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		root, file := project(t, steps, "[0]")
		array, _ := submit(t, root, file)
		begun(t, root, id, 40)
		if out, err := exec.Command("scancel", array).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		waitFor(t, "the task to be cancelled", func() bool { return states(t, array)[0] == "CANCELLED" })
		if _, out, said := start(t, root, "status", "results"); !strings.Contains(out, "job "+array+"_0 is CANCELLED, and no other job is left for this run") {
			t.Errorf("status does not say that the job is gone:\n%s%s", out, said)
		}
		array, plot := submit(t, root, file)
		completes(t, root, array, plot)
		same(t, root)
	})
}
