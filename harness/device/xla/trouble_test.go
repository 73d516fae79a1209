// Tests of error messages, and of which executable is used.

package xla

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/pjrt"
)

// Errors of CUDA and XLA become advice.
func TestNoClient(t *testing.T) {
	for words, want := range map[string]string{
		"INTERNAL: no supported devices found: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda driver combination": "restart the machine",
		"CUDA driver version is insufficient for CUDA runtime version":                                                                             "driver is too old",
		"CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available for execution on the device":                                                   "GPU is too old",
		"CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain":                                          "driver is too old",
		"RESOURCE_EXHAUSTED: CUDA_ERROR_OUT_OF_MEMORY":                                                                                             "memory is in use",
		"FAILED_PRECONDITION: DNN library initialization failed":                                                                                   "cuDNN is missing",
		"No visible GPU devices.":                                  "CUDA_VISIBLE_DEVICES",
		"CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected": "CUDA_VISIBLE_DEVICES",
		"something else":                                           "that the plugin is for",
	} {
		cause := errors.New(words)
		err := noClient(cause)
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q gives %q, want %q in it", words, err, want)
		}
	}
}

// Out of memory, a lost device and other failures are distinguished.
func TestExplain(t *testing.T) {
	s := &session{d: open(t, 0)}
	for _, c := range []struct {
		code int
		text string
		lost bool
		want string
	}{
		{8, "Out of memory while trying to allocate 123 bytes", false, "out of memory: the program needs"},
		{13, "failed to instantiate a graph: CUDA_ERROR_OUT_OF_MEMORY: out of memory", false, "out of memory: the program needs"},
		{13, "CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", true, "the device was lost"},
		{9, "DNN library initialization failed. Look at the errors above for more details.", false, "pip install 'jax[cuda13]'"},
		{14, "device is gone", true, "last checkpoint"},
		{13, "an assertion of the compiler", false, "an assertion"},
		{3, "a bad argument", false, "a bad argument"},
	} {
		err := explain(s, &pjrt.Error{Code: c.code, Text: c.text})
		var lost *device.LostError
		if errors.As(err, &lost) != c.lost || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%d %s: %v", c.code, c.text, err)
		}
	}
	err := outOfMemory(errors.New("full"), 900<<20, 1000<<20, 700<<20)
	for _, want := range []string{"needs 900 MiB", "300 of 1000 MiB are free", "batch", "--jobs", "bf16"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// An option that the plugin does not know is left out if it is false.
func TestUnknownOption(t *testing.T) {
	d := open(t, 0)
	const text = "module @m {\n  func.func @main(%a: tensor<3xf32>) -> tensor<3xf32> {\n    return %a : tensor<3xf32>\n  }\n}\n"
	for _, must := range []bool{false, true} {
		options := pjrt.CompileOptions{"xla_no_such_option": must, "xla_nor_this": false, "xla_allow_excess_precision": false}
		e, err := compileKnown(options, func(o pjrt.CompileOptions) (*pjrt.Executable, error) { return d.client.Compile(text, 1, o) })
		if err == nil {
			err = e.Destroy()
		}
		if must != (err != nil) || must && !strings.Contains(err.Error(), "xla_no_such_option") {
			t.Errorf("an unknown option that is %v: error %v", must, err)
		}
		if len(options) != 3 {
			t.Errorf("the caller's options are now %v", options)
		}
	}
}

// A run's folder keeps its executables, and so the algorithms that were chosen by timing,
// whatever happens to the cache.
func TestKept(t *testing.T) {
	d := open(t, 0)
	d.cache = t.TempDir()
	const text = "module @m {\n  func.func @main(%a: tensor<3xf32>) -> tensor<3xf32> {\n    return %a : tensor<3xf32>\n  }\n}\n"
	chosen, compiled := "", 0
	find := func(folder string) *executable {
		t.Helper()
		e, err := d.find("key", folder, func() (*pjrt.Executable, error) {
			compiled++
			return d.client.Compile(strings.Replace(text, "@m", "@m"+chosen, 1), 1, nil) // stands for what timing chooses
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	forget := func() { // as another process does
		for _, e := range d.executables {
			if err := e.Destroy(); err != nil {
				t.Fatal(err)
			}
		}
		d.executables = nil
	}
	run, other := t.TempDir(), t.TempDir()
	first := find(run).fingerprint
	forget()
	if e := find(""); e.fingerprint != first || compiled != 1 {
		t.Errorf("the cache gives %q after %d compilations, want %q and 1", e.fingerprint, compiled, first)
	}
	if e := find(other); e.fingerprint != first || compiled != 1 {
		t.Errorf("the loaded executable is %q after %d compilations, want %q and 1", e.fingerprint, compiled, first)
	}
	for _, dir := range []string{d.cache, run, other} {
		if files, _ := os.ReadDir(dir); len(files) != 1 || filepath.Ext(files[0].Name()) != ".pjrt" {
			t.Errorf("a folder holds %v", files)
		}
	}
	forget()
	d.cache, chosen = t.TempDir(), "other"
	second := find("").fingerprint
	if second == first || compiled != 2 {
		t.Fatalf("without cache and folder, %q after %d compilations", second, compiled)
	}
	if e := find(run); e.fingerprint != first || compiled != 2 {
		t.Errorf("the run resumes with %q after %d compilations, it began with %q", e.fingerprint, compiled, first)
	}
	if a, b := find(run), find(run); a != b {
		t.Error("an executable is loaded twice")
	}
	if err := os.WriteFile(file("key", run), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if e := find(run); e.fingerprint != second || compiled != 2 {
		t.Errorf("a damaged file is replaced by %q after %d compilations, want %q and 2", e.fingerprint, compiled, second)
	}
}
