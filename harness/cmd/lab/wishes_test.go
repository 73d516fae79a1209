// Tests of the command line: options and paths that cannot be met end the command with exit code 2.

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/machine"
	"depthlab/harness/testskip"
)

// wishing returns the program in its project's folder, with the variables of env and no others
// of DEPTHLAB_*.
func wishing(root string, env []string, args ...string) (cmd *exec.Cmd, out, said *bytes.Buffer) {
	cmd, out, said = lab(root, args...)
	cmd.Dir = root
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "DEPTHLAB_") })
	cmd.Env = append(append(cmd.Env, "DEPTHLAB_ROOT="+root), env...)
	return cmd, out, said
}

func put(t *testing.T, path string, size int64, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, max(size, int64(len(text)))); err != nil {
		t.Fatal(err)
	}
}

// cifar writes empty files of CIFAR-10's names and sizes, which is enough for plan.
func cifar(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"} {
		put(t, filepath.Join(dir, name+".bin"), 10000*3073, "")
	}
}

const asked = `
question: Is a wish replaced?
nets: [plain-8]
batch_norm: {group: 0}
schedule: {at: [], stop: 10 steps, warmup: none}
evaluate: 10 steps
`

// A path or name that an option or a variable gives, and that is not usable, ends the command
// with exit code 2 and a message of what was expected. No other data, library, device or
// profile is used instead.
func TestWishes(t *testing.T) {
	root := t.TempDir()
	in := func(name string) string { return filepath.Join(root, name) }
	cifar(t, in("cifar"))
	cifar(t, in("part"))
	if err := os.Remove(in("part/data_batch_2.bin")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(in("part/test_batch.bin"), 100); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"photos/train/a/1.jpg", "photos/val/a/1.jpg", "untrained/val/a/1.jpg", "text.so", "w"} {
		put(t, in(name), 0, "no library, no photo, no weights")
	}
	put(t, in("any.yaml"), 0, asked+"profiles: {cifar: {needs: [cifar10], data: cifar10}, made: {data: preview}}\n")
	put(t, in("photos.yaml"), 0, asked+"batch: 1\ntrain: 1\nprofiles: {big: {needs: [gpu, imagenet], data: imagenet, input: {pad: 0}}, photos: {needs: [imagenet], data: imagenet, input: {pad: 0}}, made: {data: preview}}\n")
	put(t, in("gpu.yaml"), 0, asked+"data: preview\nprofiles: {big: {needs: [gpu]}, made: {}}\n")
	put(t, in("fast.yaml"), 0, asked+"data: preview\nprofiles: {fast: {needs: [cpu]}, slow: {}}\n")
	put(t, in("one.yaml"), 0, asked+"data: cifar10\n")
	put(t, in("made.yaml"), 0, asked+"data: preview\n")
	put(t, in("grouped.yaml"), 0, strings.Replace(asked, "group: 0", "group: 32", 1)+"data: preview\n")
	put(t, in("tf32.yaml"), 0, asked+"data: preview\nprecision: tf32\n")
	elf := os.Args[0] // an ELF file, but not a plugin

	for _, c := range []struct {
		env, args string
		code      int
		want      string // parts of the output, separated by |
	}{
		// Data, with each command that reads it.
		{"", "plan any.yaml --data none", 2, "--data none: CIFAR-10 not found|none"},
		{"", "run any.yaml --data none", 2, "--data none: CIFAR-10 not found"},
		{"", "step any.yaml --net plain-8 --out s --data none", 2, "--data none: CIFAR-10 not found"},
		{"", "eval --net plain-8 --weights absent --device ref", 2, "--weights absent: no such file|results/runs/RUN/weights.safetensors"},
		{"", "export --weights absent --out o", 2, "--weights absent: no such file"},
		{"", "eval --net plain-8 --weights w --mean 0.5,0.5,0.5 --device ref", 2, "--mean and --std: give both or neither"},
		{"", "eval --net plain-8 --weights w --data none --device ref", 2, "--data none: CIFAR-10 not found"},
		{"", "gpu-check --device ref --data none", 2, "--data none: CIFAR-10 not found"},
		{"", "bench --loader --data none", 2, "--data none: ImageNet not found"},
		{"", "doctor --data none", 2, "--data none: ImageNet not found|--data none: CIFAR-10 not found"},
		{"", "doctor --data photos", 0, "imagenet in photos"},
		{"", "plan any.yaml --data=~/cifar10", 2, "the shell left the ~ as it is"},
		{"", "plan any.yaml --data=", 2, "--data: expected a value"},
		{"", "plan any.yaml --data part", 2, "--data part|data_batch_2.bin is missing|test_batch.bin has 100 bytes"},
		{"", "plan any.yaml --data cifar", 0, "profile cifar"},
		{"", "doctor --data cifar", 0, "imagenet missing"},

		// A folder of another data set.
		{"", "plan any.yaml --data photos", 2, "--data photos: the images of profile made are generated|not cifar: needs the files of CIFAR-10"},
		{"", "run any.yaml --profile cifar --data photos", 2, "CIFAR-10 not found|looked in photos|photos has ImageNet"},
		{"", "plan photos.yaml --profile photos --data cifar", 2, "ImageNet not found|looked in cifar|cifar has CIFAR-10"},
		{"", "eval --net plain-8 --weights w --set-name cifar10 --data photos --device ref", 2, "CIFAR-10 not found|photos has ImageNet"},
		{"", "gpu-check --device ref --data photos", 2, "CIFAR-10 not found|photos has ImageNet"},
		{"DEPTHLAB_DATA=none", "plan any.yaml", 2, "DEPTHLAB_DATA=none: CIFAR-10 not found"},
		{"DEPTHLAB_DATA=none", "run any.yaml", 2, "DEPTHLAB_DATA=none: CIFAR-10 not found"},
		{"DEPTHLAB_DATA=part", "plan any.yaml", 2, "DEPTHLAB_DATA=part|data_batch_2.bin is missing"},
		{"DEPTHLAB_DATA=none", "plan any.yaml --data cifar", 0, "profile cifar"},
		{"DEPTHLAB_DATA=none", "plan any.yaml --profile made", 0, "profile made"},
		{"DEPTHLAB_DATA=cifar", "plan any.yaml", 0, "profile cifar"},
		{"", "plan any.yaml", 0, "profile made|not cifar: needs the files of CIFAR-10|looked in|.data/cifar10|data cifar10 downloads"},
		{"", "plan one.yaml", 2, "no profile can run|looked in|.data/cifar10|data cifar10 downloads"},
		{"", "run any.yaml --profile cifar", 2, "looked in|.data/cifar10"},
		{"", "plan photos.yaml --data none", 2, "--data none: ImageNet not found"},
		{"DEPTHLAB_IMAGENET=none", "plan photos.yaml", 2, "DEPTHLAB_IMAGENET=none: ImageNet not found"},
		{"DEPTHLAB_IMAGENET=untrained", "plan photos.yaml", 2, "DEPTHLAB_IMAGENET=untrained: has no folder train"},
		{"DEPTHLAB_IMAGENET=none", "plan any.yaml --data cifar", 0, "profile cifar"},
		{"DEPTHLAB_IMAGENET=photos", "plan photos.yaml --profile photos", 0, "profile photos"},
		{"DEPTHLAB_IMAGENET=photos DEPTHLAB_TURBOJPEG=none", "plan photos.yaml", 2, "DEPTHLAB_TURBOJPEG=none|libturbojpeg.so.0"},
		{"DEPTHLAB_IMAGENET=photos DEPTHLAB_TURBOJPEG=text.so", "plan photos.yaml", 2, "DEPTHLAB_TURBOJPEG=text.so|libturbojpeg.so.0"},
		{"DEPTHLAB_TURBOJPEG=text.so", "doctor", 2, "DEPTHLAB_TURBOJPEG=text.so|libturbojpeg.so.0"},

		// Data for a profile of generated images.
		{"", "plan photos.yaml --profile made --data photos", 2, "--data photos: the images of profile made are generated|--profile"},
		{"", "run made.yaml --data cifar", 2, "--data cifar: the images of profile default are generated"},
		{"", "plan made.yaml --data none", 2, "--data none: the images of profile default are generated"},
		{"", "eval --net plain-8 --weights w --set-name preview --data cifar", 2, "--data cifar"},

		// Libraries and devices.
		{"DEPTHLAB_ONEDNN=none", "plan fast.yaml", 2, "DEPTHLAB_ONEDNN=none|libdnnl.so.3"},
		{"DEPTHLAB_ONEDNN=none", "run fast.yaml", 2, "DEPTHLAB_ONEDNN=none|libdnnl.so.3"},
		{"DEPTHLAB_ONEDNN=none", "plan made.yaml", 2, "DEPTHLAB_ONEDNN=none|libdnnl.so.3"},
		{"DEPTHLAB_ONEDNN=text.so", "plan fast.yaml", 2, "DEPTHLAB_ONEDNN=text.so|libdnnl.so.3"},
		{"DEPTHLAB_ONEDNN=photos", "run made.yaml", 2, "DEPTHLAB_ONEDNN=photos|libdnnl.so.3"},
		{"DEPTHLAB_ONEDNN=text.so", "bench --net plain-8", 2, "DEPTHLAB_ONEDNN=text.so|libdnnl.so.3"},
		{"DEPTHLAB_ONEDNN=none", "doctor", 2, "DEPTHLAB_ONEDNN=none|device ref     "},
		{"DEPTHLAB_ONEDNN=none", "plan made.yaml --device ref", 0, "device ref"},
		{"DEPTHLAB_CPU=mmx", "plan made.yaml", 2, "DEPTHLAB_CPU=mmx|it has "},
		{"DEPTHLAB_CPU=mmx", "bench --net plain-8", 2, "DEPTHLAB_CPU=mmx|it has "},
		{"DEPTHLAB_CPU=ref", "plan made.yaml", 0, "device ref|hours instead of minutes"},
		{"DEPTHLAB_CPU=ref", "plan made.yaml --device cpu", 2, "DEPTHLAB_CPU=ref"},
		{"", "plan made.yaml --threads 100000", 2, "--threads 100000: expected 1 to"},
		{"", "plan made.yaml --threads -1", 2, "--threads -1: expected 1 to"},
		{"OMP_NUM_THREADS=100000", "plan made.yaml", 0, "OMP_NUM_THREADS=100000 is reduced to"},
		{"", "plan made.yaml --device onednn", 0, "the device onednn is now called cpu"},
		{"DEPTHLAB_ONEDNN_KERNELS=libary", "bench --net plain-8", 2, "DEPTHLAB_ONEDNN_KERNELS=libary: expected library"},
		{"DEPTHLAB_ONEDNN_LAYOUT=nchw", "run made.yaml", 2, "DEPTHLAB_ONEDNN_LAYOUT=nchw: expected blocked or nhwc"},
		{"", "plan made.yaml --device gpu", 2, `--device "gpu": expected one of auto, xla, cpu, ref`},
		{"", "run made.yaml --device cuda", 2, `--device "cuda": expected one of`},
		{"", "run made.yaml --device xla", 2, "xla"},
		{"", "plan made.yaml --device xla", 2, "xla"},
		{"", "plan made.yaml --plugin none", 2, "--plugin none|PJRT plugin"},
		{"", "plan gpu.yaml --plugin none", 2, "--plugin none|PJRT plugin"},
		{"", "run gpu.yaml --plugin none", 2, "--plugin none|PJRT plugin"},
		{"", "plan made.yaml --device xla --plugin none", 2, "--plugin none|no such file|PJRT plugin"},
		{"", "plan made.yaml --device xla --plugin text.so", 2, "--plugin text.so|is not a shared library"},
		{"", "plan made.yaml --device xla --plugin photos", 2, "--plugin photos|is a directory"},
		{"", "plan made.yaml --device xla --plugin " + elf, 2, "--plugin " + elf + "|no function GetPjrtApi"},
		{"", "plan made.yaml --device ref --plugin " + elf, 2, "only the device xla uses it"},
		{"", "gpu-check --plugin none", 2, "--plugin none|PJRT plugin"},
		{"", "explain --net plain-8 --for h100 --plugin text.so", 2, "--plugin text.so|is not a shared library"},
		{"DEPTHLAB_PJRT=none", "plan gpu.yaml", 2, "DEPTHLAB_PJRT=none|PJRT plugin"},
		{"DEPTHLAB_PJRT=none", "run made.yaml", 2, "DEPTHLAB_PJRT=none|PJRT plugin"},
		{"DEPTHLAB_PJRT=none", "plan made.yaml --device ref", 0, "device ref"},
		{"DEPTHLAB_PJRT=none", "doctor", 2, "DEPTHLAB_PJRT=none|device ref     "},

		// Several devices.
		{"", "run made.yaml --device ref --devices 0,2", 2, "the device ref is the CPU, a single device without a number"},
		{"", "plan made.yaml --device onednn --devices 1", 2, "the device cpu is the CPU, a single device"},
		{"", "run made.yaml --device ref --jobs 2", 2, "--jobs 2: the device ref trains one net at a time; these train several: xla, cpu"},
		{"", "run made.yaml --device ref --devices 0,b", 2, "--devices 0,b: expected numbers"},
		{"", "run grouped.yaml --device onednn --replicas 2", 2, "the device cpu is the CPU, a single device"},
		{"", "run grouped.yaml --device ref --replicas 0", 2, "--replicas 0: expected a number"},
		{"", "run grouped.yaml --device ref --replicas 3", 2, "--replicas 3: plain-8-seed0: 3 replicas do not divide a batch of 128 images; possible: 1, 2 or 4 replicas"},
		{"", "plan grouped.yaml --device ref --replicas 8", 2, "groups of 32 images; possible: 1, 2 or 4 replicas"},
		{"", "run made.yaml --device ref --replicas 2", 2, "each of 2 replicas has only 64 of them; possible: groups of"},
		{"", "plan grouped.yaml --device ref --replicas 4", 0, "device ref"},

		// Programs to compare with.
		{"", "bench --net plain-8 --against-torch none/python", 2, "--against-torch none/python"},
		{"", "bench --net plain-8 --against-jax none/python", 2, "--against-jax none/python"},
		{"", "bench --loader --against-torch none/python", 2, "--against-torch none/python"},
		{"", "gpu-check --against-torch none/python", 2, "--against-torch none/python"},

		// Devices whose gradients are measured.
		{"", "bench --accuracy --against-torch " + elf + " --threads 100000", 2, "--threads 100000: expected 1 to"},
		{"", "bench --accuracy --against-torch " + elf + " --plugin none", 2, "--plugin none|PJRT plugin"},
		{"DEPTHLAB_ONEDNN=none", "bench --accuracy --against-torch " + elf, 2, "DEPTHLAB_ONEDNN=none|libdnnl.so.3"},
		{"DEPTHLAB_CPU=ref", "bench --accuracy --precision bf16 --against-torch " + elf, 2, "--precision bf16: no device of this machine computes in it"},

		// Precisions that a device does not support.
		{"", "plan made.yaml --device ref --precision tf32", 2, "precision tf32: the device ref|computes in fp32"},
		{"", "run made.yaml --device ref --precision bf16", 2, "precision bf16: the device ref"},
		{"", "eval --net plain-8 --weights w --device ref --precision tf32", 2, "precision tf32: the device ref"},
		{"", "bench --net plain-8 --device ref --precision tf32", 2, "precision tf32: the device ref"},
		{"", "step made.yaml --net plain-8 --out s --device ref --precision bf16", 2, "precision bf16: the device ref"},
		{"", "plan tf32.yaml --device ref", 2, "precision tf32: the device ref"},
		{"", "step tf32.yaml --net plain-8 --out s --device ref", 2, "precision tf32: the device ref"},
		{"", "plan made.yaml --precision fp8", 2, `--precision "fp8": expected one of auto, fp32, tf32, bf16`},
	} {
		t.Run(c.env+" "+c.args, func(t *testing.T) {
			t.Parallel()
			// Without PATH, python3's plugins are not found.
			cmd, out, said := wishing(root, append(strings.Fields(c.env), "PATH="), strings.Fields(c.args)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			slow := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) // in case it trains
			err := cmd.Wait()
			slow.Stop()
			all := out.String() + said.String()
			if got := code(err); got != c.code {
				t.Errorf("exit code %d, want %d:\n%s", got, c.code, all)
			}
			for _, want := range strings.Split(c.want, "|") {
				if !strings.Contains(all, want) {
					t.Errorf("lacks %q:\n%s", want, all)
				}
			}
			if _, err := os.Stat(in("results")); err == nil {
				t.Error("something was trained")
			}
		})
	}
}

