// Tests of run.sh, with a fake go and pip.

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"depthlab/harness/testskip"
)

// fakeGo is a "go" that counts its builds, writes their environment to a file, and copies the
// file "program" as the result.
const fakeGo = `#!/bin/sh
case $1 in
env) echo ${GOFAKE:-go1.25.1} ;;
build)
	while [ "$1" != -o ]; do shift; done
	sleep ${SLOW:-0}
	echo built >>builds
	env >environment
	cp program "$2"
	chmod +x "$2"
	;;
esac
`

// checkout creates a folder with run.sh, a few files instead of the sources, and a fake "go"
// that builds the given script.
func checkout(t *testing.T, program string) (root, tools string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "a [checkout]")
	tools = filepath.Join(root, "tools")
	script := readText(t, "../../../run.sh")
	for path, text := range map[string]string{
		"run.sh": script, "go.mod": "module x", "go.sum": "", "experiments/q.yaml": "a",
		"harness/main file.go": "package main", "nets/a.go": "a", "plots/a.go": "a", "program": program,
		"tools/go": fakeGo,
	} {
		put(t, filepath.Join(root, path), 0, text)
	}
	runnable(t, root, "run.sh", "tools/go")
	return root, tools
}

func runnable(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// tool writes an executable script into a folder of the PATH.
func tool(t *testing.T, tools, name, text string) {
	t.Helper()
	put(t, filepath.Join(tools, name), 0, text)
	runnable(t, tools, name)
}

// runsh runs run.sh with the given folders as the PATH.
func runsh(root string, env []string, path ...string) (status int, said string) {
	return starts(exec.Command("bash", filepath.Join(root, "run.sh"), "version"), env, path...)
}

func starts(cmd *exec.Cmd, env []string, path ...string) (status int, said string) {
	cmd.Env = append([]string{"PATH=" + strings.Join(path, ":")}, env...)
	text, err := cmd.CombinedOutput()
	return code(err), string(text)
}

// builds returns how often the fake "go" has built.
func builds(t *testing.T, root string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "builds"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "built")
}

// labOf returns the path of the program that run.sh has built.
func labOf(t *testing.T, root string) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(strings.NewReplacer("[", "\\[").Replace(root), ".bin", "*", "lab"))
	if len(found) != 1 {
		t.Fatalf("programs: %q", found)
	}
	return found[0]
}

