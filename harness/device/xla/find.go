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

// EnvPlugin names the plugin to open instead of those that Find knows.
const EnvPlugin = "DEPTHLAB_PJRT"

// Find gives the path of the plugin to open: the one that is given, else what
// DEPTHLAB_PJRT names; on a machine with an NVIDIA driver whose GPUs are not Hidden the
// CUDA plugin of python3's jax_plugins, else the one in libDir/pjrt; and last, the CPU plugin
// in libDir/pjrt, which is for tests.
func Find(given, libDir string) (string, error) {
	if given == "" {
		given = os.Getenv(EnvPlugin)
	}
	if given != "" {
		if err := isPlugin(given); err != nil {
			return "", err
		}
		return filepath.Abs(given) // the plugin looks for its tools beside itself
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
		return "", &device.UnsupportedError{Device: name, What: "this machine as it is (a GPU, and no plugin)",
			Hint: fmt.Sprintf("pip install 'jax[cuda%d]', or set %s to an xla_cuda_plugin.so", cuda, EnvPlugin)}
	}
	cpu := filepath.Join(libDir, "pjrt", "cpu")
	if found, _ := fs.Glob(os.DirFS(cpu), "*/*/*.so"); len(found) > 0 {
		return filepath.Abs(filepath.Join(cpu, found[0]))
	}
	return "", &device.UnsupportedError{Device: name, What: "this machine as it is (no GPU driver, and no plugin)",
		Hint: fmt.Sprintf("./run.sh test fetches XLA's CPU plugin, which is for tests; --plugin or %s name another", EnvPlugin)}
}

// fetched lists the folders of CUDA plugins in libDir that a driver for this version of CUDA
// runs, the newest first, but before all others those that have cuDNN beside the plugin:
// without it a plugin only compiles.
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

// FindCUDA gives the path of a CUDA plugin, GPU or not, for Foretell: the one
// that is given, else what DEPTHLAB_PJRT names, else the one in libDir/pjrt.
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
			Hint: "./run.sh explain --for fetches XLA's CUDA plugin where python3 has pip"}
	}
	return filepath.Abs(path)
}

// isPlugin says why the file at path is no PJRT plugin, without loading it.
func isPlugin(path string) error {
	const expected = "expected the path of a PJRT plugin, such as xla_cuda_plugin.so"
	file, err := elf.Open(path)
	var unreadable *fs.PathError
	switch {
	case errors.As(err, &unreadable):
		return fmt.Errorf("xla: %w; %s", err, expected)
	case err != nil:
		return fmt.Errorf("xla: %s is no shared library; %s", path, expected)
	}
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	exported := func(s elf.Symbol) bool { return s.Name == "GetPjrtApi" && s.Section != elf.SHN_UNDEF }
	if err != nil || !slices.ContainsFunc(symbols, exported) {
		return fmt.Errorf("xla: %s has no function GetPjrtApi; %s", path, expected)
	}
	return nil
}

// oldestDriver runs CUDA 12, and newDriver CUDA 13 (NVIDIA's release notes).
const (
	oldestDriver = 525
	newDriver    = 580
)

// CUDA is the version of CUDA that a driver runs: 13, 12 or 0 for none.
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

// Driver is the major version of the NVIDIA driver, 0 for none. Some containers
// and WSL do not show the kernel's file: there nvidia-smi asks the driver.
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

// pythonPath lists where python3 looks for packages.
func pythonPath() []string {
	out, err := exec.Command("python3", "-c", "import sys; print('\\n'.join(sys.path))").Output()
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == '\n' })
}

// beside lists libraries of the wheels that lie beside a CUDA plugin. It finds
// its own, but cuDNN looks for some of these by name only, and not everywhere:
// so JAX loads them first, too.
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
