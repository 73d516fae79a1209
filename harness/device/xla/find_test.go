// Tests of finding plugins and drivers.

package xla

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/harness/testskip"
)

func TestDriver(t *testing.T) {
	for text, want := range map[string]int{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:13:43 UTC 2025\nGCC version:  gcc 12\n": 580,
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\n":                             550,
		"":                   0,
		"something else 1.2": 0,
	} {
		if got := driverVersion(text); got != want {
			t.Errorf("driver %d in %q, want %d", got, text, want)
		}
	}
	for driver, want := range map[int]int{470: 0, 525: 12, 579: 12, 580: 13, 600: 13} {
		if got := CUDA(driver); got != want {
			t.Errorf("driver %d runs CUDA %d, want %d", driver, got, want)
		}
	}
}

func TestAskDriver(t *testing.T) {
	for script, want := range map[string]int{
		"echo 580.159.04":                    580,
		"echo 550.54.15; echo 550.54.15":     550,
		"echo NVIDIA-SMI has failed; exit 9": 0,
		"echo No devices were found":         0,
	} {
		dir := t.TempDir()
		t.Setenv("PATH", dir)
		if got := askDriver(); got != 0 {
			t.Errorf("without nvidia-smi: driver %d", got)
		}
		if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
		if got := askDriver(); got != want {
			t.Errorf("%s: driver %d, want %d", script, got, want)
		}
	}
}