// applets creates a folder with the tools of BusyBox, and the system's tools that it lacks.
func applets(t *testing.T, busybox string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"find", "sort", "cksum", "cat", "rm", "cp", "chmod", "uname", "dirname", "grep", "sh", "mkdir", "mv", "sleep", "env"} {
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

// run.sh builds only if a source has changed; without changes it needs no Go. The same with
// BusyBox's tools.
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
			want := 0
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
				{"a question", func() error { return os.WriteFile(filepath.Join(root, "experiments/q.yaml"), []byte("b"), 0o666) }, false, true},
				{"another question", func() error { return os.WriteFile(filepath.Join(root, "experiments/q.yml"), nil, 0o666) }, false, true},
				{"an editor's file", func() error { return os.WriteFile(filepath.Join(root, "experiments/.q.yaml.swp"), nil, 0o666) }, false, true},
				{"added", func() error { return os.WriteFile(filepath.Join(root, "nets/b.go"), nil, 0o666) }, true, false},
				{"renamed", func() error { return os.Rename(filepath.Join(root, "nets/b.go"), filepath.Join(root, "nets/c.go")) }, true, false},
				{"removed", func() error { return os.Remove(filepath.Join(root, "nets/c.go")) }, true, false},
				{"the program removed", func() error { return os.Remove(labOf(t, root)) }, true, false},
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
					want++
				}
				code, said := runsh(root, nil, dirs...)
				if made := builds(t, root); code != 0 || !strings.HasSuffix(said, "it runs\n") || made != want {
					t.Fatalf("%s: exit code %d, %d builds, want %d\n%s", step.name, code, made, want, said)
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

// run.sh finds its folder however it is started.
func TestRunShFindsItself(t *testing.T) {
	root, tools := checkout(t, "#!/bin/sh\necho $DEPTHLAB_ROOT\n")
	home := t.TempDir()
	for link, to := range map[string]string{"absolute": filepath.Join(root, "run.sh"), "to a link": "absolute", "sub/up": "../absolute"} {
		put(t, filepath.Join(home, "sub", "x"), 0, "")
		if err := os.Symlink(to, filepath.Join(home, link)); err != nil {
			t.Fatal(err)
		}
	}
	parent, name := filepath.Split(root)
	for _, c := range []struct {
		dir  string
		args []string
		env  string
	}{
		{root, []string{"./run.sh"}, ""},
		{root, []string{"sh", "run.sh"}, ""},
		{parent, []string{"bash", filepath.Join(name, "run.sh")}, "CDPATH=" + parent},
		{"/", []string{filepath.Join(root, "run.sh")}, ""},
		{"/", []string{filepath.Join(home, "absolute")}, ""},
		{home, []string{"./to a link"}, ""},
		{"/", []string{filepath.Join(home, "sub/up")}, "CDPATH=" + home},
	} {
		cmd := exec.Command(c.args[0], c.args[1:]...)
		cmd.Dir = c.dir
		var env []string
		if c.env != "" {
			env = append(env, c.env)
		}
		if code, said := starts(cmd, env, tools, "/usr/bin", "/bin"); code != 0 || !strings.HasSuffix(said, "\n"+root+"\n") && said != root+"\n" {
			t.Errorf("%q in %s with %s: exit code %d, said %q, want %s", c.args, c.dir, c.env, code, said, root)
		}
	}
}

// The build depends only on the project. Proxies, caches and the toolchain are the user's.
func TestRunShEnvironment(t *testing.T) {
	root, tools := checkout(t, "#!/bin/sh\n")
	theirs := []string{"GOPROXY=https://proxy.example", "GOCACHE=/c", "GOMODCACHE=/m", "GOTOOLCHAIN=local"}
	others := []string{"GOWORK=/up/go.work", "GOOS=plan9", "GOARCH=arm64", "GOFLAGS=-mod=vendor", "GOEXPERIMENT=x"}
	if code, said := runsh(root, append(others, theirs...), tools, "/usr/bin", "/bin"); code != 0 {
		t.Fatal(said)
	}
	got := strings.Split(readText(t, filepath.Join(root, "environment")), "\n")
	for _, v := range append(theirs, "GOWORK=off", "CGO_ENABLED=0") {
		if !slices.Contains(got, v) {
			t.Errorf("go build lacks %s", v)
		}
	}
	for _, v := range got {
		if name, _, _ := strings.Cut(v, "="); name != "GOWORK" && slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			t.Errorf("go build has %s", v)
		}
	}
}

