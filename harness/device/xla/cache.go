package xla

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"depthlab/harness/device/xla/pjrt"
)

// executable is a program that can be executed, and a fingerprint of it: two
// compilations for a GPU may choose other algorithms, as they choose by timing.
// The fingerprint is "" where the plugin does not give the program away.
type executable struct {
	*pjrt.Executable
	fingerprint string
}

// cached gives the executable that the cache folder holds under a key, or
// makes it and keeps it there. A file that is not taken is made anew: another
// version of the plugin wrote it, or it is damaged. So the cache is what keeps
// the choices of algorithms from one process to the next.
func (d *Device) cached(key string, compile func() (*pjrt.Executable, error)) (*executable, error) {
	path := filepath.Join(d.cache, key+".pjrt")
	if d.cache != "" {
		if text, err := os.ReadFile(path); err == nil {
			if e, err := d.client.Load(text); err == nil {
				return &executable{e, fingerprint(text)}, nil
			}
		}
	}
	e, err := compile()
	if err != nil {
		return nil, err
	}
	text, err := e.Serialize()
	if err != nil { // it is compiled again the next time: no reason to stop
		return &executable{e, ""}, nil
	}
	if d.cache != "" {
		_ = store(path, text)
	}
	return &executable{e, fingerprint(text)}, nil
}

func fingerprint(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text))[:16] }

// store writes a file that is whole or absent.
func store(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
