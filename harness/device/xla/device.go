// Package xla computes Programs through XLA: each is lowered to StableHLO text
// (lower), compiled and executed by a PJRT plugin (pjrt) that is opened at run
// time, for GPUs or, in tests, the CPU. Data set, plan and state live on the
// device; state is donated from launch to launch.
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

// launch is how many steps one launch can hold on a GPU. Longer launches win
// nothing: the host is idle for all but the first microseconds of each.
const launch = 100

// Device is one device of a plugin, or several that share each step.
type Device struct {
	plugin      *pjrt.Plugin
	client      *pjrt.Client
	build       string // of the plugin: its file's name and bytes
	cache       string // folder of executables; "" for none
	replicas    int    // devices that share each step; 0 for one
	steps       int    // of a launch; 0 for no loop: one step
	quick       bool
	unrolled    int           // see lower.Options
	executables []*executable // in hand
}

// Options of a device.
type Options struct {
	// Cache is a folder where compiled programs are kept; "" keeps none.
	Cache string
	// Loop puts a loop of so many steps into each launch; 0 leaves it to the
	// device: XLA's CPU plugin computes loops badly and gets none.
	Loop int
	// Devices are the numbers of the plugin's devices that the Device consists of,
	// counted from 0. Several share each step. nil for the first one. All devices of
	// XLA's CPU plugin are the same CPU, so only their count matters there.
	Devices []int
	// Quick compiles for the CPU in a fifth of the time, to slower code: for tests.
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

// connect gives a client whose first devices are these; nil for all that the plugin
// shows.
func connect(plugin *pjrt.Plugin, devices []int) (*pjrt.Client, error) {
	var options []pjrt.Option
	if isCUDA(plugin.Path) {
		options = []pjrt.Option{{Name: "preallocate", Value: false}} // several runs may share a card: no process takes all its memory at once
		if devices != nil {
			var visible []int64 // on the others no memory is taken
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
	n := len(client.Devices)
	if n >= len(devices) {
		return client, nil
	}
	if isCPU(client) && options == nil { // it shows as many as it is asked for
		err := client.Close()
		if err == nil {
			client, err = plugin.Client(pjrt.Option{Name: "cpu_device_count", Value: int64(len(devices))})
		}
		return client, err
	}
	err = &device.UnsupportedError{Device: name, What: fmt.Sprintf("a step shared by %d devices", len(devices)), Hint: fmt.Sprintf("the plugin %s shows %d", plugin.Path, n)}
	return nil, errors.Join(err, client.Close())
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

// buildOf tells one plugin from another of the same interface.
func buildOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprint(info.Name(), " ", info.Size())
}

// withHint adds to a plugin's lack of a library what brings it.
func withHint(err error) error {
	var e *pjrt.PluginError
	if errors.As(err, &e) && e.Missing != "" {
		return &device.UnsupportedError{Device: name, What: fmt.Sprintf("%s as it is installed (it needs %s)", e.Path, e.Missing),
			Hint: fmt.Sprintf("python3 -m pip install 'jax[cuda%d]' brings plugin and libraries", max(CUDA(Driver()), 12))}
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

// Memory gives the bytes of memory that this process may use on the device,
// and those that it does; 0 where the plugin does not say.
func (d *Device) Memory() (limit, used int64) { return d.client.Memory() }

// Supports knows the kernels that have an emitter.
func (d *Device) Supports(k kernel.Kernel) error { return lower.Supports(k) }

// Close frees executables and disconnects. Sessions must be closed before.
func (d *Device) Close() error {
	var all []error
	for _, e := range d.executables {
		all = append(all, e.Destroy())
	}
	d.executables = nil
	return errors.Join(append(all, d.client.Close())...)
}

// compile gives the executable of a module: made before, kept on disk, or new.
func (d *Device) compile(m *lower.Module, o device.Options) (*executable, error) {
	options := compileOptions(d.client.Platform, o.Deterministic)
	if d.quick && d.cpu() {
		options = quickOptions
	}
	h, text := sha256.New(), m.Text
	fmt.Fprintf(h, "%v\n%s\n%v\n%s\n", d.Info(), d.build, options, text)
	if d.cpu() {
		fmt.Fprintln(h, device.CPU().Flags) // it compiles for the instructions that are here
	}
	return d.find(fmt.Sprintf("%x", h.Sum(nil)[:16]), o.Folder, func() (*pjrt.Executable, error) {
		if !d.cpu() {
			timing.Lock()
			defer timing.Unlock()
		}
		e, err := withKnown(options, func(o pjrt.CompileOptions) (*pjrt.Executable, error) { return d.client.Compile(text, m.Replicas, o) })
		if err != nil {
			return nil, cannotCompile(text, err)
		}
		return e, nil
	})
}

// timing is held alone while a program is compiled for a GPU, which chooses
// algorithms by timing them, and shared by launches: several clients may be on
// one GPU.
var timing sync.RWMutex

var unknownOption = regexp.MustCompile(`No such compile option: '(\w+)'`)

// withKnown compiles with the options that a plugin knows: another version may
// have dropped one. What is to be true, though, must hold.
func withKnown[T any](options pjrt.CompileOptions, compile func(pjrt.CompileOptions) (T, error)) (T, error) {
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

// quickOptions leave out what takes XLA's CPU compiler long: optimisation, a
// compiler of its own for each fusion, and parts that are compiled side by side.
var quickOptions = pjrt.CompileOptions{
	"xla_backend_optimization_level":       int64(0),
	"xla_cpu_use_fusion_emitters":          false,
	"xla_cpu_parallel_codegen_split_count": int64(1),
}

// compileOptions are XLA's, by platform.
func compileOptions(platform string, deterministic bool) pjrt.CompileOptions {
	if platform != "cuda" {
		return nil
	}
	return pjrt.CompileOptions{
		"xla_gpu_exclude_nondeterministic_ops": deterministic,
		// The three matrix products are cuBLAS's: Triton's are chosen by timing,
		// which a deterministic program is not, and one for an absent GPU cannot be.
		"xla_gpu_enable_triton_gemm": false,
		// What is to be rounded to bfloat16 is: less to write and to read.
		"xla_allow_excess_precision": false,
	}
}
