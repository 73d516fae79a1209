// Downloads a data set's archive, resumes, checks and unpacks it.

package data

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"depthlab/harness/disk"
)

// archive is the expected archive and how to download it.
type archive struct {
	cifar
	maxSize int64         // largest accepted archive, in bytes
	attempt int           // number of attempts for each source
	pause   time.Duration // after a failure, before the next attempt
	stall   time.Duration // time without a byte after which the connection is closed
	free    func(dir string) (int64, bool)
}

// sources lists the addresses of the archive in the order of trying. A mirror that the
// user names in the environment comes first.
func (c cifar) sources() []string {
	var list []string
	if own := os.Getenv(c.envURL); own != "" {
		list = append(list, own)
	}
	return append(list, c.url)
}

// fetch implements Fetch of Access.
func (c cifar) fetch(ctx context.Context, dir string, progress func(done, total int64)) error {
	a := archive{
		cifar: c, maxSize: 1 << 30,
		attempt: 3, pause: 2 * time.Second, stall: 30 * time.Second, free: disk.Free,
	}
	return a.download(ctx, dir, c.sources(), progress)
}

// download downloads the files into dir, from the first source that delivers an archive
// with the right MD5. It keeps an incomplete download in a .part file and resumes it. All
// files appear together at the end. The error lists what each source answered.
func (a archive) download(ctx context.Context, dir string, sources []string, progress func(done, total int64)) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	part := filepath.Join(dir, a.archive+".part")
	// Downloaded before a kill, or put there by the user.
	for _, path := range []string{part, filepath.Join(dir, a.archive)} {
		if sum, err := md5Of(path); err == nil && sum == a.md5 {
			if err := a.unpack(path, dir); err != nil || path != part {
				return err
			}
			return os.Remove(part)
		}
	}
	var failed []error
	for _, source := range sources {
		err := a.from(ctx, source, part, progress)
		if err == nil {
			if err := a.unpack(part, dir); err != nil {
				return err
			}
			return os.Remove(part)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("download stopped; the next one resumes from %s: %w", part, ctx.Err())
		}
		var local *localError
		if errors.As(err, &local) {
			return err // another source would not help
		}
		failed = append(failed, fmt.Errorf("%s: %w", source, err))
	}
	return fmt.Errorf("%s could not be downloaded:\n%w\n"+
		"Without a network, put %s into %s by hand and ask again, or set $%s to an address that can be reached", a.Title, errors.Join(failed...), a.archive, dir, a.envURL)
}

// localError is an error of this machine, such as a full disk.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

func local(err error) error {
	if err == nil {
		return nil
	}
	return &localError{err}
}

// refusal is an answer of a server that will not change by asking again.
type refusal struct{ what string }

func (e *refusal) Error() string { return e.what }

// from completes part, so that it is the whole archive. The MD5 shows if part came from
// elsewhere or the archive has changed. Then it is downloaded again from the start, once.
func (a archive) from(ctx context.Context, source, part string, progress func(done, total int64)) (err error) {
	afresh := false
	for try := 0; try < a.attempt; try++ {
		if try > 0 {
			select {
			case <-time.After(a.pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		var resumed bool
		if resumed, err = a.fetch(ctx, source, part, progress); err == nil {
			var sum string
			if sum, err = md5Of(part); err != nil {
				return local(err)
			}
			if sum == a.md5 {
				return nil
			}
			if err := os.Remove(part); err != nil {
				return local(err)
			}
			err = &refusal{fmt.Sprintf("the archive has MD5 %s, expected %s", sum, a.md5)}
			if resumed && !afresh {
				afresh, try = true, -1
				continue
			}
		}
		var no *refusal
		var mine *localError
		if ctx.Err() != nil || errors.As(err, &no) || errors.As(err, &mine) {
			return err
		}
	}
	return err
}

// fetch appends to part the bytes that it lacks, or rewrites it if the server sends the
// whole archive. resumed tells whether earlier bytes were kept.
func (a archive) fetch(ctx context.Context, source, part string, progress func(done, total int64)) (resumed bool, err error) {
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return false, local(err)
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = local(e)
		}
	}()
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, local(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return false, &refusal{err.Error()}
	}
	if have > 0 {
		request.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
	}
	// Without it a server may declare the archive itself a compressed transfer, and the
	// transport would unpack it.
	request.Header.Set("Accept-Encoding", "identity")
	watch := time.AfterFunc(a.stall, func() { cancel(fmt.Errorf("no byte for %v", a.stall)) })
	defer watch.Stop()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, cmp.Or(context.Cause(ctx), err)
	}
	defer response.Body.Close()

	total := int64(0)
	switch code := response.StatusCode; {
	case code == http.StatusPartialContent && have > 0:
		first, size, ok := contentRange(response.Header.Get("Content-Range"))
		if !ok || first != have {
			return false, errors.Join(&refusal{fmt.Sprintf("asked for bytes from %d, answered %q", have, response.Header.Get("Content-Range"))}, local(f.Truncate(0)))
		}
		total = size
	case code == http.StatusOK:
		have = 0
		total = max(response.ContentLength, 0)
	case code == http.StatusRequestedRangeNotSatisfiable && have > 0:
		return true, nil // perhaps the part is complete; the MD5 will tell
	case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		return false, fmt.Errorf("server says %s", response.Status)
	default:
		return false, &refusal{"server says " + response.Status}
	}
	if total > a.maxSize {
		return false, &refusal{fmt.Sprintf("archive of %d bytes, far more than %s's", total, a.Title)}
	}
	resumed = have > 0
	if err := f.Truncate(have); err != nil {
		return resumed, local(err)
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return resumed, local(err)
	}
	// The rest of the archive, the unpacked files, and 1 MiB as a reserve.
	need := max(total-have, 0) + a.unpacked() + 1<<20
	if free, known := a.free(filepath.Dir(part)); known && free < need {
		return resumed, local(fmt.Errorf("%s has %d MB free, %d MB are needed: make room, or choose another folder with --data", filepath.Dir(part), free>>20, need>>20+1))
	}
	progress(have, total)
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		watch.Reset(a.stall)
		if n > 0 {
			if _, err := f.Write(buffer[:n]); err != nil {
				return resumed, local(err)
			}
			if have += int64(n); have > a.maxSize {
				return resumed, errors.Join(&refusal{"far more bytes than " + a.Title + " has"}, local(f.Truncate(0)))
			}
			progress(have, total)
		}
		if err == io.EOF && total > 0 && have < total {
			err = io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			return resumed, nil
		}
		if err != nil {
			return resumed, fmt.Errorf("broke off after %d of %d bytes: %w", have, total, cmp.Or(context.Cause(ctx), err))
		}
	}
}

