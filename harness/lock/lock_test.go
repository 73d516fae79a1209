// Tests of locks: two processes never hold one, and a dead holder's is taken over.

package lock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/disk"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("LOCK_TEST_TAKE"); path != "" {
		os.Exit(contend(path))
	}
	os.Exit(m.Run())
}

// contend adds one to a number 30 times, each time under the lock. It reads and writes so
// slowly that an overlap of two processes would give a wrong sum.
func contend(path string) int {
	var set Set
	for done := 0; done < 30; {
		l, err := set.Take(path)
		var held *HeldError
		if errors.As(err, &held) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		var n int
		text, _ := os.ReadFile(path + ".n")
		fmt.Sscan(string(text), &n)
		time.Sleep(time.Millisecond)
		if os.Getenv("LOCK_TEST_DIE") != "" && done == 10 {
			p, _ := os.FindProcess(os.Getpid())
			p.Kill()
			select {}
		}
		os.WriteFile(path+".n", fmt.Append(nil, n+1), 0o666)
		if err := l.Release(); err != nil {
			fmt.Println(err)
			return 1
		}
		done++
	}
	return 0
}

// Three processes at once, one of which is killed while it holds the lock: nothing is
// counted twice or lost, and no file is left.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.lock")
	var all sync.WaitGroup
	for i := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LOCK_TEST_TAKE="+path)
		if i == 0 {
			cmd.Env = append(cmd.Env, "LOCK_TEST_DIE=1")
		}
		all.Go(func() {
			out, err := cmd.CombinedOutput()
			if i > 0 && err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if i == 0 && (err == nil || !strings.Contains(err.Error(), "killed")) {
				t.Errorf("not killed: %v %s", err, out)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(path + ".n")
	if err != nil || string(text) != "70" {
		t.Errorf("counted %s, %v; want 10 + 30 + 30", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left %q", left)
	}
}

func taken(t *testing.T, s *Set, path string) *Lock {
	t.Helper()
	l, err := s.Take(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func held(t *testing.T, s *Set, path, by string) {
	t.Helper()
	_, err := s.Take(path)
	var h *HeldError
	if !errors.As(err, &h) || !strings.Contains(err.Error(), by) {
		t.Errorf("error %v, want a *HeldError that says %q", err, by)
	}
}

func TestTakeAndRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "x.lock")
	var a, b Set
	l := taken(t, &a, path)
	held(t, &b, path, fmt.Sprintf("process %d on", os.Getpid()))
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("released, but %v", err)
	}
	l = taken(t, &b, path)
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

// A folder that is a dangling link is reported as such.
func TestFolderIsGone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "unmounted"), filepath.Join(dir, "results")); err != nil {
		t.Fatal(err)
	}
	var s Set
	_, err := s.Take(filepath.Join(dir, "results", "x.lock"))
	var bad *disk.Error
	if !errors.As(err, &bad) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want a *disk.Error of a folder that is not there", err)
	}
}

// leave makes a lock of another process.
func leave(t *testing.T, path string, change func(*Holder)) {
	t.Helper()
	h := self()
	change(&h)
	text, _ := json.Marshal(h)
	if err := disk.Create(path, text); err != nil {
		t.Fatal(err)
	}
}

