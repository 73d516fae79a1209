package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/data/photo"
	"depthlab/harness/device"
	"depthlab/harness/device/onednn"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
	"depthlab/harness/lock"
	"depthlab/nets"
	"depthlab/nets/compile"
)

// Machine is where things lie and what is there: devices, libraries, data.
type Machine struct {
	Root    string                           // the project's folder
	DataDir string                           // --data; "" for none given
	Plugin  string                           // --plugin: a PJRT plugin for the device xla; "" for none given
	Say     func(format string, args ...any) // one line to the user; may be nil
}

// NewMachine takes the project's folder from $DEPTHLAB_ROOT, which run.sh
// sets, or else the current folder.
func NewMachine(dataDir string) Machine {
	root := os.Getenv("DEPTHLAB_ROOT")
	if root == "" {
		root = "."
	}
	return Machine{Root: root, DataDir: dataDir}
}

// LibDir is where run.sh puts libraries that it fetches.
func (m Machine) LibDir() string { return filepath.Join(m.Root, ".lib") }

// DataHome is where data are put by "data cifar10", and looked for last.
func (m Machine) DataHome() string { return filepath.Join(m.Root, ".data", "cifar10") }

// CIFAR10 finds the folder of the CIFAR-10 files.
func (m Machine) CIFAR10() (string, error) {
	if m.DataDir != "" {
		return data.Find(m.DataDir) // a folder that was named is the one that is meant
	}
	var dirs []string
	if env := os.Getenv("DEPTHLAB_DATA"); env != "" {
		dirs = append(dirs, env)
	}
	return data.Find(append(dirs, m.DataHome())...)
}

// ImageNet finds the folder that has ImageNet's photos: with train and val, or
// with val alone for tests.
func (m Machine) ImageNet() (string, error) {
	dirs := []string{m.DataDir} // a folder that was named is the one that is meant
	if m.DataDir == "" {
		dirs = []string{os.Getenv("DEPTHLAB_IMAGENET"), filepath.Join(m.Root, ".data", "imagenet")}
	}
	var looked []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		for _, part := range []string{"train", "val"} {
			if info, err := os.Stat(filepath.Join(dir, part)); err == nil && info.IsDir() {
				return dir, nil
			}
		}
		looked = append(looked, dir)
	}
	return "", fmt.Errorf("ImageNet not found (looked in %s); --data DIR or $DEPTHLAB_IMAGENET names a folder with train/n01440764/*.JPEG and val", strings.Join(looked, ", "))
}

// TurboJPEG opens the library that decodes photos.
func (m Machine) TurboJPEG() (*photo.Library, error) {
	path, err := photo.Find(m.LibDir())
	if err != nil {
		return nil, err
	}
	return photo.Open(path)
}

// OneDNN finds the library.
func (m Machine) OneDNN() (string, error) { return onednn.Find(m.LibDir()) }

// XLA finds the plugin of the device xla.
func (m Machine) XLA() (string, error) { return xla.Find(m.Plugin, m.LibDir()) }

// CUDA finds the plugin that compiles for GPUs that need not be there.
func (m Machine) CUDA() (string, error) { return xla.FindCUDA(m.Plugin, m.LibDir()) }

// gpu says why no GPU can be used here; nil where one can.
func (m Machine) gpu() error {
	if xla.Driver() == 0 {
		return fmt.Errorf("no NVIDIA driver was found")
	}
	_, err := m.XLA()
	return err
}

// Have says which needs of a profile are met here, and the reasons of those
// that are not.
func (m Machine) Have() (have map[string]bool, why map[string]error) {
	have, why = map[string]bool{}, map[string]error{}
	_, why["cifar10"] = m.CIFAR10()
	_, why["imagenet"] = m.ImageNet()
	_, why["onednn"] = m.OneDNN()
	why["gpu"] = m.gpu()
	for need, err := range why {
		have[need] = err == nil
	}
	return have, why
}

// Device settles what auto is: xla where a GPU can be used, else itself.
func (m Machine) Device(name string) string {
	if name == "auto" && m.gpu() == nil {
		return "xla"
	}
	return name
}

