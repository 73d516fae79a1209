// Compiled executables, kept in memory, in the cache and in a run's folder.

package xla

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"depthlab/harness/device/xla/pjrt"
	"depthlab/harness/disk"
)

// executable is a loaded executable with its key (see compile), its serialised form
// (text) and the fingerprint of that form. text is nil and the fingerprint "" if the
// plugin cannot serialise. Two compilations for a GPU may differ, since XLA chooses
// algorithms by timing; even two serialisations of one executable differ in some bytes.
type executable struct {
	*pjrt.Executable
	key, fingerprint string
	text             []byte
}

// keep adds an executable to those that are loaded.
func (d *Device) keep(x *pjrt.Executable, key string, text []byte) *executable {
	e := &executable{x, key, fingerprint(text), text}
	d.executables = append(d.executables, e)
	return e
}

func fingerprint(text []byte) string {
	if text == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

// find returns the executable of a key. It looks in the run's folder first, so that a
// run resumes with the algorithms that it began with; then among the loaded executables
// and in the cache; last it compiles. It stores the executable in the folder and, if it
// is new, in the cache. "" means no folder.
func (d *Device) find(key, folder string, compile func() (*pjrt.Executable, error)) (*executable, error) {
	if e := d.load(key, folder); e != nil {
		return e, nil
	}
	e := d.loaded(key, "")
	if e == nil {
		e = d.load(key, d.cache)
	}
	if e == nil {
		made, err := compile()
		if err != nil {
			return nil, err
		}
		text, err := made.Serialize()
		if err != nil {
			text = nil // not an error: it is compiled again the next time
		}
		e = d.keep(made, key, text)
		if d.cache != "" && e.text != nil {
			_ = disk.Write(file(key, d.cache), e.text)
		}
	}
	if folder == "" || e.text == nil {
		return e, nil
	}
	return e, disk.Write(file(key, folder), e.text)
}

// load returns the executable that a folder holds under a key. It returns nil if there
// is none, or if the plugin refuses the file: another version of the plugin wrote it, or
// it is damaged.
func (d *Device) load(key, folder string) *executable {
	if folder == "" {
		return nil
	}
	text, err := os.ReadFile(file(key, folder))
	if err != nil {
		return nil
	}
	if e := d.loaded(key, fingerprint(text)); e != nil {
		return e
	}
	x, err := d.client.Load(text)
	if err != nil {
		return nil
	}
	return d.keep(x, key, text)
}

// loaded returns the loaded executable with this key and fingerprint, nil if there is
// none. "" matches any fingerprint.
func (d *Device) loaded(key, fingerprint string) *executable {
	for _, e := range d.executables {
		if e.key == key && (fingerprint == "" || e.fingerprint == fingerprint) {
			return e
		}
	}
	return nil
}

func file(key, folder string) string { return filepath.Join(folder, key+".pjrt") }