// An option that a command does not read is an error.
func TestUnreadOptions(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "q.yaml"), 0, asked+"data: preview\n")
	for _, c := range []struct{ command, options string }{
		{"run q.yaml", "--json --seed=1"},
		{"plan q.yaml", "--out=x --jobs=2"},
		{"plot q.yaml", "--json --data=x --plugin=x --device=ref"},
		{"status results", "--profile=x --data=x"},
		{"show x.png", "--profile=x --data=x"},
		{"diff a b", "--profile=x --data=x"},
		{"doctor", "--json --profile=x --device=ref"},
		{"data cifar10", "--json --profile=x"},
		{"explain --net plain-8", "--json --data=x --profile=x --plugin=x --precision=bf16 --launch=1 --bandwidth=1"},
		{"explain --net plain-8 --stablehlo", "--json --plugin=x --launch=1"},
		{"explain --net plain-8 --for h100", "--stablehlo"},
		{"eval --net plain-8 --weights w", "--profile=x"},
		{"export --weights w --out o", "--json --data=x --profile=x"},
		{"step q.yaml --net plain-8 --out s", "--json"},
		{"bench --net plain-8", "--data=x --profile=x"},
		{"bench --loader", "--device=ref --plugin=x --precision=fp32 --net=plain-8 --batch=2 --compiled --against-jax=x --jobs=2"},
		{"bench --accuracy", "--batch=2 --rounds=2 --jobs=2 --compiled --against-jax=x --loader"},
		{"gpu-check --device ref", "--json --profile=x --precision=fp32"},
		{"schema", "--json --data=x"},
	} {
		for _, option := range strings.Fields(c.options) {
			cmd, out, said := wishing(root, nil, append(strings.Fields(c.command), option)...)
			err := cmd.Run()
			name, _, _ := strings.Cut(option, "=")
			if code(err) != 2 || !strings.Contains(said.String(), name) || out.Len() > 0 {
				t.Errorf("lab %s %s: exit code %d\n%s%s", c.command, option, code(err), out, said)
			}
		}
	}
}

