// Package xla computes Programs through XLA. Each Program is lowered to StableHLO text
// (lower); a PJRT plugin (pjrt), opened at run time, compiles and executes it on GPUs or,
// in tests, on the CPU. The data set and the state stay on the device, and a launch
// updates the state in place (buffer donation).
package xla

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
)

const name = lower.Name

// launch is the number of steps in one launch on a GPU. More steps would not be faster:
// the host needs only microseconds for each launch.
const launch = 100

// Device is one device of a plugin, or several that share each step (data parallel).
type Device struct {
	plugin      *pjrt.Plugin
	client      *pjrt.Client
	build       string // build of the plugin: its file's name and size
	cache       string // folder of executables; "" for none
	replicas    int    // devices that share each step; 0 for one
	steps       int    // steps in a launch; 0 for one step without a loop
	quick       bool
	unrolled    int           // see lower.Options
	executables []*executable // loaded
}

// Options are the options of a device.
type Options struct {
	// Cache is the folder where compiled programs are kept; "" to keep none.
	Cache string
	// Loop is the number of steps in each launch's loop. 0 means the default: 100 on
	// GPUs, and no loop on XLA's CPU plugin, which is slow at loops.
	Loop int
	// Devices are the numbers of the plugin's devices that the Device consists of,
	// counted from 0. Several share each step. nil for the first one. All devices of
	// XLA's CPU plugin are the same CPU, so only their count matters there. Of other
	// plugins than CUDA's they must be the first ones, in order.
	Devices []int
	// Quick makes the CPU compiler five times faster and its code slower, for tests.
	Quick bool
}

// Open opens the plugin at path (see Find).
func Open(path string, o Options) (*Device, error) {
	plugin, err := load(path)
	if err != nil {
		return nil, err
	}
	if o.Devices == nil {
		o.Devices = []int{0}
	}
	client, err := connect(plugin, o.Devices)
	if err != nil {
		return nil, err
	}
	d := &Device{replicas: len(o.Devices), plugin: plugin, client: client, build: buildOf(path), cache: o.Cache, steps: o.Loop, quick: o.Quick}
	if d.replicas == 1 {
		d.replicas = 0
	}
	if d.steps == 0 && !d.cpu() {
		d.steps = launch
	}
	return d, nil
}

// connect returns a client with these devices first, or with all devices that the
// plugin shows if devices is nil.
func connect(plugin *pjrt.Plugin, devices []int) (*pjrt.Client, error) {
	var options []pjrt.Option
	if isCUDA(plugin.Path) {
		options = []pjrt.Option{{Name: "preallocate", Value: false}} // several runs may share a GPU: do not reserve all of its memory
		if devices != nil {
			var visible []int64 // on other devices the client allocates nothing
			for _, d := range devices {
				visible = append(visible, int64(d))
			}
			options = append(options, pjrt.Option{Name: "visible_devices", Value: visible})
		}
	}
	client, err := plugin.Client(options...)
	if err != nil {
		return nil, noClient(err)
	}
	if options == nil && !isCPU(client) {
		if err := firstOnes(plugin.Path, devices); err != nil {
			return nil, errors.Join(err, client.Close())
		}
	}
	n := len(client.Devices)
	if n >= len(devices) {
		return client, nil
	}
	if isCPU(client) && options == nil { // XLA's CPU plugin shows as many devices as it is asked for
		err := client.Close()
		if err == nil {
			client, err = plugin.Client(pjrt.Option{Name: "cpu_device_count", Value: int64(len(devices))})
		}
		return client, err
	}
	err = &device.UnsupportedError{Device: name, What: fmt.Sprintf("a step shared by %d devices", len(devices)), Hint: fmt.Sprintf("the plugin %s shows %d", plugin.Path, n)}
	return nil, errors.Join(err, client.Close())
}

// firstOnes returns an *UnsupportedError unless devices are the first ones of the plugin, in
// order: those are used if the plugin is not told which.
func firstOnes(path string, devices []int) error {
	for i, d := range devices {
		if d != i {
			return &device.UnsupportedError{Device: name, What: fmt.Sprintf("choosing device %d of %s", d, path), Hint: "only CUDA plugins are told which devices to use; of another choose the first ones: 0, 1, ..."}
		}
	}
	return nil
}

func isCPU(c *pjrt.Client) bool { return strings.EqualFold(c.Platform, "cpu") || c.Platform == "Host" }

func isCUDA(path string) bool { return strings.Contains(filepath.Base(path), "cuda") }

// Count is the number of devices that the plugin at path shows.
func Count(path string) (int, error) {
	plugin, err := load(path)
	if err != nil {
		return 0, err
	}
	client, err := connect(plugin, nil)
	if err != nil {
		return 0, err
	}
	return len(client.Devices), client.Close()
}

func load(path string) (*pjrt.Plugin, error) {
	if err := pjrt.Quiet(); err != nil {
		return nil, err
	}
	pjrt.Preload(beside(path))
	plugin, err := pjrt.Open(path)
	if err != nil {
		return nil, withHint(err)
	}
	return plugin, nil
}