// A built program runs without Go, in a copy, without git; machines of several kinds share a
// folder. After a change it is built again, or that is an error.
func TestRunShElsewhere(t *testing.T) {
	root, tools := checkout(t, "#!/bin/sh\necho it runs\n")
	other := t.TempDir()
	system := []string{"/usr/bin", "/bin"}
	tool(t, other, "uname", "#!/bin/sh\ncase $1 in -s) echo Linux ;; -m) echo riscv64 ;; -n) echo far ;; *) echo Linux riscv64 ;; esac\n")
	git := func(version string) string { // a folder with a git that describes so
		dir := t.TempDir()
		tool(t, dir, "git", "#!/bin/sh\ncase $* in *describe*) echo "+version+" ;; esac\n")
		return dir
	}
	v1, v2 := git("v1"), git("v2")
	step := func(name, root string, want, made int, says string, path ...string) {
		t.Helper()
		if code, said := runsh(root, nil, append(path, system...)...); code != want || !strings.Contains(said, says) || builds(t, root) != made {
			t.Errorf("%s: exit code %d, want %d; %d builds, want %d; said %q, want %q", name, code, want, builds(t, root), made, said, says)
		}
	}
	step("first", root, 0, 1, "it runs", v1, tools)
	step("no Go", root, 0, 1, "it runs", v1)
	step("no git that knows, no Go", root, 0, 1, "it runs")
	step("no git that knows", root, 0, 1, "it runs", tools)
	step("a new version of the same sources, no Go", root, 0, 1, "it runs", v2)
	step("a new version of the same sources", root, 0, 2, "it runs", v2, tools)
	step("another system, no Go", root, 1, 2, "Go is missing", v2, other)
	step("another system", root, 0, 3, "it runs", v2, other, tools)
	step("and back", root, 0, 3, "it runs", v2)
	moved := filepath.Join(t.TempDir(), "copy of it")
	if err := os.CopyFS(moved, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	step("a copy, no Go", moved, 0, 3, "it runs")
	put(t, filepath.Join(moved, "nets/a.go"), 0, "changed")
	step("changed, no Go", moved, 1, 3, "Go is missing")
	step("changed", moved, 0, 4, "it runs", tools)
	put(t, filepath.Join(moved, "nets/a.go"), 0, "again")
	tool(t, tools, "go", "#!/bin/sh\n[ $1 = env ] && echo go1.25.1 || { for i in 1 2 3 4 5 6 7 8 9; do echo \"x: dial tcp: no route\"; echo and more; done; exit 1; }\n")
	step("no modules", moved, 1, 4, "./run.sh prepare FILE.yaml", tools)
	step("and no program of before", moved, 1, 4, "Go is missing")
}

// The short test does not need the compiler for GPUs; --all fetches it and runs all tests. What
// tests lacked is printed at the end.
func TestRunShTest(t *testing.T) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		testskip.Skip(t, "wheels are for Linux on x86-64")
	}
	for _, c := range []struct {
		args           string
		compiler       bool // is fetched
		tested, closes string
	}{
		{"", false, "all= test -timeout 30m ./...\n", "left out: no AMX here\nthis was the short test: ./run.sh test --all leaves nothing out\n"},
		{"-run X", false, "all= test -timeout 30m -run X ./...\n", "leaves nothing out\n"},
		{"--all -v", true, "all=1 test -timeout 30m -v ./...\n", "left out: no AMX here\n"},
	} {
		root, tools := checkout(t, "")
		tool(t, tools, "gofmt", "#!/bin/sh\n")
		tool(t, tools, "python3", fakePip)
		tool(t, tools, "go", `#!/bin/sh
case $1 in
env) echo go1.25.1 ;;
test) echo "all=$DEPTHLAB_TEST_ALL $*" && echo "no AMX here" >>"$DEPTHLAB_TEST_ABSENT" ;;
esac
`)
		cmd := exec.Command("bash", append([]string{filepath.Join(root, "run.sh"), "test"}, strings.Fields(c.args)...)...)
		cmd.Env = []string{"PATH=" + tools + ":/usr/bin:/bin", "FETCHES=" + filepath.Join(root, "fetches")}
		out, err := cmd.CombinedOutput()
		said := string(out)
		if err != nil || !strings.Contains(said, c.tested) || !strings.HasSuffix(said, c.closes) {
			t.Errorf("test %s: %v, %s", c.args, err, said)
		}
		if got := strings.Contains(said, "into .lib/pjrt/cuda13"); got != c.compiler || !strings.Contains(said, "into .lib/pjrt/cpu") {
			t.Errorf("test %s: compiler fetched: %v, want %v, and the CPU plugin; said %s", c.args, got, c.compiler, said)
		}
	}
}

// fakePip is a python3 with a pip that fetches a library, slowly, or fails.
const fakePip = `#!/bin/sh
case "$*" in
*--version) ;;
"-m pip download"*)
	echo fetched >>"$FETCHES"
	[ -z "$STOPPED" ] || { kill -INT $PPID; exit 1; } # as pip ends at Ctrl-C
	sleep ${SLOW:-0}
	[ -z "$OFFLINE" ] || { echo "WARNING: Retrying after connection broken by X" >&2; echo "ERROR: nothing" >&2; exit 1; }
	while [ "$1" != -d ]; do shift; done
	echo wheel >"$2/a.whl" ;;
"-m zipfile"*) mkdir -p "$5/lib" && cp "$4" "$5/lib/libdnnl.so.3" ;;
"-c import os, sys"*) [ ! -e "$4" ] && mv "$3" "$4" ;;
*) exit 1 ;;
esac
`

