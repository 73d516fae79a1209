// Finds the PJRT plugin and the NVIDIA driver.

package xla

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"depthlab/harness/device"
)

// EnvPlugin is the environment variable with the path of the plugin to open.
const EnvPlugin = "DEPTHLAB_PJRT"

// Find returns the absolute path of the plugin to open. In this order: given, unless it
// is ""; DEPTHLAB_PJRT; with an NVIDIA driver whose GPUs are not Hidden, the CUDA plugin
// that python3 finds, or the one in libDir/pjrt; without, the CPU plugin in libDir/pjrt,
// which is for tests. The error is an *UnsupportedError if there is none.
func Find(given, libDir string) (string, error) {
	if given == "" {
		given = os.Getenv(EnvPlugin)
	}
	if given != "" {
		if err := isPlugin(given); err != nil {
			return "", err
		}
		return filepath.Abs(given) // absolute, because the plugin looks for tools in its own folder
	}
	if driver := Driver(); driver > 0 && !Hidden() {
		cuda := CUDA(driver)
		if cuda == 0 {
			return "", &device.UnsupportedError{Device: name, What: fmt.Sprintf("the NVIDIA driver %d", driver),
				Hint: fmt.Sprintf("version %d or newer is needed; the device cpu trains on the CPU", oldestDriver)}
		}
		for _, root := range append(pythonPath(), fetched(libDir, cuda)...) {
			for ; cuda >= 12; cuda-- {
				path := filepath.Join(root, "jax_plugins", fmt.Sprintf("xla_cuda%d", cuda), "xla_cuda_plugin.so")
				if _, err := os.Stat(path); err == nil {
					return filepath.Abs(path)
				}
			}
			cuda = CUDA(driver)
		}
		return "", &device.UnsupportedError{Device: name, What: "a GPU without a PJRT plugin",
			Hint: fmt.Sprintf("pip install 'jax[cuda%d]', or set %s to the path of an xla_cuda_plugin.so", cuda, EnvPlugin)}
	}
	cpu := filepath.Join(libDir, "pjrt", "cpu")
	if found, _ := fs.Glob(os.DirFS(cpu), "*/*/*.so"); len(found) > 0 {
		return filepath.Abs(filepath.Join(cpu, found[0]))
	}
	return "", &device.UnsupportedError{Device: name, What: "a machine without a GPU driver and without a PJRT plugin",
		Hint: fmt.Sprintf("./run.sh test downloads XLA's CPU plugin, which is for tests; --plugin or %s choose another", EnvPlugin)}
}

// fetched lists the folders of downloaded CUDA plugins in libDir for a driver of this
// CUDA version, newest first. Those with cuDNN come before those without, which can
// compile but not execute.
func fetched(libDir string, cuda int) []string {
	var whole, rest []string
	for ; cuda >= 12; cuda-- {
		root := filepath.Join(libDir, "pjrt", fmt.Sprintf("cuda%d", cuda))
		if _, err := os.Stat(filepath.Join(root, "nvidia", "cudnn")); err == nil {
			whole = append(whole, root)
		} else {
			rest = append(rest, root)
		}
	}
	return append(whole, rest...)
}

// FindCUDA returns the path of a CUDA plugin for NewForecast, which needs no GPU: given,
// DEPTHLAB_PJRT, or the one in libDir/pjrt. The error is an *UnsupportedError if there is
// none.
func FindCUDA(given, libDir string) (string, error) {
	if given == "" {
		given = os.Getenv(EnvPlugin)
	}
	if given != "" {
		if err := isPlugin(given); err != nil {
			return "", err
		}
		return filepath.Abs(given)
	}
	path := filepath.Join(libDir, "pjrt", "cuda13", "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")
	if _, err := os.Stat(path); err != nil {
		return "", &device.UnsupportedError{Device: name, What: "compiling for an absent GPU (no " + path + ")",
			Hint: "./run.sh explain --for downloads XLA's CUDA plugin if python3 has pip"}
	}
	return filepath.Abs(path)
}

// isPlugin returns an error if the file at path is not a PJRT plugin. It does not load
// it.
func isPlugin(path string) error {
	const expected = "expected the path of a PJRT plugin, such as xla_cuda_plugin.so"
	file, err := elf.Open(path)
	var unreadable *fs.PathError
	switch {
	case errors.As(err, &unreadable):
		return fmt.Errorf("xla: %w; %s", err, expected)
	case err != nil:
		return fmt.Errorf("xla: %s is not a shared library; %s", path, expected)
	}
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	exported := func(s elf.Symbol) bool { return s.Name == "GetPjrtApi" && s.Section != elf.SHN_UNDEF }
	if err != nil || !slices.ContainsFunc(symbols, exported) {
		return fmt.Errorf("xla: %s has no function GetPjrtApi; %s", path, expected)
	}
	return nil
}

// oldestDriver is the first driver for CUDA 12, newDriver the first for CUDA 13 (NVIDIA's
// release notes).
const (
	oldestDriver = 525
	newDriver    = 580
)

// CUDA is the major version of CUDA that a driver supports: 13, 12, or 0 for none.
func CUDA(driver int) int {
	switch {
	case driver >= newDriver:
		return 13
	case driver >= oldestDriver:
		return 12
	}
	return 0
}

// Hidden reports whether CUDA_VISIBLE_DEVICES hides all GPUs, as "" and "-1" do.
func Hidden() bool {
	devices, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	return set && (devices == "" || devices == "NoDevFiles" || strings.HasPrefix(devices, "-"))
}

// Driver is the major version of the NVIDIA driver, 0 for none. It asks nvidia-smi where
// /proc does not have it (WSL, some containers).
var Driver = sync.OnceValue(func() int {
	text, err := os.ReadFile("/proc/driver/nvidia/version")
	if err != nil {
		return askDriver()
	}
	return driverVersion(string(text))
})

func askDriver() int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").Output()
	if err != nil {
		return 0
	}
	major, _, _ := strings.Cut(string(out), ".")
	v, _ := strconv.Atoi(major)
	return v
}

var driverLine = regexp.MustCompile(`NVRM version:.*?\s(\d+)\.\d+`)

func driverVersion(text string) int {
	m := driverLine.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(m[1])
	return v
}

// pythonPath lists the folders where python3 looks for packages; nil without python3.
func pythonPath() []string {
	out, err := exec.Command("python3", "-c", "import sys; print('\\n'.join(sys.path))").Output()
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == '\n' })
}

// beside lists the CUDA libraries in the wheels beside a CUDA plugin, to be loaded before
// it. The plugin finds its own libraries, but cuDNN looks for some by name only. JAX loads
// them first for the same reason.
func beside(plugin string) []string {
	cuda, ok := strings.CutPrefix(filepath.Base(filepath.Dir(plugin)), "xla_cuda")
	if !ok {
		return nil
	}
	wheels := filepath.Join(filepath.Dir(plugin), "..", "..", "nvidia")
	var all []string
	for _, name := range []string{"cudart", "nvrtc", "cublasLt", "cublas"} {
		found, _ := fs.Glob(os.DirFS(wheels), "*/lib/lib"+name+".so."+cuda)
		for _, path := range found {
			all = append(all, filepath.Join(wheels, path))
		}
	}
	return all
}