// contentRange parses "bytes 100-999/1000". size is 0 if it is "*".
func contentRange(s string) (first, size int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, of, ok2 := strings.Cut(s, "/")
	from, _, ok3 := strings.Cut(span, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if of != "*" {
		var err2 error
		size, err2 = strconv.ParseInt(of, 10, 64)
		err = errors.Join(err, err2)
	}
	return first, size, ok && ok2 && ok3 && err == nil && size >= 0
}

func md5Of(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unpacked is the total size of the files.
func (a archive) unpacked() (sum int64) {
	for i := range a.files() {
		sum += a.bytes(i)
	}
	return sum
}

// unpack extracts the files of the archive at path into a temporary folder in dir, and
// moves them to dir when all are complete. It skips all other names, so that an archive
// cannot choose where something is written.
func (a archive) unpack(path, dir string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	temp := filepath.Join(dir, ".unpacking")
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o777)); err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	wrap := func(err error) error { return fmt.Errorf("unpacking %s: %w", path, err) }
	z, err := gzip.NewReader(f)
	if err != nil {
		return wrap(err)
	}
	files := a.files()
	sums := make([]string, len(files)) // "" until the file is extracted
	got := 0
	// Read no more than the files' size and a reserve for headers, however well the
	// archive is compressed.
	archive := tar.NewReader(io.LimitReader(z, a.unpacked()+16<<20))
	for got < len(files) {
		h, err := archive.Next()
		if err == io.EOF {
			return wrap(fmt.Errorf("has %d of the %d files", got, len(files)))
		}
		if err != nil {
			return wrap(noEOF(err))
		}
		name := strings.TrimPrefix(strings.TrimPrefix(h.Name, "./"), a.folder+"/")
		i := slices.IndexFunc(files, func(f cifarFile) bool { return f.name == name })
		if i < 0 {
			continue
		}
		want := a.bytes(i)
		if h.Typeflag != tar.TypeReg || h.Size != want || sums[i] != "" {
			return wrap(fmt.Errorf("%s is not a regular file of %d bytes, or occurs twice", name, want))
		}
		hash := sha1.New()
		if err := writeSynced(filepath.Join(temp, name), io.TeeReader(archive, hash), want); err != nil {
			return wrap(err)
		}
		sums[i] = hex.EncodeToString(hash.Sum(nil))
		got++
	}
	text := a.manifest(sums)
	if err := writeSynced(filepath.Join(temp, manifestFile), strings.NewReader(text), int64(len(text))); err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Rename(filepath.Join(temp, file.name), filepath.Join(dir, file.name)); err != nil {
			return err
		}
	}
	return os.Rename(filepath.Join(temp, manifestFile), filepath.Join(dir, manifestFile))
}

func writeSynced(path string, r io.Reader, n int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, r, n)
	return errors.Join(noEOF(err), f.Sync(), f.Close())
}
