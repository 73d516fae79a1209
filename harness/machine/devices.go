// The table of devices. To add one: a folder in harness/device, and a row here.

package machine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/device/cpu"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
)

// Kind is a row of the table of devices.
type Kind struct {
	Name string
	Old  []string // former names, which are still accepted
	Need string   // the need of a profile that it meets: "gpu", "cpu"; "" for none

	// Absent returns an error if auto cannot use it.
	Absent func(m Machine) error
	// Find returns the path of its library; nil if it has none.
	Find func(m Machine) (string, error)
	// Open opens it, with the library that Find found, at a place; nil means its first device.
	Open func(m Machine, library string, p Place) (device.Device, error)
	// Shown is the number of devices that the library shows; nil if there is one, without a
	// number.
	Shown func(library string) (int, error)
	// Unopened describes it without opening it; nil if opening is fast.
	Unopened func() device.Info
	// Without is the warning if auto continues without it because it is absent or does not
	// open. If Without is "", auto is silent if it is absent, and fails if it does not open.
	Without string

	Precisions func(i device.Info) []device.Precision // precisions in which it computes
	PerThread  float64                                // a guess of the training speed of one thread of a server's CPU, in multiply-adds of the forward pass per second
	Plugin     bool                                   // --plugin names its library
	Several    bool                                   // trains several nets at the same time, of which each is opened on a device of its own
	Turns      bool                                   // one device computes all replicas, one after the other
	Prints     bool                                   // its libraries print to the terminal
}

// Devices is the table, in the order in which auto prefers them.
var Devices = []Kind{
	{
		Name: "xla", Need: "gpu", Absent: noGPU, Find: findXLA,
		Open: func(m Machine, library string, p Place) (device.Device, error) {
			dev, err := xla.Open(library, xla.Options{Cache: m.Cache("xla"), Devices: p})
			if err != nil {
				return nil, err
			}
			return dev, nil
		},
		Shown: xla.Count,
		Unopened: func() device.Info {
			gpu := xla.Driver() > 0 && !xla.Hidden()
			return device.Info{Name: "xla", Bfloat16: gpu, GPU: gpu}
		},
		Precisions: func(i device.Info) []device.Precision {
			if i.GPU {
				return []device.Precision{device.FP32, device.TF32, device.BF16}
			}
			return []device.Precision{device.FP32, device.BF16} // bf16 is slow on a CPU
		},
		PerThread: 5e9, Plugin: true, Several: true, Prints: true,
	},
	{
		Name: "cpu", Old: []string{"onednn"}, Need: "cpu", Absent: func(Machine) error { return noKernels() }, Find: findOneDNN, Open: openCPU,
		Without:    "training uses the slow device ref, which takes hours instead of minutes",
		Precisions: func(device.Info) []device.Precision { return []device.Precision{device.FP32, device.BF16} },
		PerThread:  2e10, Several: true,
	},
	{
		Name: "ref", Absent: func(Machine) error { return nil },
		Open:       func(_ Machine, _ string, p Place) (device.Device, error) { return ref.Together(len(p)), nil },
		Precisions: func(device.Info) []device.Precision { return []device.Precision{device.FP32} },
		PerThread:  2e8, Turns: true,
	},
}

// auto selects the first device of the table that can be used.
const auto = "auto"

// DeviceNames lists the values of --device.
func DeviceNames() []string {
	names := []string{auto}
	for _, k := range Devices {
		names = append(names, k.Name)
	}
	return names
}

