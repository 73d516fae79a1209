package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"depthlab/harness/testskip"
)

// checkout is a folder with run.sh, a few files in place of the program's, and
// a "go" that counts its builds and makes a program of the script given.
func checkout(t *testing.T, program string) (root, tools string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "a [checkout]")
	tools = filepath.Join(root, "tools")
	script := readText(t, "../../../run.sh")
	for path, text := range map[string]string{
		"run.sh": script, "go.mod": "module x", "go.sum": "", "experiments/q.yaml": "a",
		"harness/main file.go": "package main", "nets/a.go": "a", "plots/a.go": "a", "program": program,
		"tools/go": "#!/bin/sh\ncase $1 in\nenv) echo ${GOFAKE:-go1.25.1} ;;\nbuild) echo built >>builds; cp program .bin/lab; chmod +x .bin/lab ;;\nesac\n",
	} {
		put(t, filepath.Join(root, path), 0, text)
	}
	for _, path := range []string{"run.sh", "tools/go"} {
		if err := os.Chmod(filepath.Join(root, path), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, ".bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	return root, tools
}

// runsh runs the script with these folders as the PATH.
func runsh(root string, env []string, path ...string) (status int, said string) {
	cmd := exec.Command("bash", filepath.Join(root, "run.sh"), "version")
	cmd.Env = append([]string{"PATH=" + strings.Join(path, ":")}, env...)
	text, err := cmd.CombinedOutput()
	return code(err), string(text)
}

// applets is a folder with the tools of BusyBox, and the system's for those that
// it was built without.
func applets(t *testing.T, busybox string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"find", "sort", "cksum", "cat", "rm", "cp", "chmod", "uname", "dirname", "grep", "sh"} {
		path := busybox
		if exec.Command(busybox, name, "--help").Run() != nil {
			path, _ = exec.LookPath(name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run.sh builds what has changed, and nothing else; what is built needs no Go.
// It does so with BusyBox's tools, too.
func TestRunShBuilds(t *testing.T) {
	paths := map[string]string{"system": "/usr/bin:/bin"}
	if path, err := exec.LookPath("busybox"); err == nil {
		paths["busybox"] = applets(t, path)
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			root, tools := checkout(t, "#!/bin/sh\necho it runs\n")
			source := filepath.Join(root, "harness/main file.go")
			past := time.Now().Add(-time.Hour)
			builds := 0
			for _, step := range []struct {
				name   string
				change func() error
				builds bool
				noGo   bool
			}{
				{"first", func() error { return nil }, true, false},
				{"again", func() error { return nil }, false, false},
				{"without Go", func() error { return nil }, false, true},
				{"touched", func() error { return os.Chtimes(source, past, past) }, false, false},
				{"edited, of the same size and time", func() error {
					return errors.Join(os.WriteFile(source, []byte("package Main"), 0o666), os.Chtimes(source, past, past))
				}, true, false},
				{"added", func() error { return os.WriteFile(filepath.Join(root, "nets/b.go"), nil, 0o666) }, true, false},
				{"renamed", func() error { return os.Rename(filepath.Join(root, "nets/b.go"), filepath.Join(root, "nets/c.go")) }, true, false},
				{"removed", func() error { return os.Remove(filepath.Join(root, "nets/c.go")) }, true, false},
				{"the program removed", func() error { return os.Remove(filepath.Join(root, ".bin/lab")) }, true, false},
				{"again at the end", func() error { return nil }, false, false},
			} {
				if err := step.change(); err != nil {
					t.Fatal(err)
				}
				dirs := []string{tools, path}
				if step.noGo {
					dirs = dirs[1:]
				}
				if step.builds {
					builds++
				}
				code, said := runsh(root, nil, dirs...)
				made := strings.Count(readText(t, filepath.Join(root, "builds")), "built")
				if code != 0 || !strings.HasSuffix(said, "it runs\n") || made != builds {
					t.Fatalf("%s: exit code %d, %d builds, want %d\n%s", step.name, code, made, builds, said)
				}
			}
		})
	}
}

func TestRunShRefuses(t *testing.T) {
	for _, c := range []struct {
		name, program, env string
		goes               bool // there is a Go
		code               int
		want               string
	}{
		{"no loader", "#!/lib64/no-loader\n", "", true, 126, "needs the loader of glibc"},
		{"no Go", "", "", false, 1, "Go is missing; install Go 1.25"},
		{"old Go", "", "GOFAKE=go1.24.12", true, 1, "Go is 1.24.12, but 1.25 or newer is needed"},
		{"new Go", "#!/bin/sh\n", "GOFAKE=go1.30rc1", true, 0, ""},
		{"Go 2", "#!/bin/sh\n", "GOFAKE=go2.0", true, 0, ""},
		{"a Go of one's own", "#!/bin/sh\n", "GOFAKE=devel", true, 0, ""},
	} {
		root, tools := checkout(t, c.program)
		path := []string{"/usr/bin", "/bin"}
		if c.goes {
			path = append([]string{tools}, path...)
		}
		if code, said := runsh(root, strings.Fields(c.env), path...); code != c.code || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.name, code, c.code, c.want, said)
		}
	}
}

// A clone with core.autocrlf has the same bytes.
func TestLineEnds(t *testing.T) {
	archive := func(autocrlf string) map[string][]byte {
		cmd := exec.Command("git", "-C", "../../..", "-c", "core.autocrlf="+autocrlf, "archive", "--worktree-attributes", "HEAD")
		out, err := cmd.Output()
		if err != nil {
			testskip.Skip(t, "no git repository: %v", err)
		}
		files := map[string][]byte{}
		for r := tar.NewReader(bytes.NewReader(out)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			files[h.Name], _ = io.ReadAll(r)
		}
		return files
	}
	want, got := archive("false"), archive("true")
	if len(got) < 100 || len(got) != len(want) {
		t.Fatalf("%d and %d files", len(got), len(want))
	}
	for name, text := range want {
		if !bytes.Equal(got[name], text) {
			t.Errorf("%s is another file with core.autocrlf", name)
		}
	}
}
