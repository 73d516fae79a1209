package xla

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"depthlab/harness/device/xla/pjrt"
	"depthlab/harness/disk"
)

// executable is a program that can be executed, its key (see compile), and its
// serialised form with a fingerprint, nil and "" where the plugin does not give
// it away. Two compilations for a GPU may choose other algorithms, as they
// choose by timing, and even two serialisations of one executable differ in
// some bytes.
type executable struct {
	*pjrt.Executable
	key, fingerprint string
	text             []byte
}

// hold keeps an executable in hand.
func (d *Device) hold(x *pjrt.Executable, key string, text []byte) *executable {
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

// find gives the executable of a key. The folder of a run comes first, so that
// it goes on with the algorithms that it began with; then the one in hand, that
// of the cache and, at last, a new one. Folder and cache, "" for none, hold it
// from then on.
func (d *Device) find(key, folder string, compile func() (*pjrt.Executable, error)) (*executable, error) {
	if e := d.load(key, folder); e != nil {
		return e, nil
	}
	e := d.inHand(key, "")
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
			text = nil // it is compiled again the next time: no reason to stop
		}
		e = d.hold(made, key, text)
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
	if e := d.inHand(key, fingerprint(text)); e != nil {
		return e
	}
	x, err := d.client.Load(text)
	if err != nil {
		return nil
	}
	return d.hold(x, key, text)
}

// inHand gives the executable of a key, and of a fingerprint unless that is "".
func (d *Device) inHand(key, fingerprint string) *executable {
	for _, e := range d.executables {
		if e.key == key && (fingerprint == "" || e.fingerprint == fingerprint) {
			return e
		}
	}
	return nil
}

func file(key, folder string) string { return filepath.Join(folder, key+".pjrt") }
