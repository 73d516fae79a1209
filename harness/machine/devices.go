// The table of devices: a new one is a folder in harness/device and a row here.

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
	Old  []string // names that it had before, still understood
	Need string   // what a profile says that needs it; "" if none can

	// Absent says why auto does not take it; nil if it does.
	Absent func(m Machine) error
	// Find finds its library; nil if it has none.
	Find func(m Machine) (string, error)
	// Open opens it with the library that was found, at a place: nil is its first device.
	Open func(m Machine, library string, p Place) (device.Device, error)
	// Shown is the number of devices that the library shows, numbered from 0; nil if it is
	// one device without a number.
	Shown func(library string) (int, error)
	// Unopened describes it where opening takes seconds; else nil.
	Unopened func() device.Info
	// Without is what to say if auto does without it because it is absent or does not
	// open. If it is "", auto says nothing of its absence, and fails if it does not open.
	Without string

	Precisions func(i device.Info) []device.Precision // that it computes in
	PerThread  float64                                // multiply-adds, counted forward, that a thread of a server's CPU trains in a second: a guess
	Plugin     bool                                   // --plugin names its library
	Several    bool                                   // it trains several nets at a time; on others one net uses all CPUs
	Turns      bool                                   // one device takes the turns of as many replicas as are asked for
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
			return []device.Precision{device.FP32, device.BF16} // slow on a CPU, but it computes in it
		},
		PerThread: 5e9, Plugin: true, Several: true, Prints: true,
	},
	{
		Name: "cpu", Old: []string{"onednn"}, Need: "cpu", Absent: func(Machine) error { return noKernels() }, Find: findOneDNN, Open: openCPU,
		Without: "the plain Go device is used: hours instead of minutes, as there are kernels for AVX2 with FMA and for ARM of 64 bits.",
		Precisions: func(i device.Info) []device.Precision {
			if i.Bfloat16 {
				return []device.Precision{device.FP32, device.BF16}
			}
			return []device.Precision{device.FP32}
		},
		PerThread: 2e10,
	},
	{
		Name: "ref", Absent: func(Machine) error { return nil },
		Open:       func(_ Machine, _ string, p Place) (device.Device, error) { return ref.Together(len(p)), nil },
		Precisions: func(device.Info) []device.Precision { return []device.Precision{device.FP32} },
		PerThread:  2e8, Turns: true,
	},
}

// auto stands for the first device of the table that is here.
const auto = "auto"

// DeviceNames are the names that --device takes.
func DeviceNames() []string {
	names := []string{auto}
	for _, k := range Devices {
		names = append(names, k.Name)
	}
	return names
}

// KindOf is the row of the device with a name, or an old name.
func KindOf(name string) (Kind, error) {
	for _, k := range Devices {
		if k.Name == name || slices.Contains(k.Old, name) {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("device %q: expected one of %s", name, strings.Join(DeviceNames(), ", "))
}

// Kind is KindOf, and for auto the first device of the table that is here. It fails if
// what was named for a device before that one, as a GPU's plugin, is none.
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
	return Kind{}, fmt.Errorf("no device is here")
}

// Open opens a device by name. For auto it opens the first one of the table that is here,
// and says in a line what it costs to do without those before.
func (m Machine) Open(name string) (dev device.Device, warning string, err error) {
	return m.OpenAt(name, nil)
}

// OpenAt is Open at a place of those that Places gives.
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
	return nil, "", fmt.Errorf("no device is here")
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

// Precisions are those that a device computes in.
func Precisions(i device.Info) []device.Precision {
	k, err := KindOf(i.Name)
	if err != nil {
		return []device.Precision{device.FP32}
	}
	return k.Precisions(i)
}

// noKernels says why there are no kernels for this CPU; nil if there are.
func noKernels() error {
	err := cpu.Missing()
	if _, where := named("", "", cpu.EnvCPU); err != nil && os.Getenv(cpu.EnvCPU) != "ref" {
		return notFound(where, err)
	}
	return err
}

// findOneDNN finds the library, which the device cpu does without if it is not there.
func findOneDNN(m Machine) (string, error) {
	for variable, values := range cpu.Settings {
		if set := os.Getenv(variable); set != "" && !slices.Contains(values, set) {
			return "", notFound(variable+"="+set, fmt.Errorf("expected %s, or the variable not to be set", strings.Join(values, " or ")))
		}
	}
	path, err := cpu.Find(m.LibDir())
	if _, where := named("", "", cpu.EnvLibrary); err != nil && where != "" {
		return "", notFound(where, fmt.Errorf("%w; expected the path of a libdnnl.so.3", err))
	}
	return path, nil
}

// openCPU opens the device with the library, where it is of use. One that does not open
// is done without, unless it was named.
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
			m.say("%s is not used: the kernels for this CPU are faster than oneDNN (%s=library has it compute)", where, cpu.EnvKernels)
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

func findXLA(m Machine) (string, error) {
	_, where := named("--plugin", m.Plugin, xla.EnvPlugin)
	path, err := xla.Find(m.Plugin, m.LibDir())
	return path, notFound(where, err)
}

// CUDA finds the plugin that compiles for GPUs that need not be there.
func (m Machine) CUDA() (string, error) {
	_, where := named("--plugin", m.Plugin, xla.EnvPlugin)
	path, err := xla.FindCUDA(m.Plugin, m.LibDir())
	return path, notFound(where, err)
}

// noGPU says why no GPU can be used here; nil if one can.
func noGPU(m Machine) error {
	_, err := findXLA(m)
	switch {
	case Promised(err):
	case xla.Driver() == 0:
		return fmt.Errorf("no NVIDIA driver was found")
	case xla.Hidden():
		return fmt.Errorf("CUDA_VISIBLE_DEVICES=%q hides all GPUs", os.Getenv("CUDA_VISIBLE_DEVICES"))
	}
	return err
}