// If wheels of two CUDA versions are installed, those of the plugin's version are loaded.
func TestBeside(t *testing.T) {
	root := filepath.Join(t.TempDir(), "[2024] *libs") // must not be read as a glob pattern
	for _, name := range []string{"cu13/lib/libnvrtc.so.13", "cu13/lib/libcudart.so.13", "cuda_nvrtc/lib/libnvrtc.so.12", "cudnn/lib/libcudnn.so.9"} {
		path := filepath.Join(root, "nvidia", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for plugin, want := range map[string][]string{
		"jax_plugins/xla_cuda13/xla_cuda_plugin.so": {"cu13/lib/libcudart.so.13", "cu13/lib/libnvrtc.so.13"},
		"jax_plugins/xla_cuda12/xla_cuda_plugin.so": {"cuda_nvrtc/lib/libnvrtc.so.12"},
		"xla_cpu_pjrt/lib/plugin.so":                nil,
	} {
		var full []string
		for _, name := range want {
			full = append(full, filepath.Join(root, "nvidia", name))
		}
		got := beside(filepath.Join(root, plugin))
		if !slices.Equal(got, full) {
			t.Errorf("%s: %q, want %q", plugin, got, full)
		}
		pjrt.Preload(got) // the files are empty: ignored
	}
}

func TestFind(t *testing.T) {
	t.Setenv(EnvPlugin, "")
	driver := Driver
	Driver = func() int { return 0 }
	t.Cleanup(func() { Driver = driver })
	var no *device.UnsupportedError
	empty := t.TempDir()
	if path, err := Find("", empty); !errors.As(err, &no) {
		t.Errorf("in an empty folder: %q, %v; want an UnsupportedError", path, err)
	}
	if _, err := FindCUDA("", empty); !errors.As(err, &no) {
		t.Errorf("FindCUDA in an empty folder: %v; want an UnsupportedError", err)
	}
	libs := filepath.Join(t.TempDir(), "[2024] *libs") // must not be read as a glob pattern
	plugin := filepath.Join(libs, "pjrt", "cpu", "xla_cpu_pjrt", "lib", "plugin.so")
	if err := os.MkdirAll(filepath.Dir(plugin), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plugin, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if path, err := Find("", libs); path != plugin {
		t.Errorf("in %s: %q, %v", libs, path, err)
	}
	// With a driver, a CUDA plugin is wanted, unless CUDA_VISIBLE_DEVICES hides all GPUs.
	Driver = func() int { return 580 }
	t.Setenv("PATH", empty) // no python3
	for devices, hidden := range map[string]bool{"": true, "-1": true, "NoDevFiles": true, "0": false, "2,0": false, "GPU-8932f937": false} {
		t.Setenv("CUDA_VISIBLE_DEVICES", devices)
		if path, err := Find("", libs); Hidden() != hidden || hidden && path != plugin || !hidden && !errors.As(err, &no) {
			t.Errorf("CUDA_VISIBLE_DEVICES=%q: hidden %v, %q, %v", devices, Hidden(), path, err)
		}
	}
	if err := os.Unsetenv("CUDA_VISIBLE_DEVICES"); err != nil || Hidden() {
		t.Errorf("GPUs are hidden without CUDA_VISIBLE_DEVICES; %v", err)
	}
	if _, err := Find(filepath.Join(empty, "p.so"), empty); err == nil || !strings.Contains(err.Error(), "p.so") {
		t.Errorf("a plugin that is not there: %v", err)
	}
	file := filepath.Join(empty, "text.so")
	if err := os.WriteFile(file, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{file: "not a shared library", empty: "is a directory", os.Args[0]: "no function GetPjrtApi"} {
		t.Setenv(EnvPlugin, given)
		for _, find := range []func(string, string) (string, error){Find, FindCUDA} {
			for _, option := range []string{"", given} {
				if path, err := find(option, libs); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q, %v; want %q", given, path, err, want)
				}
			}
		}
	}
	var bad *pjrt.PluginError
	if _, err := Open(file, Options{}); !errors.As(err, &bad) {
		t.Errorf("a file that is no library: %v, want a PluginError", err)
	}
}

// A new driver also supports the plugin that was downloaded for an older one. That is
// preferred to a plugin without cuDNN, which can only compile.
func TestFindFetched(t *testing.T) {
	t.Setenv(EnvPlugin, "")
	t.Setenv("CUDA_VISIBLE_DEVICES", "0")
	t.Setenv("PATH", t.TempDir()) // no python3
	driver := Driver
	t.Cleanup(func() { Driver = driver })
	for _, c := range []struct {
		driver int
		there  string // folders in libDir; "+cudnn": with cuDNN
		want   string
	}{
		{580, "cuda13+cudnn cuda12+cudnn", "cuda13"},
		{580, "cuda12+cudnn", "cuda12"},
		{580, "cuda13 cuda12+cudnn", "cuda12"},
		{580, "cuda13", "cuda13"},
		{550, "cuda13+cudnn cuda12", "cuda12"},
		{550, "cuda13+cudnn", ""},
	} {
		libs := t.TempDir()
		for _, word := range strings.Fields(c.there) {
			name, cudnn := strings.CutSuffix(word, "+cudnn")
			root := filepath.Join(libs, "pjrt", name)
			plugin := filepath.Join(root, "jax_plugins", "xla_"+name, "xla_cuda_plugin.so")
			if err := errors.Join(os.MkdirAll(filepath.Dir(plugin), 0o777), os.WriteFile(plugin, nil, 0o666)); err != nil {
				t.Fatal(err)
			}
			if cudnn {
				if err := os.MkdirAll(filepath.Join(root, "nvidia", "cudnn"), 0o777); err != nil {
					t.Fatal(err)
				}
			}
		}
		Driver = func() int { return c.driver }
		got, err := Find("", libs)
		if (err == nil) != (c.want != "") || err == nil && !strings.HasPrefix(got, filepath.Join(libs, "pjrt", c.want)+"/") {
			t.Errorf("driver %d, %s: %q, %v; want %s", c.driver, c.there, got, err, c.want)
		}
	}
}

// If a library is missing, the error names it and the command that installs it.
func TestMissingLibrary(t *testing.T) {
	var no *device.UnsupportedError
	err := withHint(&pjrt.PluginError{Path: "/p.so", Problem: "it needs the library libcudnn.so.9", Missing: "libcudnn.so.9"})
	if !errors.As(err, &no) || !strings.Contains(err.Error(), "libcudnn.so.9") || !strings.Contains(err.Error(), "pip install") {
		t.Errorf("error %v, want an UnsupportedError with library and command", err)
	}
	other := errors.New("another")
	if withHint(other) != other {
		t.Error("another error was changed")
	}
}

// The CUDA plugin accepts the options of a client: the only error is that there is no GPU.
func TestDevicesOfCUDA(t *testing.T) {
	t.Setenv(EnvPlugin, "")
	path, err := FindCUDA("", libDir)
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	if Driver() > 0 {
		return // other tests open the devices
	}
	for _, devices := range [][]int{nil, {0}, {2, 0}} {
		if _, err := Open(path, Options{Devices: devices}); err == nil || !strings.Contains(err.Error(), "No visible GPU devices") {
			t.Errorf("devices %v: %v, want only the error that there is no GPU", devices, err)
		}
	}
	if _, err := Count(path); err == nil || !strings.Contains(err.Error(), "No visible GPU devices") {
		t.Errorf("counted: %v", err)
	}
}

// A plugin that is not told which devices to use can only use its first ones.
func TestFirstOnes(t *testing.T) {
	for _, c := range []struct {
		devices []int
		other   string // the first device that is not in its place
	}{{nil, ""}, {[]int{0}, ""}, {[]int{0, 1, 2}, ""}, {[]int{1}, "device 1"}, {[]int{0, 2}, "device 2"}, {[]int{1, 0}, "device 1"}} {
		err := firstOnes("tpu.so", c.devices)
		var no *device.UnsupportedError
		if c.other == "" && err != nil || c.other != "" && (!errors.As(err, &no) || !strings.Contains(err.Error(), "choosing "+c.other+" of tpu.so")) {
			t.Errorf("devices %v: %v", c.devices, err)
		}
	}
}

// XLA's CPU plugin shows four devices by default, and more on request.
func TestCount(t *testing.T) {
	path, err := Find("", libDir)
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	if n, err := Count(path); err != nil || n != 4 {
		t.Errorf("%d devices, %v; want 4", n, err)
	}
	for _, c := range []struct{ devices, replicas, clients int }{{0, 0, 4}, {1, 0, 4}, {2, 2, 4}, {6, 6, 6}} {
		d := openWith(t, Options{Devices: make([]int, c.devices)})
		if got := d.Info().Replicas; got != c.replicas || len(d.client.Devices) != c.clients {
			t.Errorf("%d devices: %d replicas and a client of %d, want %d and %d", c.devices, got, len(d.client.Devices), c.replicas, c.clients)
		}
	}
}