// Open opens a device by name; auto takes xla where a GPU is, else onednn where
// it is, else ref, and then says on one line what that costs.
func (m Machine) Open(name string) (dev device.Device, warning string, err error) {
	switch m.Device(name) {
	case "ref":
		return ref.New(), "", nil
	case "xla":
		path, err := m.XLA()
		if err != nil {
			return nil, "", err
		}
		dev, err := xla.Open(path, xla.Options{Cache: filepath.Join(m.Root, ".cache", "xla")})
		if err != nil {
			return nil, "", err
		}
		return dev, "", nil
	case "onednn", "auto":
		path, err := m.OneDNN()
		if err == nil {
			dev, err = onednn.Open(path, 0)
		}
		if err == nil || name == "onednn" {
			return dev, "", err
		}
		return ref.New(), "WITHOUT oneDNN the plain Go device is used: hours instead of minutes. " +
			"./run.sh fetches the library where python3 has pip; or install your system's libdnnl3, or set DEPTHLAB_ONEDNN to a libdnnl.so.3. (" + err.Error() + ")", nil
	}
	return nil, "", fmt.Errorf("--device %q: expected auto, ref, onednn or xla", name)
}

// Try computes a small net on a device: that it could be opened does not show
// that it computes, as a GPU's libraries are loaded when they are first used.
func Try(dev device.Device) error {
	arch, err := nets.ParseArch("plain-8")
	if err != nil {
		return err
	}
	const images, classes = 2, 10
	p, err := compile.Compile(arch, nets.Eval, compile.Config{
		Config: nets.Config{Batch: images, Channels: 3, Size: 8, Classes: classes, Eps: 1e-5}, Images: images,
	})
	if err != nil {
		return err
	}
	s, err := dev.Open(device.Programs{Eval: p}, device.Options{})
	if err != nil {
		return err
	}
	c, err := s.Eval([]device.Row{{0}, {1}})
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if want := images * math.Log(classes); !(math.Abs(c.Loss-want) < 1e-3) { // all weights are zero
		return fmt.Errorf("%s computes a loss of %v, not %v", dev.Info().Name, c.Loss, want)
	}
	return nil
}

// Load reads the data set that a question names. What photos says is filled in
// with what the machine has, and is for photos alone. Where ctx ends before all
// of them were looked into, the error is ErrInterrupted, and the next time it
// goes on from there.
func (m Machine) Load(ctx context.Context, name string, photos data.FolderOptions) (*data.Source, error) {
	switch name {
	case "preview":
		return data.Preview(0, 0), nil
	case "preview64":
		return data.Preview64(0, 0), nil
	case "cifar10":
		dir, err := m.CIFAR10()
		if err != nil {
			return nil, err
		}
		return data.CIFAR10(dir)
	case "imagenet":
		dir, err := m.ImageNet()
		if err != nil {
			return nil, err
		}
		var slow error
		photos.Cache = filepath.Join(m.Root, ".cache", "photos")
		photos.Library, slow = m.TurboJPEG()
		if h, err := lock.Read(alonePath(photos.Cache)); err == nil && !h.Dead() && m.Say != nil {
			m.Say("waiting for %v, which looks into photos", h)
		}
		var src *data.Source
		err = Alone(ctx, photos.Cache, func() (err error) {
			src, err = data.ImageFolder(ctx, dir, photos)
			return err
		})
		if errors.Is(err, context.Canceled) {
			err = ErrInterrupted
		}
		if err == nil && slow != nil {
			src.Warning = strings.TrimPrefix(src.Warning+"\n", "\n") + "photos are decoded by Go's decoder, several times slower: " + slow.Error()
		}
		return src, err
	}
	return nil, fmt.Errorf("data set %q: expected cifar10, imagenet, preview or preview64", name)
}

// Outline describes the data set that a question names, without reading it: of
// photos, those in the folder that is here; else as it is known to be. Nets see
// a square of size x size of photos.
func (m Machine) Outline(name string, size int) (*data.Source, error) {
	if name == "imagenet" {
		if dir, err := m.ImageNet(); err == nil {
			return data.OutlineFolder(dir, size)
		} else if m.DataDir != "" {
			return nil, err
		}
	}
	return data.Outline(name, size)
}

// Resolve settles what a recipe leaves to the machine: precision auto is that of
// the same run in the results folder dir, finished or begun, whatever machine
// made it; else bf16 where the device computes in it natively, else fp32. A
// precision given on the command line ("" for none) replaces the file's. Dir is ""
// for none.
func Resolve(r *experiments.Run, dir string, info device.Info, precision string) {
	if precision != "" {
		r.Precision = precision
	}
	if r.Precision != "auto" {
		return
	}
	if begun, ok := begunPrecision(dir, *r); ok {
		r.Precision = begun
		return
	}
	r.Precision = string(device.FP32)
	if info.Bfloat16 {
		r.Precision = string(device.BF16)
	}
}