var together = flag.Int("together", 1, "rounds of TestRunShTogether")

// Of several first starts at once, one prepares the folder, and all run.
func TestRunShTogether(t *testing.T) {
	starts := 6
	if !testskip.Everything() {
		starts = 3
	}
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		testskip.Skip(t, "wheels are for Linux on x86-64")
	}
	for range *together {
		root, tools := checkout(t, "#!/bin/sh\nls \"$DEPTHLAB_ROOT/.lib/onednn/lib\"\n")
		tool(t, tools, "python3", fakePip)
		fetches := filepath.Join(root, "fetches")
		var all sync.WaitGroup
		for range starts {
			all.Go(func() {
				cmd := exec.Command("bash", filepath.Join(root, "run.sh"), "doctor")
				cmd.Env = []string{"PATH=" + tools + ":/usr/bin:/bin", "SLOW=1", "DEPTHLAB_ONEDNN_KERNELS=library", "FETCHES=" + fetches}
				out, err := cmd.CombinedOutput()
				if err != nil || !strings.HasSuffix(string(out), "libdnnl.so.3\n") {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		all.Wait()
		if n, text := builds(t, root), readText(t, fetches); n != 1 || text != "fetched\n" {
			t.Errorf("%d builds, fetched %q; want one of each", n, text)
		}
		for _, left := range []string{".bin/lock", ".lib/fetch.*", ".lib/wheels/*"} {
			if found, _ := fs.Glob(os.DirFS(root), left); len(found) > 0 {
				t.Errorf("%q is left", found)
			}
		}
	}
}

// newerThanMac has patterns of what bash 3.2 and the BSD tools of macOS lack, by an example.
var newerThanMac = map[string]string{
	"mapfile -t a <b":     `\b(mapfile|readarray|coproc)\b`,
	"${x,,}":              `\$\{\w+(\[[^]]*\])?(,|\^)`,
	"${x@Q}":              `\$\{\w+@`,
	"declare -A a":        `\b(declare|local|typeset)\s+-\w*[Ang]`,
	"[[ -v x ]]":          `\[\[? -v `,
	"wait -n":             `\bwait -n`,
	"a |& b":              `\|&|&>>`,
	"a) b ;;&":            `;;?&`,
	"printf '%(%F)T'":     `%\(`,
	"find . -printf '%p'": `\bfind\b.* -(printf|quit|regextype|executable|readable|writable)\b`,
	"readlink -f x":       `\breadlink -`,
	"sort -V":             `\bsort -\w*[VRh]`,
	"sed -i s/a/b/ x":     `\bsed -\w*[irs]`,
	"grep -P x":           `\bgrep -\w*P`,
	"date -d now":         `\bdate (-d|-I|--|\+%[sN]*N)`,
	"stat -c %s x":        `\bstat (-c|--)`,
	"xargs -r rm":         `\bxargs -\w*[rd]`,
	"head -n -1 x":        `\b(head|tail) (-n -|-c -|--)`,
	"realpath x":          `(^|[^-\w])(realpath|nproc|timeout|tac|sha256sum|md5sum|flock|getent|setsid|numfmt)\b`,
	"cp --reflink a b":    `(^|[;|&(]\s*)(cp|mv|rm|ls|mkdir|ln|sort|find|du|touch|mktemp|cut|tr|cat|uname) --[a-z]`,
	"du -b x":             `\bdu -\w*b`,
	"base64 -w0":          `\bbase64 -w`,
	"ln -sr a b":          `\bln -\w*r`,
}

// run.sh uses nothing that macOS lacks.
func TestRunShOnMac(t *testing.T) {
	script := strings.Split(readText(t, "../../../run.sh"), "\n")
	for example, pattern := range newerThanMac {
		newer := regexp.MustCompile(pattern)
		if !newer.MatchString(example) {
			t.Errorf("%q is not refused by %s", example, pattern)
		}
		for i, line := range script {
			if code := regexp.MustCompile(`(^|\s)#.*`).ReplaceAllString(line, ""); newer.MatchString(code) {
				t.Errorf("run.sh:%d: macOS lacks this, as it lacks %s: %s", i+1, example, line)
			}
		}
	}
}

// The lock of a killed start does not block the next one.
func TestRunShLeftLock(t *testing.T) {
	root, tools := checkout(t, "#!/bin/sh\n")
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, ".bin/lock/beat"), 0, fmt.Sprintf("process %d on %s, 7\n", gone.Process.Pid, host))
	if code, said := runsh(root, nil, tools, "/usr/bin", "/bin"); code != 0 || builds(t, root) != 1 {
		t.Errorf("exit code %d, %d builds: %s", code, builds(t, root), said)
	}
}

// Without a network a start tries once to fetch, and prints one line; the next start does not
// try again, but prepare does.
func TestRunShOffline(t *testing.T) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		testskip.Skip(t, "wheels are for Linux on x86-64")
	}
	root, tools := checkout(t, "#!/bin/sh\n")
	tool(t, tools, "python3", fakePip)
	fetches := filepath.Join(root, "fetches")
	put(t, filepath.Join(root, "photos.yaml"), 0, "data: imagenet\n")
	for _, c := range []struct {
		args    []string
		offline string
		tries   int
		says    string
	}{
		{[]string{"run", filepath.Join(root, "photos.yaml")}, "1", 1, "oneDNN (39 MB) could not be fetched: pip cannot reach the package index"},
		{[]string{"doctor"}, "1", 1, "fetching failed less than an hour ago; ./run.sh prepare FILE.yaml"},
		{[]string{"prepare"}, "1", 2, "could not be fetched: pip cannot reach the package index"},
		{[]string{"prepare"}, "", 3, "fetching oneDNN"},
		{[]string{"doctor"}, "1", 3, ""},
	} {
		cmd := exec.Command("bash", append([]string{filepath.Join(root, "run.sh")}, c.args...)...)
		code, said := starts(cmd, []string{"DEPTHLAB_ONEDNN_KERNELS=library", "FETCHES=" + fetches, "OFFLINE=" + c.offline}, tools, "/usr/bin", "/bin")
		if n := strings.Count(readText(t, fetches), "fetched"); code != 0 || !strings.Contains(said, c.says) || n != c.tries || strings.Contains(said, "WARNING") {
			t.Errorf("%q: exit code %d, pip was asked %d times, want %d; said %q, want %q", c.args, code, n, c.tries, said, c.says)
		}
	}
}

