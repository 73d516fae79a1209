// Tests of submit with fake commands of Slurm.

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/slurm"
	"depthlab/harness/store"
)

// submitting runs submit in a project's folder, with scripts as Slurm's commands.
func submitting(t *testing.T, root string, commands map[string]string, args ...string) (code int, out, said string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range commands {
		tool(t, dir, name, "#!/bin/sh\n"+text+"\n")
	}
	cmd, stdout, stderr := wishing(root, []string{"PATH=" + dir + ":/bin", "CUDA_VISIBLE_DEVICES="}, append([]string{"submit"}, args...)...)
	if len(commands) == 0 {
		cmd.Env = append(cmd.Env, "PATH="+dir)
	}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// asking creates a project's folder with a question of two runs.
func asking(t *testing.T) (root string, view store.View) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "it's a [project]")
	put(t, filepath.Join(root, "q.yaml"), 0, strings.NewReplacer("STEPS", "10", "SEEDS", "[0, 1]").Replace(small))
	return root, store.View(filepath.Join(root, "results/q/default"))
}

// scripts lists the batch scripts in a question's folder.
func scripts(t *testing.T, v store.View) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir(v.Slurm())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".sh" {
			paths = append(paths, filepath.Join(v.Slurm(), e.Name()))
		}
	}
	return paths
}

func TestSubmitDryRun(t *testing.T) {
	root, view := asking(t)
	code, out, said := submitting(t, root, nil, "q.yaml", "--device", "ref", "--dry-run", "--tasks=3", "--set", "optimizer.rate=0.05", "--", "--partition=gpu", "--comment", "our work")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	quoted := slurm.Quote([]string{filepath.Join(root, "run.sh")})
	for _, want := range []string{
		"#!/usr/bin/env bash\n# q, default", "\n#SBATCH --array=0-2\n", "\n#SBATCH --partition=gpu --comment 'our work'\n", "\ncd " + slurm.Quote([]string{root}) + " || exit 1\n",
		"\n" + quoted + " run q.yaml --device ref --set optimizer.rate=0.05 --profile default --task --no-download &\n",
		"\n\texec " + quoted + " plot q.yaml --profile default --set optimizer.rate=0.05 --no-download\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the script lacks %q:\n%s", want, out)
		}
	}
	path := filepath.Join(t.TempDir(), "script")
	put(t, path, 0, out)
	if text, err := exec.Command("bash", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	if _, err := os.Stat(string(view)); err == nil {
		t.Errorf("%s was written", view)
	}
}