// There is no hint about missing data for a question of generated images.
func TestNoHintUnasked(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "q.yaml"), 0, asked+"data: preview\n")
	for args, want := range map[string]int{
		"plan q.yaml --device ref":                 0,
		"run q.yaml --device ref --precision bf16": 2, // ends before it trains
	} {
		cmd, out, said := wishing(root, nil, strings.Fields(args)...)
		err := cmd.Run()
		all := out.String() + said.String()
		if code(err) != want || !strings.Contains(all, "profile default") || strings.Contains(all, "CIFAR-10") {
			t.Errorf("%s: %v\n%s", args, err, all)
		}
	}
}

// CIFAR-10 is downloaded into the folder of --data.
func TestDownloadWhere(t *testing.T) {
	for _, c := range []struct{ env, args, want string }{
		{"", "", ".data/cifar10"},
		{"", "--data there", "there"},
		{"DEPTHLAB_DATA=there", "", "there"},
		{"DEPTHLAB_DATA=elsewhere", "--data there", "there"},
	} {
		root := t.TempDir()
		begun, end := make(chan bool), make(chan bool)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Write(make([]byte, 4096))
			w.(http.Flusher).Flush()
			close(begun)
			<-end
		}))
		cmd, _, said := wishing(root, append(strings.Fields(c.env), "DEPTHLAB_CIFAR10_URL="+server.URL), append([]string{"data", "cifar10"}, strings.Fields(c.args)...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-begun
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
		close(end)
		server.Close()
		if parts, _ := filepath.Glob(filepath.Join(root, c.want, "*.part")); len(parts) != 1 || !strings.Contains(said.String(), "into ") {
			t.Errorf("%s %s: not in %s:\n%s", c.env, c.args, c.want, said)
		}
		if all, _ := os.ReadDir(root); len(all) != 1 {
			t.Errorf("%s %s: %v was made, want %s alone", c.env, c.args, all, c.want)
		}
	}
}

