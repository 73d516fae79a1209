// Tests with scripts in place of Slurm's commands. harness/cmd/lab tests with a real Slurm.

package slurm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commands puts scripts on the PATH, by name, and returns their folder. The file "calls" there lists
// all calls.
func commands(t *testing.T, scripts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range scripts {
		text = fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >>'%s/calls'\n%s\n", name, dir, text)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}

func calls(dir string) string {
	text, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return string(text)
}

func TestHere(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want Here
	}{
		{nil, Here{}},
		{map[string]string{"SLURM_JOB_ID": "17"}, Here{"17", 0, 0}},
		{map[string]string{"SLURM_JOB_ID": "20", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_RESTART_COUNT": "3"}, Here{"17_2", 3, 4}},
	} {
		if got := here(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.env, got, c.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Minute, "4:58": 4*time.Minute + 58*time.Second, "1:30:00": 90 * time.Minute, "0:00": 0,
		"2-12": 60 * time.Hour, "1-0:30": 24*time.Hour + 30*time.Minute, "1-02:03:04": 26*time.Hour + 3*time.Minute + 4*time.Second,
	} {
		if got, limited, err := ParseTime(text); got != want || !limited || err != nil {
			t.Errorf("%s: %v, %v, %v; want %v", text, got, limited, err, want)
		}
	}
	if _, limited, err := ParseTime("UNLIMITED"); limited || err != nil {
		t.Errorf("UNLIMITED: %v, %v", limited, err)
	}
	for _, text := range []string{"", "INVALID", "1h", "-1", "1:2:3:4", "1:x", "x-1"} {
		if d, _, err := ParseTime(text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		options string
		gpus    bool
		limit   time.Duration // 0 for unknown
	}{
		{"", false, 0},
		{"--partition=gpu -A lab", false, 0},
		{"--gpus=1", true, 0},
		{"--gpus-per-node 2 --time 1:00:00", true, time.Hour},
		{"--gres=gpu:1 --time=30", true, 30 * time.Minute},
		{"--gres gpu:a100:1 -t 2-0", true, 48 * time.Hour},
		{"-G1 -t5", true, 5 * time.Minute},
		{"--time=UNLIMITED", false, 0},
	} {
		options := strings.Fields(c.options)
		limit, known, err := TimeLimit(options)
		if GPUs(options) != c.gpus || limit != c.limit || known != (c.limit > 0) || err != nil {
			t.Errorf("%q: GPUs %v, limit %v %v, %v", c.options, GPUs(options), limit, known, err)
		}
	}
	if _, _, err := TimeLimit([]string{"--time=1h"}); err == nil {
		t.Error("--time=1h was read")
	}
}

// A shell reads quoted words unchanged.
func TestQuote(t *testing.T) {
	words := []string{"", "a", "a b", "it's", `"`, "$HOME", "`x`", `\`, "é", "a\nb", "*", "#x", "~", "--x=1,2", "%A"}
	out, err := exec.Command("bash", "-c", `printf '%s\0' `+Quote(words)).Output()
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); err != nil || !reflect.DeepEqual(got, words) {
		t.Errorf("%q, %v; want %q", got, err, words)
	}
}

// batch writes a script whose tasks run a shell command.
func batch(t *testing.T, command string) (s Script) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "it's a [folder]")
	s = Script{
		About: "a question", Name: "q", Path: filepath.Join(dir, "1.sh"), Dir: "/", Tasks: 3,
		Options: []string{"--partition=gpu", "-A", "our lab"}, Train: []string{"sh", "-c", command}, Plot: []string{"echo", "plots"},
	}
	if err := errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(s.Path, []byte(s.Text()), 0o666)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScriptText(t *testing.T) {
	text := batch(t, "true").Text()
	for _, want := range []string{
		"#!/usr/bin/env bash\n# a question\n", "\n#SBATCH --array=0-2\n", "\n#SBATCH --requeue --signal=B:USR1@120\n",
		"\n#SBATCH --partition=gpu -A 'our lab'\n", "\nsh -c true &\n", "\n\texec echo plots\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the script does not have %q:\n%s", want, text)
		}
	}
}

// A task that ended before its time limit, or because it was preempted, is requeued; others are not, also
// if SLURM_JOB_ID is the number of the whole array. Signals reach the program.
func TestScriptRequeues(t *testing.T) {
	waits := func(code string) string {
		return "trap 'kill $!; exit " + code + "' USR1 TERM; echo begun; sleep 30 >/dev/null & wait" // it does not hold the output
	}
	for name, c := range map[string]struct {
		command string
		signal  syscall.Signal // sent to the shell; 0 for none
		state   string         // as squeue has it
		refused bool           // by scontrol
		code    int
		again   bool
	}{
		"finished":                   {"exit 0", 0, "RUNNING", false, 0, false},
		"failed":                     {"exit 1", 0, "RUNNING", false, 1, false},
		"refused":                    {"exit 2", 0, "RUNNING", false, 2, false},
		"time limit":                 {"exit 75", 0, "RUNNING", false, 75, true},
		"time limit, not requeued":   {"exit 75", 0, "RUNNING", true, 75, true},
		"warned":                     {waits("138"), syscall.SIGUSR1, "RUNNING", false, 138, true},
		"warned, and just finished":  {waits("0"), syscall.SIGUSR1, "RUNNING", false, 0, false},
		"preempted with time to end": {waits("143"), syscall.SIGTERM, "RUNNING", false, 143, true},
		"cancelled, or requeued":     {waits("143"), syscall.SIGTERM, "COMPLETING", false, 143, false},
		"cancelled, no answer":       {waits("143"), syscall.SIGTERM, "", false, 143, false},
		"killed":                     {"kill -9 $$", 0, "RUNNING", false, 137, false},
	} {
		t.Run(name, func(t *testing.T) {
			scontrol := ""
			if c.refused {
				scontrol = "exit 1"
			}
			dir := commands(t, map[string]string{"scontrol": scontrol, "squeue": `case "$*" in *--jobs=17_3*) echo ` + c.state + " ;; *) echo RUNNING; echo RUNNING ;; esac"})
			for name, value := range map[string]string{"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "3"} {
				t.Setenv(name, value)
			}
			cmd := exec.Command("bash", batch(t, c.command).Path)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if c.signal != 0 {
				out.Read(make([]byte, len("begun\n")))
				cmd.Process.Signal(c.signal)
			}
			text, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			if said := strings.Contains(string(text), "requeued; it will resume"); said != (c.again && !c.refused) {
				t.Errorf("said that it is requeued: %v", said)
			}
			if again := strings.Contains(calls(dir), "scontrol requeue 17_3\n"); again != c.again {
				t.Errorf("requeued: %v, want %v; calls:\n%s", again, c.again, calls(dir))
			}
		})
	}
}

// On a node without the results folder, the log says so. The job that follows the array plots.
func TestScriptElsewhere(t *testing.T) {
	s := batch(t, "true")
	if out, err := exec.Command("bash", s.Path, "plot").CombinedOutput(); err != nil || string(out) != "plots\n" {
		t.Errorf("plot: %q, %v", out, err)
	}
	copied := filepath.Join(t.TempDir(), "slurm_script") // as Slurm has it
	if err := os.Rename(s.Path, copied); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("bash", copied).CombinedOutput(); err == nil || !strings.Contains(string(out), s.Path+" exists on the machine that submitted this job, but not on ") {
		t.Errorf("not shared: %q, %v", out, err)
	}
}

func TestSubmit(t *testing.T) {
	defer func(p, h time.Duration) { patience, hesitation = p, h }(patience, hesitation)
	patience, hesitation = 20*time.Second, 200*time.Millisecond
	for name, c := range map[string]struct {
		sbatch string
		id     string
		says   string // the error
		slow   bool
	}{
		"accepted":        {"echo 17", "17", "", false},
		"of a federation": {"echo '17;far'", "17", "", false},
		"after a message": {"echo 'Welcome to the cluster'; echo 17", "17", "", false},
		"slow":            {"sleep 1; echo 17", "17", "", true},
		"refused":         {"echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1", "", "Invalid account", false},
		"no number":       {"echo done", "", `got "done`, false},
	} {
		dir := commands(t, map[string]string{"sbatch": c.sbatch})
		told := make(chan bool, 1)
		id, err := Submit(context.Background(), "a script", []string{"--x"}, []string{"plot"}, func() { told <- true })
		if id != c.id || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v; want %q, %q", name, id, err, c.id, c.says)
		}
		if got := calls(dir); got != "sbatch --parsable --x a script plot\n" {
			t.Errorf("%s: called as %q", name, got)
		}
		if c.slow && len(told) == 0 {
			t.Errorf("%s: slow was not called", name)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Submit(context.Background(), "s", nil, nil, func() {}); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "sbatch") {
		t.Errorf("without Slurm: %v", err)
	}
	patience = 300 * time.Millisecond
	commands(t, map[string]string{"sbatch": "exec sleep 30"})
	if _, err := Submit(context.Background(), "s", nil, nil, func() {}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("no answer: %v", err)
	}
}

func TestJobs(t *testing.T) {
	row := func(id, state, node, restarts, reason string) string {
		return fmt.Sprintf("echo '%-40s%-20s%-100s%-10s%-60s'\n", id, state, node, restarts, reason)
	}
	none := map[string]Job{}
	for name, c := range map[string]struct {
		squeue, sacct string
		want          map[string]Job
		fails         bool
	}{
		"two tasks": {row("17_0", "RUNNING", "node3", "2", "None") + row("17_1", "PENDING", "", "1", "BeginTime"), "exit 1",
			map[string]Job{"17_0": {"17_0", "RUNNING", "node3", 2, ""}, "17_1": {"17_1", "PENDING", "", 1, "BeginTime"}}, false},
		"one forgotten, with accounting": {row("17_0", "RUNNING", "node3", "0", "None"), "echo '17_0|PENDING|None assigned'; echo '17_1|CANCELLED by 1000|node4'; echo",
			map[string]Job{"17_0": {"17_0", "RUNNING", "node3", 0, ""}, "17_1": {"17_1", "CANCELLED", "node4", 0, ""}}, false},
		"forgotten":     {"echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "echo 'Slurm accounting storage is disabled' >&2; exit 1", none, false},
		"none":          {"", "exit 1", none, false},
		"no controller": {"echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", "exit 1", nil, true},
	} {
		commands(t, map[string]string{"squeue": c.squeue, "sacct": c.sacct})
		got, err := Jobs(context.Background(), []string{"17", "18"})
		if !reflect.DeepEqual(got, c.want) || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for state, want := range map[string]bool{"RUNNING": false, "PENDING": false, "COMPLETING": false, "REQUEUE_HOLD": false, "CANCELLED": true, "NODE_FAIL": true, "OUT_OF_MEMORY": true} {
		if got := (Job{State: state}).Ended(); got != want {
			t.Errorf("%s: ended %v", state, got)
		}
	}
}

// If the node's clock is wrong by minutes, the time left is the limit.
func TestLeft(t *testing.T) {
	for answer, want := range map[string]struct {
		left, limit time.Duration
		limited     bool
	}{
		"4:58 5:00":           {4*time.Minute + 58*time.Second, 5 * time.Minute, true},
		"1-00:00:00 2-0":      {24 * time.Hour, 48 * time.Hour, true},
		"UNLIMITED UNLIMITED": {0, 0, false},
		"INVALID 1:00:00":     {time.Hour, time.Hour, true}, // the clock is ahead
		"1:10:00 1:00:00":     {time.Hour, time.Hour, true}, // the clock is behind
	} {
		commands(t, map[string]string{"squeue": "echo '" + answer + "'"})
		left, limit, limited, err := Left(context.Background(), "17")
		if left != want.left || limit != want.limit || limited != want.limited || err != nil {
			t.Errorf("%s: %v of %v, %v, %v", answer, left, limit, limited, err)
		}
	}
	commands(t, map[string]string{"squeue": ""})
	if _, _, _, err := Left(context.Background(), "17"); err == nil {
		t.Error("no answer was read")
	}
}

func TestSubmissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "slurm")
	if all, err := Submissions(dir); len(all) > 0 || err != nil {
		t.Errorf("of no folder: %v, %v", all, err)
	}
	want := []Submission{{"17", "18", 3, "2026-01-02T03:04:05Z"}, {"20", "", 1, "2026-01-03T03:04:05Z"}}
	for i, name := range []string{"20260102T030405Z.sh", "20260103T030405Z.sh"} {
		if err := want[i].Note(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Submissions(dir); !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "20260101T000000Z.json"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := Submissions(dir); !reflect.DeepEqual(got, want) || err == nil {
		t.Errorf("with a damaged one: %+v, %v", got, err)
	}
}
