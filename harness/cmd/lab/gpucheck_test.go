// Tests of gpu-check, and of where the output of C libraries goes.

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/device/xla"
	"depthlab/harness/testskip"
)

// A part's process may print its result, fail or crash: child returns an outcome all the same.
func TestChild(t *testing.T) {
	for _, c := range []struct {
		script       string
		read         func(string) (string, error)
		status, text string
	}{
		{`echo chatter; echo '{"part":"x","status":"passed","seconds":9,"text":"all is well"}'`, nil, "passed", "all is well"},
		{`echo '{"part":"x","status":"skipped","seconds":9,"text":"no"}'`, nil, "skipped", "no"},
		{`echo out of words >&2; exit 7`, nil, "failed", "exit status 7"},
		{`exit 0`, nil, "failed", "without a result (exit status 0)"},
		{`kill -SEGV $$`, nil, "failed", "segmentation fault"},
		{`echo '{"status":"passed","text":"all is well"}'; exit 1`, nil, "failed", "all is well; but then its process: exit status 1"},
		{`echo '{"status":"passed","text":"all is well"}'; kill -ABRT $$`, nil, "failed", "aborted"},
		{`echo '{"status":"skipped","text":"no"}'; exit 1`, nil, "failed", "exit status 1"},
		{`echo '{"status":"failed","text":"wrong"}'; exit 1`, nil, "failed", "wrong"},
		{`echo "--- PASS: TestDevice (1.0s)"; echo PASS`, summarise, "passed", "1 tests passed"},
		{`echo "--- FAIL: TestDevice (1.0s)"; echo FAIL; exit 1`, summarise, "failed", "failed: TestDevice"},
		{`echo "--- PASS: TestDevice (1.0s)"; echo PASS; exit 1`, summarise, "failed", "1 tests passed, 0 skipped, 0 of them for lack of time; but then its process: exit status 1"},
		{`exit 3`, summarise, "failed", "exit status 3"},
	} {
		self, out := childOf(t, c.script)
		o := child(context.Background(), self, nil, checkPart{Name: "x", read: c.read}, out, time.Hour)
		if o.Part != "x" || o.Status != c.status || !strings.Contains(o.Text, c.text) || o.Seconds == 9 {
			t.Errorf("%s: %+v, want %s and %q", c.script, o, c.status, c.text)
		}
		if strings.HasPrefix(c.script, "echo") && len(readText(t, filepath.Join(out, "log", "x.txt"))) == 0 {
			t.Errorf("%s: nothing in the log", c.script)
		}
	}
}

// childOf returns the paths of a program that runs the script, and of a folder for reports.
func childOf(t *testing.T, script string) (self, out string) {
	t.Helper()
	self, out = filepath.Join(t.TempDir(), "lab"), t.TempDir()
	if err := os.WriteFile(self, []byte("#!/bin/sh\n"+script+"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(out, "log"), 0o777); err != nil {
		t.Fatal(err)
	}
	return self, out
}

// A signal skips a part; the end of its time fails it, also after its result.
func TestChildEnds(t *testing.T) {
	const passed = `echo '{"status":"passed","text":"all is well"}'; `
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for _, c := range []struct {
		ctx          context.Context
		script       string
		status, text string
	}{
		{stopped, "exec sleep 100", "skipped", "interrupted"},
		{context.Background(), "exec sleep 100", "failed", "not finished after 0 s"},
		{context.Background(), passed + "exec sleep 100", "failed", "all is well; but then its process: not finished after 0 s"},
	} {
		self, out := childOf(t, c.script)
		o := child(c.ctx, self, nil, checkPart{Name: "x"}, out, 300*time.Millisecond)
		if o.Status != c.status || !strings.HasPrefix(o.Text, c.text) {
			t.Errorf("%s: %+v, want %s and %q", c.script, o, c.status, c.text)
		}
	}
}

// After a signal gpu-check writes its report, and exits with the signal's code.
func TestGPUCheckSignal(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "report")
	cmd, _, _ := lab(root, "gpu-check", "--device", "ref", "--net", "plain-8", "--bench-net", "plain-8", "--batch", "2", "--out", out)
	wait := all.begin(t, cmd) // until "device ..."
	cmd.Process.Signal(syscall.SIGINT)
	got, text := wait()
	report := readText(t, filepath.Join(out, "report.md"))
	if got != 130 || !strings.Contains(text, "interrupted") || strings.Contains(report, "| failed |") || !strings.Contains(report, "| resume | skipped | 0.0 | interrupted |") {
		t.Errorf("exit code %d\n%s\n%s", got, text, report)
	}
}

// The report names the plugin that was opened.
func TestDescribe(t *testing.T) {
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := xla.Find("", libs)
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	cmd, out, said := lab(t.TempDir(), "gpu-check", "--part", "device", "--plugin", plugin)
	var o outcome
	if err := cmd.Run(); err != nil || json.Unmarshal(out.Bytes(), &o) != nil {
		t.Fatalf("%v: %s%s", err, out, said)
	}
	for _, want := range []string{"xla PJRT", "library " + plugin, "driver"} {
		if o.Status != "passed" || !strings.Contains(o.Text, want) {
			t.Errorf("%+v, want %q in it", o, want)
		}
	}
}

