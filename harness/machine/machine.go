// Package machine finds and opens what this machine has: devices, libraries, data sets, and
// the folders of the project.
package machine

import (
	"fmt"
	"os"
	"path/filepath"

	"depthlab/experiments/dataset"
	"depthlab/harness/data/photo"
	"depthlab/harness/store"
)

// Machine holds the folders and the options of the command line that say where things are.
type Machine struct {
	Root    string                           // the project's folder
	DataDir string                           // --data; "" if not given
	Plugin  string                           // --plugin: a PJRT plugin for the device xla; "" if not given
	Say     func(format string, args ...any) // prints one line for the user; may be nil
}

// New returns a Machine with the project's folder from $DEPTHLAB_ROOT, which run.sh sets, or
// else the current folder.
func New(dataDir string) Machine {
	root := os.Getenv("DEPTHLAB_ROOT")
	if root == "" {
		root = "."
	}
	return Machine{Root: root, DataDir: dataDir}
}

// say prints one line for the user.
func (m Machine) say(format string, args ...any) {
	if m.Say != nil {
		m.Say(format, args...)
	}
}

// Store is the results folder.
func (m Machine) Store() store.Store { return store.Store(filepath.Join(m.Root, "results")) }

// Stores are all results folders: that of this machine, and the published one that comes
// with the project.
func (m Machine) Stores() []store.Store {
	return []store.Store{m.Store(), m.Store().Published()}
}

// LibDir is the folder of the libraries that run.sh downloads.
func (m Machine) LibDir() string { return filepath.Join(m.Root, ".lib") }

// Cache is the path of a file or folder that can be deleted at any time.
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

// Have returns which needs of profiles this machine meets (have), and for each need why it
// does not (why; nil if it does).
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