func TestDeadHolders(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Holder)
		atOnce bool // death can be seen without waiting
	}{
		"no such process here":           {func(h *Holder) { h.PID = 1 << 22 }, true},
		"its number was used again":      {func(h *Holder) { h.PID, h.Began = 1, "1" }, true},
		"another machine":                {func(h *Holder) { h.Host, h.PID = "elsewhere", 1<<22 }, false},
		"this machine, before it booted": {func(h *Holder) { h.Space, h.PID = "another boot", 1<<22 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.lock")
			leave(t, path, c.change)
			s := Set{Stale: 300 * time.Millisecond}
			if !c.atOnce {
				held(t, &s, path, "process")
				now := time.Now()
				for range 4 { // it gives heartbeats
					time.Sleep(100 * time.Millisecond)
					now = now.Add(time.Second)
					os.Chtimes(path, now, now)
					held(t, &s, path, "process")
				}
				time.Sleep(350 * time.Millisecond) // and then stops
			}
			l := taken(t, &s, path)
			if err := l.Release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Times have a time zone, whatever the zone of the holder's machine.
func TestHeldErrorNamesTheZone(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 2*3600))
	for want, taken := range map[string]time.Time{
		"x.lock is held by process 7 on a since 2026-01-02 01:04:05 UTC": at,
		"x.lock is held by process 7 on a":                               {},
	} {
		e := &HeldError{Path: "x.lock", Holder: Holder{Host: "a", PID: 7, Taken: taken}}
		if e.Error() != want {
			t.Errorf("%q, want %q", e, want)
		}
	}
}

// A holder that slept and was considered dead learns of it.
func TestLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	s := Set{Beat: 10 * time.Millisecond}
	l := taken(t, &s, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	leave(t, path, func(h *Holder) { h.Host = "elsewhere" })
	time.Sleep(50 * time.Millisecond)
	if err := l.Check(); !errors.Is(err, ErrLost) {
		t.Errorf("error %v, want ErrLost", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	if h, err := Read(path); err != nil || h.Host != "elsewhere" {
		t.Errorf("the new holder's lock is gone: %v %v", h, err)
	}
}

func TestBeats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	s := Set{Beat: 10 * time.Millisecond}
	l := taken(t, &s, path)
	defer l.Release()
	old := time.Now().Add(-time.Hour)
	os.Chtimes(path, old, old)
	for range 500 {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) < time.Minute {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("no sign of life")
}

// A holder on another machine is known to live once it gave a heartbeat, or once another
// took the lock.
func TestAlive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	leave(t, path, func(h *Holder) { h.Host, h.Token = "elsewhere", "a" })
	var s Set
	check := func(step string, want bool) {
		t.Helper()
		_, err := s.Take(path)
		var h *HeldError
		if !errors.As(err, &h) || h.Alive != want {
			t.Errorf("%s: %v, alive %v; want %v", step, err, !want, want)
		}
	}
	check("first seen", false)
	check("seen again", false)
	beat := time.Now()
	os.Chtimes(path, beat, beat)
	check("a heartbeat", true)
	check("none since", true)

	s = Set{}
	check("by somebody else", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	leave(t, path, func(h *Holder) { h.Host, h.Token = "a third", "b" })
	check("taken by another", true)
}

// A clock that is minutes wrong on the holder's machine neither hides its heartbeats nor
// fakes them, and is named.
func TestOtherClocks(t *testing.T) {
	for _, wrong := range []time.Duration{-time.Hour, -5 * time.Minute, 0, 5 * time.Minute, time.Hour} {
		path := filepath.Join(t.TempDir(), "x.lock")
		leave(t, path, func(h *Holder) { h.Host = "elsewhere" })
		s := Set{Stale: 200 * time.Millisecond}
		held(t, &s, path, "elsewhere")
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			theirs := time.Now().Add(wrong)
			os.Chtimes(path, theirs, theirs)
			held(t, &s, path, "elsewhere")
		}
		h, err := Read(path)
		if err != nil || runtime.GOOS == "linux" && time.Since(h.Beating).Abs() > time.Minute {
			t.Errorf("clock %v wrong: last heartbeat %v, %v", wrong, h.Beating, err)
		}
		if said := strings.Contains(h.String(), "the clock there is"); runtime.GOOS == "linux" && said != (wrong != 0) {
			t.Errorf("clock %v wrong: %v", wrong, h)
		}
		time.Sleep(250 * time.Millisecond)
		if err := taken(t, &s, path).Release(); err != nil {
			t.Error(err)
		}
	}
}

// The holder names its Slurm job.
func TestJob(t *testing.T) {
	h := Holder{Host: "node3", PID: 7, Job: "17_2"}
	if got := h.String(); got != "process 7 on node3, Slurm job 17_2" {
		t.Error(got)
	}
}

// A new lock that was moved aside by mistake is moved back.
func TestTakeAwayPutsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	leave(t, path, func(h *Holder) { h.Token = "new" })
	if err := takeAway(path, "old"); err != nil {
		t.Fatal(err)
	}
	if h, err := Read(path); err != nil || h.Token != "new" {
		t.Errorf("%v, %v", h, err)
	}
	if err := takeAway(path, "new"); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// If the disk fails just after the lock was made, no lock is left.
func TestDiskFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	t.Cleanup(func() { disk.Fault = nil })
	disk.Fault = func(op, _ string, _ int) (int, error) {
		if op == "syncdir" {
			return 0, syscall.EIO
		}
		return 0, nil
	}
	var s Set
	if _, err := s.Take(path); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v, want EIO", err)
	}
	disk.Fault = nil
	if err := taken(t, &s, path).Release(); err != nil {
		t.Error(err)
	}
}

// If the answer of a network file system is lost, it retries, and its server then says
// that the file exists. The lock is ours nevertheless.
func TestAnswerLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	t.Cleanup(func() { disk.Fault = nil })
	disk.Fault = func(op, _ string, _ int) (int, error) {
		if op == "rename" { // just before the link is made
			temp, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".x.lock.tmp*"))
			return 0, os.Link(temp[0], path)
		}
		return 0, nil
	}
	var s Set
	l := taken(t, &s, path)
	if err := errors.Join(l.Check(), l.Release()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}
