// Data sets on this machine: finds them, reads them, or describes them without reading.

package machine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments/dataset"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
)

// DataSet is a data set on a machine.
type DataSet struct {
	m    Machine
	name string
}

// Data is the data set that a question names.
func (m Machine) Data(name string) DataSet { return DataSet{m, name} }

// Home is the folder where files are looked for, and where "data NAME" puts them: the one
// that --data or the data set's environment variable names, else .data/NAME. where is how it
// was named ("--data DIR"); "" if it was not.
func (d DataSet) Home() (dir, where string) {
	if dir, where = named("--data", d.m.DataDir, dataset.Of(d.name).Env); dir != "" {
		return dir, where
	}
	return filepath.Join(d.m.Root, ".data", d.name), ""
}

// Find returns the folder with the files, or a part of them. The error is a *NotFoundError.
// If the folder of --data has only another data set, --data does not count as naming this one.
func (d DataSet) Find() (string, error) {
	access, err := data.Of(d.name)
	if err != nil {
		return "", err
	}
	home, where := d.Home()
	dir, err := access.Find(home)
	if err != nil && d.m.DataDir != "" {
		if others := data.In(d.m.DataDir); len(others) > 0 {
			return "", notFound("", fmt.Errorf("%w; --data %s has %s", err, d.m.DataDir, others[0].Title))
		}
	}
	return dir, notFound(where, err)
}

// Whole returns the folder if it has all files, and, for photos, if a library that was named
// to decode them can be used. The error is a *NotFoundError.
func (d DataSet) Whole() (string, error) {
	dir, err := d.Find()
	if err != nil {
		return "", err
	}
	access, _ := data.Of(d.name)
	if err := access.Check(dir); err != nil {
		_, where := d.Home()
		return "", notFound(cmp.Or(where, dir), err)
	}
	if dataset.Of(d.name).Photos {
		if _, err := d.m.TurboJPEG(); Promised(err) {
			return "", err
		}
	}
	return dir, nil
}

// Load reads the data set. photos are options for photos only; Load sets their cache and
// library. If ctx ends while photos are indexed, the error is harness.ErrInterrupted, and the
// next call resumes.
func (d DataSet) Load(ctx context.Context, photos data.FolderOptions) (*data.Source, error) {
	access, err := data.Of(d.name)
	switch {
	case err != nil:
		return nil, err
	case access.Make != nil:
		return access.Make(), nil
	case dataset.Of(d.name).Photos:
		return d.loadPhotos(ctx, photos)
	}
	dir, err := d.Whole()
	if err != nil {
		return nil, err
	}
	src, err := access.Read(ctx, dir, photos)
	if err == nil {
		d.remember(dir, src.Checksum)
	}
	return src, err
}

// loadPhotos is Load for photos. The folder may hold a part of them. One process at a time
// indexes photos.
func (d DataSet) loadPhotos(ctx context.Context, photos data.FolderOptions) (src *data.Source, err error) {
	dir, err := d.Find()
	if err != nil {
		return nil, err
	}
	var slow error
	photos.Cache = d.m.Cache("photos")
	if photos.Library, slow = d.m.TurboJPEG(); Promised(slow) {
		return nil, slow
	}
	alone := filepath.Join(photos.Cache, "alone.lock")
	if h, err := lock.Read(alone); err == nil && !h.Dead() && d.m.Say != nil {
		d.m.Say("waiting for %v, which indexes photos", h)
	}
	access, _ := data.Of(d.name)
	err = lock.Alone(ctx, alone, func() (err error) {
		src, err = access.Read(ctx, dir, photos)
		return err
	})
	if errors.Is(err, context.Canceled) {
		err = harness.ErrInterrupted
	}
	if err == nil && slow != nil {
		src.Warning = strings.TrimPrefix(src.Warning+"\n", "\n") + "photos are decoded by Go's decoder, which is several times slower: " + slow.Error()
	}
	return src, err
}

// Outline describes the data set without reading it: its number of images and their shape.
// Photos are counted if their folder is found, else the data set's own numbers count.
// photos are options for photos only; Outline sets their cache.
func (d DataSet) Outline(ctx context.Context, photos data.FolderOptions) (*data.Source, error) {
	if access, err := data.Of(d.name); err == nil && access.Outline != nil {
		dir, err := d.Find()
		if err == nil {
			photos.Cache = d.m.Cache("photos")
			return access.Outline(ctx, dir, photos)
		}
		if d.m.DataDir != "" || dataset.Of(d.name).Own() {
			return nil, err
		}
	}
	return data.Outline(d.name, photos.Size)
}

// Count returns the numbers of the user's own training and test images; known is false if this
// machine does not have them.
func (d DataSet) Count(ctx context.Context) (train, test int, known bool, err error) {
	if _, err := d.Whole(); err != nil {
		return 0, 0, false, nil // not an error here: commands that need the images report it
	}
	src, err := d.Outline(ctx, data.FolderOptions{Size: dataset.Of(d.name).Size})
	if err != nil {
		return 0, 0, false, err
	}
	return src.Train.N, src.Test.N, true, nil
}

// known is the content of .cache/NAME.json: the checksum of files that were read, with their
// stamp.
type known struct {
	Files    string `json:"files"`
	Checksum string `json:"sha256"`
}

// known is the path of that file.
func (d DataSet) known() string { return d.m.Cache(d.name + ".json") }

// Checksum is the checksum of the data set if it is known without reading the data, else "".
// plan needs it to find runs in the store.
func (d DataSet) Checksum() string {
	access, err := data.Of(d.name)
	if err != nil || access.Make != nil {
		return access.Checksum
	}
	dir, err := d.Whole()
	text, missing := os.ReadFile(d.known())
	var k known
	if err == nil && missing == nil && json.Unmarshal(text, &k) == nil && k.Files == stamp(dir) {
		return k.Checksum
	}
	return ""
}

// remember stores the checksum of the files. Errors are ignored: without the checksum, plan
// does not know which runs are finished.
func (d DataSet) remember(dir, checksum string) {
	if text, err := json.Marshal(known{stamp(dir), checksum}); err == nil {
		disk.Write(d.known(), append(text, '\n'))
	}
}

// stamp lists name, size and modification time of the files in a folder, or of one file.
func stamp(path string) string {
	paths := []string{path}
	entries, _ := os.ReadDir(path)
	for _, e := range entries {
		paths = append(paths, filepath.Join(path, e.Name()))
	}
	var b strings.Builder
	for i, p := range paths {
		if info, err := os.Stat(p); err == nil && (i > 0 || !info.IsDir()) {
			fmt.Fprintln(&b, p, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}
