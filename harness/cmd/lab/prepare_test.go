// Tests of prepare, and of a folder without a network after it.

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/store"
	"depthlab/harness/testskip"
)

// prepare prints what it found, and fails if something is missing that run.sh or the program
// itself should have fetched.
func TestPrepare(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "any.yaml"), 0, asked+"data: preview\ntrain: 64\nbatch: 2\ninput: {pad: 2}\n")
	put(t, filepath.Join(root, "gpu.yaml"), 0, asked+"data: preview\ntrain: 64\nbatch: 2\ninput: {pad: 2}\nprofiles: {gpu: {needs: [gpu]}, slow: {}}\n")
	put(t, filepath.Join(root, "photos.yaml"), 0, asked+"data: imagenet\nbatch: 1\ntrain: 1\ninput: {pad: 0}\n")
	for _, c := range []struct {
		args []string
		env  string
		code int
		says []string
	}{
		{[]string{"any.yaml", "--device", "ref"}, "", 0, []string{"device   ref", "data     preview set, 20000 + 2000 images, generated", "Ready: ", "./run.sh any.yaml --profile default"}},
		{[]string{"any.yaml", "--device", "ref"}, "DEPTHLAB_NOT_FETCHED=oneDNN (39 MB)", 1, []string{"could not be fetched, for the reason above: oneDNN (39 MB)"}},
		{[]string{"gpu.yaml", "--device", "ref"}, "", 0, []string{"not gpu: needs a GPU", "--profile slow"}},
		{[]string{"gpu.yaml", "--profile", "gpu", "--device", "ref"}, "", 2, []string{"gpu: needs a GPU, none can be used"}},
		{[]string{"gpu.yaml"}, "DEPTHLAB_DRIVER=550", 0, []string{".lib has no CUDA plugin", "--profile gpu"}},
		{[]string{"photos.yaml", "--device", "ref"}, "", 2, []string{"ImageNet"}},
		{[]string{"any.yaml", "--profile", "none"}, "", 2, []string{`no profile "none"`}},
	} {
		cmd, _, said := wishing(root, []string{"PATH=/usr/bin:/bin", "CUDA_VISIBLE_DEVICES=", c.env}, append([]string{"prepare"}, c.args...)...)
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		for _, want := range c.says {
			if code(err) != c.code || !strings.Contains(said.String(), want) {
				t.Errorf("%q %s: exit code %d, want %d and %q:\n%s", c.args, c.env, code(err), c.code, want, said)
			}
		}
	}
}

// A copy of a prepared folder runs without a network.
func TestOffline(t *testing.T) {
	if !testskip.Everything() {
		testskip.Skip(t, "trains without a network")
	}
	if out, err := exec.Command("unshare", "-rn", "true").CombinedOutput(); err != nil {
		testskip.Skip(t, "no network namespaces here: %v: %s", err, out)
	}
	root, file := project(t, 10, "[0]")
	if code, _, said := start(t, root, "prepare", file); code != 0 || !strings.Contains(said, "Ready: ") {
		t.Fatalf("prepare: exit code %d\n%s", code, said)
	}
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(copied, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-rn", "bash", "run.sh", file)
	cmd.Dir = copied
	cmd.Env = append(os.Environ(), "PATH=/usr/bin:/bin") // without Go
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if f, err := stored(t, copied, "plain-8-seed0").Find(); err != nil || f != store.Complete {
		t.Errorf("the run is not finished: %v, %v", f, err)
	}
}