// Ctrl-C while a library is fetched ends run.sh. The next start fetches again, and leaves nothing of
// the first.
func TestRunShStopped(t *testing.T) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		testskip.Skip(t, "wheels are for Linux on x86-64")
	}
	root, tools := checkout(t, "#!/bin/sh\necho it runs\n")
	tool(t, tools, "python3", fakePip)
	for _, c := range []struct {
		stopped string
		code    int
	}{{"1", 130}, {"", 0}} {
		cmd := exec.Command("bash", filepath.Join(root, "run.sh"), "doctor")
		code, said := starts(cmd, []string{"DEPTHLAB_ONEDNN_KERNELS=library", "FETCHES=" + filepath.Join(root, "fetches"), "STOPPED=" + c.stopped}, tools, "/usr/bin", "/bin")
		if code != c.code || strings.Contains(said, "it runs") == (code != 0) {
			t.Errorf("stopped %q: exit code %d, want %d:\n%s", c.stopped, code, c.code, said)
		}
		left, _ := fs.Glob(os.DirFS(root), ".lib/fetch.*")
		lock, _ := fs.Glob(os.DirFS(root), ".bin/lock")
		unreachable, _ := fs.Glob(os.DirFS(root), ".lib/unreachable")
		if code == 0 && len(left) > 0 || len(lock)+len(unreachable) > 0 {
			t.Errorf("stopped %q: left %q, %q, %q", c.stopped, left, lock, unreachable)
		}
	}
}

