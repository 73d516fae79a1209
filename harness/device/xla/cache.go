package xla

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"depthlab/harness/device/xla/pjrt"
	"depthlab/harness/disk"
)

// executable is a program that can be executed, its key (see compile), and its
// serialised form, nil where the plugin does not give it away. Two compilations
// for a GPU may choose other algorithms, as they choose by timing, and even two
// serialisations of one executable differ in some bytes.
type executable struct {
	*pjrt.Executable
	key  string
	text []byte
}

// fingerprint tells what an executable was compiled to from what another was.
func (e *executable) fingerprint() string {
	if e.text == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(e.text))[:16]
}

// find gives the executable of a key. The folder of a run comes first, so that
// it goes on with the algorithms that it began with; then the one in hand, that
// of the cache and, at last, a new one. Folder and cache, "" for none, hold it
// from then on.
func (d *Device) find(key, folder string, compile func() (*pjrt.Executable, error)) (*executable, error) {
	if e := d.load(key, folder); e != nil {
		return e, nil
	}
	e := d.inHand(key)
	if e == nil {
		e = d.load(key, d.cache)
	}
	if e == nil {
		made, err := compile()
		if err != nil {
			return nil, err
		}
		e = &executable{Executable: made, key: key}
		d.executables = append(d.executables, e)
		if e.text, err = made.Serialize(); err != nil {
			e.text = nil // it is compiled again the next time: no reason to stop
		}
		if d.cache != "" && e.text != nil {
			_ = disk.Write(file(key, d.cache), e.text)
		}
	}
	if folder == "" || e.text == nil {
		return e, nil
	}
	return e, disk.Write(file(key, folder), e.text)
}

// load gives what a folder holds under a key; nil for nothing, or for a file
// that is not taken: another version of the plugin wrote it, or it is damaged.
func (d *Device) load(key, folder string) *executable {
	if folder == "" {
		return nil
	}
	text, err := os.ReadFile(file(key, folder))
	if err != nil {
		return nil
	}
	for _, e := range d.executables {
		if e.key == key && bytes.Equal(e.text, text) {
			return e
		}
	}
	x, err := d.client.Load(text)
	if err != nil {
		return nil
	}
	e := &executable{x, key, text}
	d.executables = append(d.executables, e)
	return e
}

func (d *Device) inHand(key string) *executable {
	for _, e := range d.executables {
		if e.key == key {
			return e
		}
	}
	return nil
}

func file(key, folder string) string { return filepath.Join(folder, key+".pjrt") }
