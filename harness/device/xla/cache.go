package xla

import (
	"errors"
	"os"
	"path/filepath"

	"depthlab/harness/device/xla/pjrt"
)

// cached gives the executable that the cache folder holds under a key, or
// makes it and keeps it there. A file that is not taken is made anew: another
// version of the plugin wrote it, or it is damaged.
func (d *Device) cached(key string, compile func() (*pjrt.Executable, error)) (*pjrt.Executable, error) {
	if d.cache == "" {
		return compile()
	}
	path := filepath.Join(d.cache, key+".pjrt")
	if text, err := os.ReadFile(path); err == nil {
		if e, err := d.client.Load(text); err == nil {
			return e, nil
		}
	}
	e, err := compile()
	if err != nil {
		return nil, err
	}
	// What cannot be kept is compiled again the next time: no reason to stop.
	if text, err := e.Serialize(); err == nil {
		_ = store(path, text)
	}
	return e, nil
}

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