// The parts of gpu-check for several GPUs, on four devices of XLA's CPU plugin.
func TestRehearsal(t *testing.T) {
	quickXLA(t)
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := xla.Find("", libs)
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	root := t.TempDir() // its cache of compiled programs is shared, so that all devices run the same ones
	for part, want := range map[string]string{
		"every device":     "plain-8, fp32, on 4 devices at the same time: |the same bits",
		"devices together": "plain-8, fp32, batch 16 on 4 devices: 12 losses|the same bits when resumed",
		"input":            "MiB were copied|the same bits",
	} {
		if part != "devices together" && !testskip.Everything() {
			continue
		}
		cmd, out, said := lab(root, "gpu-check", "--net", "plain-8", "--batch", "16", "--plugin", plugin, "--devices", "0,1,2,3", "--part", part, "--seconds", "300")
		var o outcome
		if err := cmd.Run(); err != nil || json.Unmarshal(out.Bytes(), &o) != nil {
			t.Fatalf("%s: %v: %s%s", part, err, out, said)
		}
		for _, w := range strings.Split(want, "|") {
			if o.Status != "passed" || !strings.Contains(o.Text, w) || strings.Contains(o.Text, "other algorithms") {
				t.Errorf("%s: %+v, want %q", part, o, w)
			}
		}
	}
}

// The output of C libraries goes to its own log file, except in a part of gpu-check, which has a
// log for all output.
func TestDivert(t *testing.T) {
	for command, want := range map[string]bool{"doctor": true, "gpu-check --part device": false} {
		root := t.TempDir()
		cmd, _, said := lab(root, strings.Fields(command)...)
		if err := cmd.Run(); err != nil {
			t.Fatal(err, said)
		}
		if _, err := os.Stat(filepath.Join(root, ".cache", "xla", "log.txt")); (err == nil) != want {
			t.Errorf("%s: a file for what XLA says: %v", command, err)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSummarise(t *testing.T) {
	const log = `=== RUN   TestDevice
--- FAIL: TestDevice (3.00s)
    --- PASS: TestDevice/golden (1.00s)
        --- PASS: TestDevice/golden/a (0.50s)
        --- PASS: TestDevice/golden/b (0.50s)
    --- FAIL: TestDevice/fp32 (2.00s)
        --- PASS: TestDevice/fp32/info (0.00s)
        --- FAIL: TestDevice/fp32/steps (0.00s)
    --- SKIP: TestDevice/bf16 (0.00s)
        devicetest.go:1: out of time
FAIL
`
	text, err := summarise(log)
	if want := "3 tests passed, 1 skipped, 1 of them for lack of time; failed: TestDevice/fp32/steps"; err == nil || err.Error() != want {
		t.Errorf("%q, %v; want %q", text, err, want)
	}
	good := strings.ReplaceAll(log, "FAIL", "PASS")
	if text, err := summarise(good); err != nil || !strings.HasPrefix(text, "4 tests passed") {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := summarise(strings.TrimSuffix(good, "PASS\n")); err == nil {
		t.Errorf("a log that breaks off is taken: %q", text)
	}
}

// The report lists every part, whatever its result, and the exit code is not 0 if a part failed.
func TestGPUCheck(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status string // of the first part
		others string // of the other parts, if all have the same; else ""
	}{
		{[]string{"--device", "xla"}, "failed", "skipped"}, // no plugin is found
		{[]string{"--device", "ref", "--minutes", "0.1"}, "passed", ""},
	} {
		root := t.TempDir()
		out := filepath.Join(root, "report")
		cmd, _, said := lab(root, append([]string{"gpu-check", "--net", "plain-8", "--bench-net", "plain-8", "--batch", "2", "--out", out}, c.args...)...)
		cmd.Env = append(cmd.Env, "PATH=", "DEPTHLAB_PJRT=")
		err := cmd.Run()
		if c.status == "failed" && (err == nil || !strings.Contains(said.String(), "parts failed")) {
			t.Errorf("%v: error %v; said %s", c.args, err, said)
		}
		f, err := os.Open(filepath.Join(out, "results.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var all []outcome
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var o outcome
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				t.Fatal(err)
			}
			all = append(all, o)
		}
		if len(all) != 13 || all[0].Status != c.status {
			t.Fatalf("%v: %+v", c.args, all)
		}
		report := readText(t, filepath.Join(out, "report.md"))
		for _, o := range all {
			if !strings.Contains(report, "| "+o.Part+" | "+o.Status+" |") || o.Text == "" {
				t.Errorf("%v: %+v, and the report\n%s", c.args, o, report)
			}
		}
		for _, o := range all[1:] {
			if c.others != "" && o.Status != c.others {
				t.Errorf("%v: %+v, want it %s", c.args, o, c.others)
			}
		}
	}
}