// The version is not that of a repository around the folder.
func TestRunShVersion(t *testing.T) {
	root, tools := checkout(t, "#!/bin/sh\n")
	for _, words := range [][]string{{"init", "-q"}, {"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", filepath.Dir(root)}, words...)...).CombinedOutput(); err != nil {
			testskip.Skip(t, "git: %v: %s", err, out)
		}
	}
	if code, said := runsh(root, nil, tools, "/usr/bin", "/bin"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	if made := readText(t, filepath.Join(filepath.Dir(labOf(t, root)), "made")); !strings.HasSuffix(strings.TrimSpace(made), " unknown") {
		t.Errorf("made: %q", made)
	}
}

// run.sh takes hidden GPUs as absent, and prepares for those that a job asks for.
func TestRunShGPU(t *testing.T) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		testskip.Skip(t, "wheels are for Linux on x86-64")
	}
	for _, c := range []struct {
		args []string
		env  []string
		want string // fetched, beside oneDNN
	}{
		{[]string{"run"}, nil, "pjrt/cuda13"},
		{[]string{"run"}, []string{"CUDA_VISIBLE_DEVICES=0,1"}, "pjrt/cuda13"},
		{[]string{"run"}, []string{"CUDA_VISIBLE_DEVICES=GPU-2"}, "pjrt/cuda13"},
		{[]string{"run"}, []string{"CUDA_VISIBLE_DEVICES="}, ""},
		{[]string{"run"}, []string{"CUDA_VISIBLE_DEVICES=-1"}, ""},
		{[]string{"run"}, []string{"CUDA_VISIBLE_DEVICES=NoDevFiles"}, ""},
		{[]string{"run", "--device", "cpu"}, nil, ""},
		{[]string{"plan", "--device=ref"}, nil, ""},
		{[]string{"run", "--device", "cpu"}, nil, ""},
		{[]string{"plan", "--device=ref"}, nil, ""},
		{[]string{"prepare"}, []string{"CUDA_VISIBLE_DEVICES=", "DEPTHLAB_DRIVER=550"}, "pjrt/cuda12"},
		{[]string{"prepare"}, []string{"CUDA_VISIBLE_DEVICES=", "DEPTHLAB_DRIVER=580.65.06"}, "pjrt/cuda13"},
		{[]string{"submit", "q.yaml", "--", "--partition=gpu"}, nil, "pjrt/cuda13"},
		{[]string{"submit", "q.yaml", "--", "--gpus=1"}, []string{"CUDA_VISIBLE_DEVICES="}, "pjrt/cuda12"},
		{[]string{"submit", "q.yaml", "--", "-G", "1"}, []string{"CUDA_VISIBLE_DEVICES="}, "pjrt/cuda12"},
		{[]string{"submit", "gpu.yaml", "--", "-A", "x"}, []string{"CUDA_VISIBLE_DEVICES="}, ""},
	} {
		root, tools := checkout(t, "#!/bin/sh\n")
		tool(t, tools, "python3", fakePip)
		tool(t, tools, "nvidia-smi", "#!/bin/sh\necho 580.65.06\n")
		cmd := exec.Command("bash", append([]string{filepath.Join(root, "run.sh")}, c.args...)...)
		code, said := starts(cmd, append(c.env, "FETCHES="+filepath.Join(root, "fetches")), tools, "/usr/bin", "/bin")
		got, _ := fs.Glob(os.DirFS(root), ".lib/pjrt/*")
		if code != 0 || strings.TrimPrefix(strings.Join(got, " "), ".lib/") != c.want {
			t.Errorf("%q with %q: exit code %d, fetched %q, want %q:\n%s", c.args, c.env, code, got, c.want, said)
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