// KindOf returns the row of the device with this name, or former name.
func KindOf(name string) (Kind, error) {
	for _, k := range Devices {
		if k.Name == name || slices.Contains(k.Old, name) {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("device %q: expected one of %s", name, strings.Join(DeviceNames(), ", "))
}

// Kind is KindOf; for auto it returns the first device of the table that can be used. It
// fails if something that was named for an earlier device, such as a plugin, cannot be used.
func (m Machine) Kind(name string) (Kind, error) {
	if name != auto {
		return KindOf(name)
	}
	for _, k := range Devices {
		err := k.Absent(m)
		if err == nil {
			return k, nil
		}
		if Promised(err) {
			return Kind{}, err
		}
	}
	return Kind{}, errors.New("no device can be used on this machine")
}

// Open opens a device by name. For auto it opens the first one of the table that can be used.
// warning is one line on the devices that it could not use; "" for none.
func (m Machine) Open(name string) (dev device.Device, warning string, err error) {
	return m.OpenAt(name, nil)
}

// OpenAt is Open at a place, one of those that Places returns.
func (m Machine) OpenAt(name string, p Place) (dev device.Device, warning string, err error) {
	if name != auto {
		k, err := KindOf(name)
		if err != nil {
			return nil, "", err
		}
		dev, err := k.open(m, p)
		return dev, "", err
	}
	for _, k := range Devices {
		err := k.Absent(m)
		if err == nil {
			if dev, err = k.open(m, p); err == nil {
				return dev, warning, nil
			}
			if k.Without == "" {
				return nil, "", err
			}
		}
		if Promised(err) {
			return nil, "", err
		}
		if k.Without != "" {
			warning = fmt.Sprintf("%s (%v)", k.Without, err)
		}
	}
	return nil, "", errors.New("no device can be used on this machine")
}

// open finds a device's library and opens the device.
func (k Kind) open(m Machine, p Place) (device.Device, error) {
	library := ""
	if k.Find != nil {
		var err error
		if library, err = k.Find(m); err != nil {
			return nil, err
		}
	}
	return k.Open(m, library, p)
}

// Precisions lists the precisions in which a device computes.
func Precisions(i device.Info) []device.Precision {
	k, err := KindOf(i.Name)
	if err != nil {
		return []device.Precision{device.FP32}
	}
	return k.Precisions(i)
}

// noKernels returns an error if the device cpu has no kernels for this CPU.
func noKernels() error {
	err := cpu.Missing()
	if _, where := named("", "", cpu.EnvCPU); err != nil && os.Getenv(cpu.EnvCPU) != "ref" {
		return notFound(where, err)
	}
	return err
}

// findOneDNN returns the path of oneDNN, "" if it is not found: the device cpu works without.
// It fails if an environment variable has a wrong value.
func findOneDNN(m Machine) (string, error) {
	for variable, values := range cpu.Settings {
		if set := os.Getenv(variable); set != "" && !slices.Contains(values, set) {
			return "", notFound(variable+"="+set, fmt.Errorf("expected %s; or unset the variable", strings.Join(values, " or ")))
		}
	}
	path, err := cpu.Find(m.LibDir())
	if _, where := named("", "", cpu.EnvLibrary); err != nil && where != "" {
		return "", notFound(where, fmt.Errorf("%w; expected the path of a libdnnl.so.3", err))
	}
	return path, nil
}

// openCPU opens the device cpu with the library if it is used on this CPU. If the library does
// not open, it continues without, unless the library was named.
func openCPU(m Machine, library string, _ Place) (device.Device, error) {
	if err := noKernels(); err != nil {
		return nil, err
	}
	_, where := named("", "", cpu.EnvLibrary)
	dev, err := cpu.Open(library, 0)
	var broken *cpu.LibraryError
	switch {
	case err == nil && where != "" && dev.Info().Library == "":
		if err = cpu.Check(library); err == nil {
			m.say("%s is not used: the kernels for this CPU are faster than oneDNN (%s=library uses oneDNN all the same)", where, cpu.EnvKernels)
			return dev, nil
		}
		dev.Close()
	case err == nil:
		return dev, nil
	case !errors.As(err, &broken):
		return nil, err
	case where == "" && os.Getenv(cpu.EnvKernels) == "":
		m.say("warning: oneDNN is not used: %v", err)
		return cpu.Open("", 0)
	}
	return nil, notFound(where, fmt.Errorf("%w; expected the path of a libdnnl.so.3", err))
}

// findXLA returns the path of the PJRT plugin.
func findXLA(m Machine) (string, error) {
	_, where := named("--plugin", m.Plugin, xla.EnvPlugin)
	path, err := xla.Find(m.Plugin, m.LibDir())
	return path, notFound(where, err)
}

// CUDA returns the path of the plugin that compiles for GPUs, which need not be present.
func (m Machine) CUDA() (string, error) {
	_, where := named("--plugin", m.Plugin, xla.EnvPlugin)
	path, err := xla.FindCUDA(m.Plugin, m.LibDir())
	return path, notFound(where, err)
}

// ErrNoDriver says why a machine without a GPU has none.
var ErrNoDriver = errors.New("no NVIDIA driver was found")

// noGPU returns an error if no GPU can be used.
func noGPU(m Machine) error {
	_, err := findXLA(m)
	switch {
	case Promised(err):
	case xla.Driver() == 0:
		return ErrNoDriver
	case xla.Hidden():
		return fmt.Errorf("CUDA_VISIBLE_DEVICES=%q hides all GPUs", os.Getenv("CUDA_VISIBLE_DEVICES"))
	}
	return err
}
