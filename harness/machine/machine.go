package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/experiments/dataset"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/data/photo"
	"depthlab/harness/device"
	"depthlab/harness/device/onednn"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
	"depthlab/harness/lock"
	"depthlab/harness/store"
)

// Machine is where things lie and what is there: devices, libraries, data.
type Machine struct {
	Root    string                           // the project's folder
	DataDir string                           // --data; "" for none given
	Plugin  string                           // --plugin: a PJRT plugin for the device xla; "" for none given
	Say     func(format string, args ...any) // one line to the user; may be nil
}

// New takes the project's folder from $DEPTHLAB_ROOT, which run.sh
// sets, or else the current folder.
func New(dataDir string) Machine {
	root := os.Getenv("DEPTHLAB_ROOT")
	if root == "" {
		root = "."
	}
	return Machine{Root: root, DataDir: dataDir}
}

// NotFoundError says that something a command needs is not there.
type NotFoundError struct {
	// Where is what was told of it: "--data DIR", "DEPTHLAB_DATA=DIR", or a
	// folder that has a part of it. "" where nothing was told and nothing lies.
	Where string
	Err   error // what was looked for, and what to do
}

func (e *NotFoundError) Error() string {
	if e.Where == "" {
		return e.Err.Error()
	}
	return e.Where + ": " + e.Err.Error()
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// Promised says whether err is about something that was named, or is there and
// not whole. What is plainly absent may be done without; this may not.
func Promised(err error) bool {
	var e *NotFoundError
	return errors.As(err, &e) && e.Where != ""
}

// notFound makes err, if any, a NotFoundError.
func notFound(where string, err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(where, "=~/") || strings.Contains(where, " ~/") {
		err = fmt.Errorf("%w (the shell left the ~ as it is: write $HOME)", err)
	}
	return &NotFoundError{where, err}
}

// named gives what an option says, or else a variable of the environment, and
// how it was told; "" where neither does.
func named(option, given, variable string) (path, where string) {
	if given != "" {
		return given, option + " " + given
	}
	if path = os.Getenv(variable); path != "" {
		return path, variable + "=" + path
	}
	return "", ""
}

// Store is the results folder.
func (m Machine) Store() store.Store { return store.Store(filepath.Join(m.Root, "results")) }

// Published is a results folder that comes with the project.
func (m Machine) Published() store.Store {
	return store.Store(filepath.Join(m.Root, "results", "published"))
}

// Stores are all results folders here.
func (m Machine) Stores() []store.Store { return []store.Store{m.Store(), m.Published()} }

// LibDir is where run.sh puts libraries that it fetches.
func (m Machine) LibDir() string { return filepath.Join(m.Root, ".lib") }

// DataHome is where the files of a data set are looked for, and where "data NAME"
// puts them: in the folder that is named, else in .data/NAME. where is how it was
// named; "" for not.
func (m Machine) DataHome(name string) (dir, where string) {
	if dir, where = named("--data", m.DataDir, dataset.Of(name).Env); dir != "" {
		return dir, where
	}
	return filepath.Join(m.Root, ".data", name), ""
}

// Find finds the folder of a data set's files, or of a part of them. The error is a
// NotFoundError. A --data that has another data set was not meant for this one.
func (m Machine) Find(name string) (string, error) {
	access, err := data.Of(name)
	if err != nil {
		return "", err
	}
	home, where := m.DataHome(name)
	dir, err := access.Find(home)
	if err != nil && m.DataDir != "" {
		if others := data.In(m.DataDir); len(others) > 0 {
			return "", notFound("", fmt.Errorf("%w; --data %s has %s", err, m.DataDir, others[0].Title))
		}
	}
	return dir, notFound(where, err)
}

// FindWhole finds the folder of a data set that can be trained on: with all files
// and, for photos, the library that was named to decode them. The error is a
// NotFoundError.
func (m Machine) FindWhole(name string) (string, error) {
	dir, err := m.Find(name)
	if err != nil {
		return "", err
	}
	access, _ := data.Of(name)
	if err := access.Check(dir); err != nil {
		_, where := m.DataHome(name)
		return "", notFound(cmp.Or(where, dir), err)
	}
	if dataset.Of(name).Photos {
		if _, err := m.TurboJPEG(); Promised(err) {
			return "", err
		}
	}
	return dir, nil
}

// TurboJPEG opens the library that decodes photos.
func (m Machine) TurboJPEG() (lib *photo.Library, err error) {
	path, err := photo.Find(m.LibDir())
	if err == nil {
		lib, err = photo.Open(path)
	}
	_, where := named("", "", photo.EnvLibrary)
	if err != nil && where != "" {
		err = fmt.Errorf("%w; expected the path of a libturbojpeg.so.0, of libjpeg-turbo 3", err)
	}
	return lib, notFound(where, err)
}

// OneDNN finds the library.
func (m Machine) OneDNN() (string, error) {
	_, where := named("", "", onednn.EnvLibrary)
	path, err := onednn.Find(m.LibDir())
	if err != nil && where != "" {
		err = fmt.Errorf("%w; expected the path of a libdnnl.so.3", err)
	}
	return path, notFound(where, err)
}

// XLA finds the plugin of the device xla.
func (m Machine) XLA() (string, error) {
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

// gpu says why no GPU can be used here; nil where one can.
func (m Machine) gpu() error {
	_, err := m.XLA()
	switch {
	case Promised(err):
	case xla.Driver() == 0:
		return fmt.Errorf("no NVIDIA driver was found")
	case xla.Hidden():
		return fmt.Errorf("CUDA_VISIBLE_DEVICES=%q hides all GPUs", os.Getenv("CUDA_VISIBLE_DEVICES"))
	}
	return err
}

// Have says which needs of a profile are met here, and the reasons of those
// that are not.
func (m Machine) Have() (have map[string]bool, why map[string]error) {
	have, why = map[string]bool{}, map[string]error{}
	for _, name := range dataset.InFiles() {
		_, why[name] = m.FindWhole(name)
	}
	_, why["onednn"] = m.OneDNN()
	why["gpu"] = m.gpu()
	for need, err := range why {
		have[need] = err == nil
	}
	return have, why
}

// Devices are the names that Device and Open take.
var Devices = []string{"auto", "ref", "onednn", "xla"}

// Device settles what auto is: xla where a GPU can be used, else itself. A
// plugin that was named and is none is an error, as it may mean the GPU.
func (m Machine) Device(name string) (string, error) {
	if name != "auto" {
		return name, nil
	}
	switch err := m.gpu(); {
	case err == nil:
		return "xla", nil
	case Promised(err):
		return "", err
	}
	return name, nil
}

// Open opens a device by name; auto takes xla where a GPU is, else onednn where
// it is, else ref, and then says on one line what that costs. What was named
// for a device, and does not do for it, is an error.
func (m Machine) Open(name string) (dev device.Device, warning string, err error) {
	return m.OpenAt(name, nil)
}

// OpenAt is Open at a place that Places lists; nil is the first device.
func (m Machine) OpenAt(name string, p Place) (dev device.Device, warning string, err error) {
	settled, err := m.Device(name)
	if err != nil {
		return nil, "", err
	}
	switch settled {
	case "ref":
		if len(p) > 1 {
			return ref.Together(len(p)), "", nil
		}
		return ref.New(), "", nil
	case "xla":
		path, err := m.XLA()
		if err != nil {
			return nil, "", err
		}
		dev, err := xla.Open(path, xla.Options{Cache: filepath.Join(m.Root, ".cache", "xla"), Devices: p})
		if err != nil {
			return nil, "", err
		}
		return dev, "", nil
	case "onednn", "auto":
		dev, err := m.openOneDNN()
		if err == nil || name == "onednn" || Promised(err) {
			return dev, "", err
		}
		return ref.New(), "WITHOUT oneDNN the plain Go device is used: hours instead of minutes. " +
			"./run.sh fetches the library where python3 has pip; or install your system's libdnnl3, or set DEPTHLAB_ONEDNN to a libdnnl.so.3. (" + err.Error() + ")", nil
	}
	return nil, "", fmt.Errorf("device %q: expected one of %s", name, strings.Join(Devices, ", "))
}

func (m Machine) openOneDNN() (device.Device, error) {
	for variable, values := range onednn.Settings {
		if set := os.Getenv(variable); set != "" && !slices.Contains(values, set) {
			return nil, notFound(variable+"="+set, fmt.Errorf("expected %s, or the variable not to be set", strings.Join(values, " or ")))
		}
	}
	path, err := m.OneDNN()
	if err != nil {
		return nil, err
	}
	dev, err := onednn.Open(path, 0)
	if err == nil {
		return dev, nil
	}
	if _, where := named("", "", onednn.EnvLibrary); where != "" {
		return nil, notFound(where, fmt.Errorf("%w; expected the path of a libdnnl.so.3", err))
	}
	return nil, err
}

// Precisions are those that a device of this kind computes in.
func Precisions(i device.Info) []device.Precision {
	switch {
	case i.GPU:
		return []device.Precision{device.FP32, device.TF32, device.BF16}
	case i.Bfloat16 || i.Name == "xla": // slow there, but it computes in it
		return []device.Precision{device.FP32, device.BF16}
	}
	return []device.Precision{device.FP32}
}

// Load reads the data set that a question names. What photos says is filled in
// with what the machine has, and is for photos alone. Where ctx ends before all
// of them were looked into, the error is harness.ErrInterrupted, and the next time it
// goes on from there.
func (m Machine) Load(ctx context.Context, name string, photos data.FolderOptions) (*data.Source, error) {
	access, err := data.Of(name)
	switch {
	case err != nil:
		return nil, err
	case access.Make != nil:
		return access.Make(), nil
	case dataset.Of(name).Photos:
		return m.loadPhotos(ctx, name, photos)
	}
	dir, err := m.FindWhole(name)
	if err != nil {
		return nil, err
	}
	src, err := access.Read(ctx, dir, photos)
	if err == nil {
		m.remember(name, dir, src.Checksum)
	}
	return src, err
}

// loadPhotos is Load for photos: a part of them may do, and one process at a time
// looks into them.
func (m Machine) loadPhotos(ctx context.Context, name string, photos data.FolderOptions) (src *data.Source, err error) {
	dir, err := m.Find(name)
	if err != nil {
		return nil, err
	}
	var slow error
	photos.Cache = filepath.Join(m.Root, ".cache", "photos")
	alone := filepath.Join(photos.Cache, "alone.lock")
	if photos.Library, slow = m.TurboJPEG(); Promised(slow) {
		return nil, slow
	}
	if h, err := lock.Read(alone); err == nil && !h.Dead() && m.Say != nil {
		m.Say("waiting for %v, which looks into photos", h)
	}
	access, _ := data.Of(name)
	err = lock.Alone(ctx, alone, func() (err error) {
		src, err = access.Read(ctx, dir, photos)
		return err
	})
	if errors.Is(err, context.Canceled) {
		err = harness.ErrInterrupted
	}
	if err == nil && slow != nil {
		src.Warning = strings.TrimPrefix(src.Warning+"\n", "\n") + "photos are decoded by Go's decoder, several times slower: " + slow.Error()
	}
	return src, err
}

// Outline describes the data set that a question names, without reading it: of
// photos, those in the folder that is here; else as it is known to be. Nets see
// a square of size x size of photos.
func (m Machine) Outline(name string, size int) (*data.Source, error) {
	if access, err := data.Of(name); err == nil && access.Outline != nil {
		dir, err := m.Find(name)
		if err == nil {
			return access.Outline(dir, size)
		}
		if m.DataDir != "" {
			return nil, err
		}
	}
	return data.Outline(name, size)
}
