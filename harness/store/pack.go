// One question's results in one file, to be sent to somebody.

package store

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"depthlab/harness/disk"
)

// A pack is a zip file that looks like a results folder with one question:
//
//	README.txt
//	QUESTION/PROFILE/   question.yaml runs.json, and what was drawn
//	runs/RUN/           record.jsonl run.json, and weights.safetensors if they were wanted

// drawn is what a question's folder has for people.
var drawn = regexp.MustCompile(`^([a-z_0-9]+\.(png|svg)|[a-z_]+\.csv|table\.(md|tex)|report\.html|provenance\.json)$`)

const packReadme = `Results of Depthlab. Open report.html in a browser. To work on with them:

    ./run.sh unpack THIS-FILE

puts the runs and the question into the results folder, where plot and diff find them.
`

// ErrNoWeights says that a run's weights are wanted, and are not there.
var ErrNoWeights = errors.New("has no weights here")

// Pack writes the results of a question to the file at to, which must not be there yet.
// Runs that are not finished are left out, with a warning. Runs that others begin as or continue
// come along.
func Pack(v View, to string, weights bool, say func(format string, args ...any)) (runs int, err error) {
	dir, err := filepath.Abs(string(v))
	if err != nil {
		return 0, err
	}
	v = View(dir)
	file, entries, err := v.Read()
	if err != nil {
		return 0, err
	}
	if filepath.IsAbs(file) || strings.HasPrefix(file, "..") {
		file = filepath.Base(file) // what is above it is of this machine
	}
	var listed []Entry
	var folders []Folder
	for _, e := range entries {
		f := v.Folder(e)
		if found, err := f.Find(); err != nil || found != Complete {
			say("%s is left out: %s", e.ID, cause(err))
			continue
		}
		listed, folders = append(listed, e), append(folders, f)
	}
	if len(listed) == 0 {
		return 0, fmt.Errorf("%s has no finished runs to pack", v)
	}
	folders = append(folders, sources(folders)...)
	for _, f := range folders {
		if _, err := os.Stat(f.Weights()); weights && errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("%s %w", f.Name(), ErrNoWeights)
		}
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	err = disk.WriteFunc(to, func(w io.Writer) error {
		z := zip.NewWriter(w)
		return errors.Join(packView(v, z, list{File: file, Runs: listed}, folders, weights), z.Close())
	})
	return len(listed), err
}

// sources lists the runs that runs begin as or continue, and those that these do, except the runs
// themselves.
func sources(runs []Folder) []Folder {
	all := slices.Clone(runs)
	for i := 0; i < len(all); i++ { // grows
		p, err := ReadProvenance(all[i])
		if err != nil || !folderName.MatchString(p.Source) || filepath.Base(p.Source) != p.Source {
			continue
		}
		source := Folder(filepath.Join(filepath.Dir(string(all[i])), p.Source))
		if !slices.Contains(all, source) {
			all = append(all, source)
		}
	}
	return all[len(runs):]
}

// cause says why a run does not count as finished. err is the error of Folder.Find.
func cause(err error) string {
	if err == nil {
		return "it is not finished"
	}
	return "its record cannot be read: " + err.Error()
}

func packView(v View, z *zip.Writer, l list, folders []Folder, weights bool) error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	name := path.Join(filepath.Base(filepath.Dir(string(v))), filepath.Base(string(v)))
	if err := errors.Join(packText(z, "README.txt", packReadme), packText(z, name+"/runs.json", string(text)+"\n"), packFile(z, name+"/question.yaml", v.Question())); err != nil {
		return err
	}
	all, err := os.ReadDir(string(v))
	if err != nil {
		return err
	}
	for _, e := range all {
		if drawn.MatchString(e.Name()) && e.Type().IsRegular() {
			if err := packFile(z, name+"/"+e.Name(), filepath.Join(string(v), e.Name())); err != nil {
				return err
			}
		}
	}
	for _, f := range folders {
		files := []string{f.Record(), f.Provenance()}
		if weights {
			files = append(files, f.Weights())
		}
		for _, file := range files {
			if err := packFile(z, "runs/"+f.Name()+"/"+filepath.Base(file), file); err != nil {
				return err
			}
		}
	}
	return nil
}

func packText(z *zip.Writer, name, text string) error {
	w, err := z.Create(name)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// packFile adds a file. Equal files give equal bytes: no time is written.
func packFile(z *zip.Writer, name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	method := zip.Deflate
	if ending := filepath.Ext(name); ending == ".png" || ending == ".safetensors" {
		method = zip.Store // they would not become smaller
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err == nil {
		_, err = io.Copy(w, f)
	}
	return err
}