func TestSubmitAnswers(t *testing.T) {
	accepts := `case "$*" in *afterany:17*) echo 18 ;; *) echo 17 ;; esac`
	for name, c := range map[string]struct {
		commands map[string]string
		args     []string
		code     int
		says     []string
		scripts  int
		noted    string // the jobs that are recorded beside the script
	}{
		"accepted": {map[string]string{"sbatch": accepts}, nil, 0, []string{"job 17: 2 tasks for 2 runs in fp32", "job 18: draws the figures"}, 1, "17 18 2"},
		"no Slurm": {nil, nil, 1, []string{"sbatch: executable file not found", "on a machine of the cluster run: sbatch '"}, 1, ""},
		"refused": {map[string]string{"sbatch": "echo 'sbatch: error: Invalid account or account/partition combination specified' >&2; exit 1"}, nil, 1,
			[]string{"Invalid account or account/partition", "nothing was submitted; the script is "}, 1, ""},
		"only the plot is refused": {map[string]string{"sbatch": `case "$*" in *afterany*) echo no plots >&2; exit 1 ;; esac; echo 17`}, []string{"--tasks", "1"}, 0,
			[]string{"job 17: 1 tasks", "warning: the job that draws the figures was not submitted", "no plots"}, 1, "17  1"},
		"nonsense":  {map[string]string{"sbatch": "echo done"}, nil, 1, []string{"expected the number of a job"}, 1, ""},
		"too short": {map[string]string{"sbatch": accepts}, []string{"--", "--time=3"}, 2, []string{"a time limit of 3m0s; a task needs at least 4m0s"}, 0, ""},
		"no time":   {map[string]string{"sbatch": accepts}, []string{"--", "--time=1h"}, 2, []string{`time "1h"`}, 0, ""},
		"no tasks":  {map[string]string{"sbatch": accepts}, []string{"--tasks", "-1"}, 2, []string{"--tasks -1: expected"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, view := asking(t)
			code, _, said := submitting(t, root, c.commands, append([]string{"q.yaml", "--device", "ref"}, c.args...)...)
			for _, want := range c.says {
				if code != c.code || !strings.Contains(said, want) {
					t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, want, said)
				}
			}
			found := scripts(t, view)
			if len(found) != c.scripts || len(found) > 0 && !strings.Contains(said, found[0]) && !strings.Contains(said, slurm.Quote(found)) {
				t.Errorf("scripts %q, said\n%s", found, said)
			}
			noted := ""
			if all, err := slurm.Submissions(view.Slurm()); err != nil {
				t.Error(err)
			} else if len(all) > 0 {
				noted = fmt.Sprintf("%s %s %d", all[0].Job, all[0].Plot, all[0].Tasks)
			}
			if noted != c.noted {
				t.Errorf("noted %q, want %q", noted, c.noted)
			}
		})
	}
}

// A second submission of a question says that tasks of it run or are queued already.
func TestSubmitTwice(t *testing.T) {
	root, view := asking(t)
	commands := map[string]string{
		"sbatch": "echo 17",
		"squeue": fmt.Sprintf("echo '%-40s%-20s%-100s%-10s%-60s'", "17_1", "RUNNING", "node3", "0", "None"),
	}
	for i, want := range []bool{false, true} {
		code, _, said := submitting(t, root, commands, "q.yaml", "--device", "ref")
		if told := strings.Contains(said, "run or are queued already (17_1 RUNNING)"); code != 0 || told != want {
			t.Errorf("submitted %d times: exit code %d, told %v:\n%s", i+1, code, told, said)
		}
	}
	if found := scripts(t, view); len(found) != 2 {
		t.Errorf("scripts %q", found)
	}
}

// Jobs that ask for GPUs get the profile and the device for GPUs, also from a machine without one.
func TestSubmitGPUs(t *testing.T) {
	root, _ := asking(t)
	text := readText(t, filepath.Join(root, "q.yaml"))
	put(t, filepath.Join(root, "q.yaml"), 0, text+"profiles: {big: {needs: [gpu]}, small: {}}\n")
	for options, want := range map[string]string{
		"--gpus=1":      "--profile big --device xla --task",
		"--mem=4G":      "--profile small --task",
		"--gres=gpu:1g": "--profile big --device xla --task",
	} {
		args := []string{"q.yaml", "--dry-run", "--", options}
		if want == "--profile small --task" {
			args = append([]string{"--device", "ref"}, args...)
		}
		if code, out, said := submitting(t, root, nil, args...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want %q in\n%s%s", options, code, want, out, said)
		}
	}
}

// The job that draws counts the user's own images where --data names them.
func TestSubmitOwnImages(t *testing.T) {
	root, _ := asking(t)
	pets(t, filepath.Join(root, "pets"), 20)
	put(t, filepath.Join(root, "own.yaml"), 0, "question: Cat or dog?\nnets: [plain-8]\ndata: folder\ninput: {size: 10, pad: 1}\nbatch: 12\n")
	code, out, said := submitting(t, root, nil, "own.yaml", "--device", "ref", "--data", "pets", "--dry-run")
	if want := " plot own.yaml --profile default --data pets --no-download\n"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("exit code %d, want %q:\n%s%s", code, want, out, said)
	}
}
