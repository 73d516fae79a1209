// Package machine is what is here: devices, libraries, data sets, and the folders of the
// project. It opens and reads them, and trains nothing.
package machine

import (
	"fmt"
	"os"
	"path/filepath"

	"depthlab/experiments/dataset"
	"depthlab/harness/data/photo"
	"depthlab/harness/store"
)

// Machine is where things lie, as the command line has it.
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

// say tells the user a line.
func (m Machine) say(format string, args ...any) {
	if m.Say != nil {
		m.Say(format, args...)
	}
}

// Store is the results folder.
func (m Machine) Store() store.Store { return store.Store(filepath.Join(m.Root, "results")) }

// Stores are all results folders here: the one above and those that come with the
// project.
func (m Machine) Stores() []store.Store {
	return []store.Store{m.Store(), m.Store().Published()}
}

// LibDir is where run.sh puts libraries that it fetches.
func (m Machine) LibDir() string { return filepath.Join(m.Root, ".lib") }

// Cache is where a part of the program keeps what it can make anew.
func (m Machine) Cache(name string) string { return filepath.Join(m.Root, ".cache", name) }

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

// Have says which needs of a profile are met here, and the reasons of those
// that are not.
func (m Machine) Have() (have map[string]bool, why map[string]error) {
	have, why = map[string]bool{}, map[string]error{}
	for _, name := range dataset.InFiles() {
		_, why[name] = m.Data(name).Whole()
	}
	for _, k := range Devices {
		if k.Need != "" {
			why[k.Need] = k.Absent(m)
		}
	}
	for need, err := range why {
		have[need] = err == nil
	}
	return have, why
}