// buildOf identifies the build of a plugin by the name and size of its file.
func buildOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprint(info.Name(), " ", info.Size())
}

// withHint adds the command that installs the library that a plugin could not load.
func withHint(err error) error {
	var e *pjrt.PluginError
	if errors.As(err, &e) && e.Missing != "" {
		return &device.UnsupportedError{Device: name, What: fmt.Sprintf("%s without the library %s", e.Path, e.Missing),
			Hint: fmt.Sprintf("python3 -m pip install 'jax[cuda%d]' installs plugin and libraries", max(CUDA(Driver()), 12))}
	}
	return err
}

func (d *Device) cpu() bool { return isCPU(d.client) }

// Info describes device and plugin.
func (d *Device) Info() device.Info {
	hardware := d.client.Devices[0].Kind
	if d.cpu() {
		hardware = device.CPU().Model + ", XLA's CPU plugin"
	}
	version, _, _ := strings.Cut(d.client.Version, "\n")
	return device.Info{
		Name:     name,
		Hardware: hardware,
		Library:  strings.TrimSpace(fmt.Sprintf("PJRT %d.%d, %s %s", d.plugin.Major, d.plugin.Minor, d.client.Platform, version)),
		Kernels:  lower.Revision,
		Platform: d.client.Platform,
		Driver:   driver(d.cpu()),
		Layout:   "nhwc",
		Bfloat16: !d.cpu(),
		GPU:      !d.cpu(),
		Replicas: d.replicas,
		Launch:   max(d.steps, 1),
	}
}

// Memory returns the bytes of device memory that this process may use, and those that it
// uses; 0 if the plugin does not say.
func (d *Device) Memory() (limit, used int64) { return d.client.Memory() }

// Supports returns an *UnsupportedError for a kernel that has no emitter.
func (d *Device) Supports(k kernel.Kernel) error { return lower.Supports(k) }

// Close frees the executables and the client. Close all sessions before it.
func (d *Device) Close() error {
	var all []error
	for _, e := range d.executables {
		all = append(all, e.Destroy())
	}
	d.executables = nil
	return errors.Join(append(all, d.client.Close())...)
}

// compile returns the executable of a module: a loaded one, one from disk, or a new one.
// Its key is a hash of everything that determines the result of compilation.
func (d *Device) compile(m *lower.Module, o device.Options) (*executable, error) {
	options := compileOptions(d.client.Platform, o.Deterministic)
	if d.quick && d.cpu() {
		options = quickOptions
	}
	h, text := sha256.New(), m.Text
	fmt.Fprintf(h, "%v\n%s\n%v\n%s\n", d.Info(), d.build, options, text)
	if d.cpu() {
		fmt.Fprintln(h, device.CPU().Flags) // the code depends on the CPU's instruction sets
	}
	return d.find(fmt.Sprintf("%x", h.Sum(nil)[:16]), o.Folder, func() (*pjrt.Executable, error) {
		if !d.cpu() {
			timing.Lock()
			defer timing.Unlock()
		}
		e, err := compileKnown(options, func(o pjrt.CompileOptions) (*pjrt.Executable, error) { return d.client.Compile(text, m.Replicas, o) })
		if err != nil {
			return nil, cannotCompile(text, err)
		}
		return e, nil
	})
}

// timing is locked while a program is compiled for a GPU, because XLA then times
// algorithms. Launches take a read lock, since several clients may share a GPU.
var timing sync.RWMutex

var unknownOption = regexp.MustCompile(`No such compile option: '(\w+)'`)

// compileKnown compiles without the options that the plugin does not know, because
// another version may have dropped them. Only options that are false are left out: an
// unknown option that is true is an error.
func compileKnown[T any](options pjrt.CompileOptions, compile func(pjrt.CompileOptions) (T, error)) (T, error) {
	options = maps.Clone(options)
	for {
		x, err := compile(options)
		if err == nil {
			return x, nil
		}
		m := unknownOption.FindStringSubmatch(err.Error())
		if m == nil || options[m[1]] != false {
			return x, err
		}
		delete(options, m[1])
	}
}

// quickOptions turn off what makes XLA's CPU compiler slow: optimisation, fusion
// emitters, and splitting code for parallel compilation.
var quickOptions = pjrt.CompileOptions{
	"xla_backend_optimization_level":       int64(0),
	"xla_cpu_use_fusion_emitters":          false,
	"xla_cpu_parallel_codegen_split_count": int64(1),
}

// compileOptions are XLA's options for a platform, nil for the defaults.
func compileOptions(platform string, deterministic bool) pjrt.CompileOptions {
	if platform != "cuda" {
		return nil
	}
	return pjrt.CompileOptions{
		"xla_gpu_exclude_nondeterministic_ops": deterministic,
		// cuBLAS computes the three matrix products. Triton's kernels are chosen by
		// timing, which is impossible for a deterministic program or an absent GPU.
		"xla_gpu_enable_triton_gemm": false,
		// Round to bfloat16 wherever the program says so: less memory traffic.
		"xla_allow_excess_precision": false,
	}
}
