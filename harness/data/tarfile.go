// Tar files of photos, which are read without unpacking them: the place of each file in one.

package data

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/harness/disk"
)

// span is a part of a tar file: a file in it.
type span struct {
	Tar          string `json:"-"` // the tar file; "" for no tar file
	Offset, Size int64
}

// tarEntry is a file in a tar file. Of a tar file in a tar file, its files are listed, as
// if it were a folder of its name without the ending.
type tarEntry struct {
	Name string // slash-separated
	span
}

const tarEnding = ".tar"

// tarEntries lists the files in a tar file, without clutter, in the order of their names.
// The list is kept in the folder cache, because a large disk takes minutes to make it,
// and made again when size or time of the tar file change.
func tarEntries(ctx context.Context, file, cache string) ([]tarEntry, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	type list struct {
		Size, Modified int64
		Entries        []tarEntry
	}
	whole, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	kept := filepath.Join(cache, "tars", fmt.Sprintf("%x.json", sha256.Sum256([]byte(whole)))[:16]+".json")
	now := list{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	var old list
	if text, err := os.ReadFile(kept); err == nil && json.Unmarshal(text, &old) == nil && old.Size == now.Size && old.Modified == now.Modified {
		return old.Entries, nil
	}
	if err := listTar(ctx, io.NewSectionReader(f, 0, info.Size()), tarEntry{span: span{Size: info.Size()}}, &now.Entries); err != nil {
		return nil, err
	}
	slices.SortStableFunc(now.Entries, func(a, b tarEntry) int { return strings.Compare(a.Name, b.Name) })
	// Of two files of one name the later one counts, as when unpacking.
	slices.Reverse(now.Entries)
	now.Entries = slices.CompactFunc(now.Entries, func(a, b tarEntry) bool { return a.Name == b.Name })
	slices.Reverse(now.Entries)
	if text, err := json.Marshal(now); err == nil && cache != "" {
		disk.Write(kept, text) // where it cannot be kept it is made again
	}
	return now.Entries, nil
}

// listTar adds the files in the tar file at a place of r to all.
func listTar(ctx context.Context, r io.ReaderAt, at tarEntry, all *[]tarEntry) error {
	section := io.NewSectionReader(r, at.Offset, at.Size)
	in := tar.NewReader(section)
	end := int64(0) // of the last file, with its padding
	for n := 0; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		h, err := in.Next()
		here, _ := section.Seek(0, io.SeekCurrent)
		if err == io.EOF && here > end {
			return nil
		}
		switch {
		case errors.Is(err, tar.ErrHeader) && n == 0:
			return errors.New("is no tar file; if it is compressed or a zip, unpack it")
		case errors.Is(err, tar.ErrHeader):
			return fmt.Errorf("damaged behind byte %d; get it again", end)
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF): // a tar file ends with blocks of zeros
			return fmt.Errorf("cut short at byte %d; get it again", at.Offset+at.Size)
		case err != nil:
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue // folders and links hold no bytes
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return fmt.Errorf("%s is stored with holes (sparse); pack it again without", h.Name)
			}
		}
		end = here + (h.Size+511)/512*512
		e := tarEntry{path.Join(at.Name, path.Clean("/" + h.Name)[1:]), span{Offset: at.Offset + here, Size: h.Size}}
		switch {
		case slices.ContainsFunc(strings.Split(e.Name, "/"), isClutter):
		case at.Name == "" && ending(e.Name) == tarEnding:
			inner := e
			inner.Name = strings.TrimSuffix(e.Name, path.Ext(e.Name))
			if err := listTar(ctx, r, inner, all); err != nil {
				return fmt.Errorf("%s: %w", e.Name, err)
			}
		default:
			*all = append(*all, e)
		}
	}
}

// tree makes folders of the files in a tar file, which stands for the folder at top.
func tree(file, top string, entries []tarEntry) map[string]*photoDir {
	all := map[string]*photoDir{top: {Path: top, tar: file}}
	var folder func(dir string) *photoDir
	folder = func(dir string) *photoDir {
		d := all[dir]
		if d == nil {
			d = &photoDir{Path: dir, tar: file}
			all[dir] = d
			above := folder(filepath.Dir(dir))
			above.Folders = append(above.Folders, filepath.Base(dir))
		}
		return d
	}
	for _, e := range entries {
		name := filepath.Join(top, filepath.FromSlash(e.Name))
		folder(filepath.Dir(name)).add(filepath.Base(name), e.span)
	}
	for _, d := range all {
		slices.Sort(d.Folders)
	}
	return all
}