// Runs are trained in the precision of --precision.
func TestSettle(t *testing.T) {
	gpu, cpu, old := device.Info{GPU: true, Bfloat16: true}, device.Info{Bfloat16: true}, device.Info{}
	for _, c := range []struct {
		asked string
		info  device.Info
		want  device.Precision
	}{
		{"", gpu, "fp32"}, {"fp32", gpu, "fp32"}, {"tf32", gpu, "tf32"}, {"bf16", gpu, "bf16"}, {"auto", gpu, "bf16"},
		{"", cpu, "fp32"}, {"bf16", cpu, "bf16"}, {"auto", cpu, "bf16"}, {"auto", old, "fp32"}, {"fp32", old, "fp32"},
	} {
		if got := (deviceFlags{precision: &c.asked}).settle(c.info); got != c.want {
			t.Errorf("--precision %q on %+v: %s, want %s", c.asked, c.info, got, c.want)
		}
	}
}

// The plugin of --plugin counts as a GPU when the profile is chosen.
func TestPluginForProfile(t *testing.T) {
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	xla, err := machine.KindOf("xla")
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := xla.Find(machine.Machine{Root: filepath.Dir(libs)})
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	root := t.TempDir()
	put(t, filepath.Join(root, "gpu.yaml"), 0, asked+"data: preview\nprofiles: {big: {needs: [gpu]}, made: {}}\n")
	put(t, filepath.Join(root, "bin/nvidia-smi"), 0, "#!/bin/sh\necho 580.1\n")
	if err := os.Chmod(filepath.Join(root, "bin/nvidia-smi"), 0o777); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"": "profile made", "--plugin " + plugin: "profile big"} {
		cmd, out, said := wishing(root, []string{"PATH=" + filepath.Join(root, "bin")}, append([]string{"plan", "gpu.yaml"}, strings.Fields(args)...)...)
		if err := cmd.Run(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q: %v, want %s:\n%s%s", args, err, want, out, said)
		}
	}
}
