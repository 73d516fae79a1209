// Tests of downloads: interrupted, resumed, wrong, hostile.

package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type entry struct {
	name string
	kind byte
	body []byte
}

func goodEntries() []entry { return entriesOf(cifar10) }

func entriesOf(c cifar) []entry {
	e := []entry{{c.folder + "/", tar.TypeDir, nil}, {c.folder + "/batches.meta.txt", tar.TypeReg, []byte("airplane\n")}}
	for i, f := range c.files() {
		e = append(e, entry{c.folder + "/" + f.name, tar.TypeReg, c.bytesOf(i, testRows)})
	}
	return append(e, entry{c.folder + "/readme.html", tar.TypeReg, []byte("hello")})
}

// pack makes an archive and its description.
func pack(t *testing.T, c cifar, entries []entry) ([]byte, archive) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.body)), Mode: 0o644}
		if e.kind == tar.TypeSymlink {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(b.Bytes())
	small := few(c)
	small.md5 = hex.EncodeToString(sum[:])
	return b.Bytes(), archive{
		cifar: small, maxSize: 1 << 20, attempt: 3, pause: time.Millisecond, stall: 5 * time.Second,
		free: func(string) (int64, bool) { return 1 << 40, true },
	}
}

// site serves an archive with faults, and records the ranges that it was asked for.
type site struct {
	*httptest.Server
	ranges []string
}

func serve(t *testing.T, handler http.HandlerFunc) *site {
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// whole serves b and supports ranges.
func whole(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.tar.gz", time.Time{}, bytes.NewReader(b))
	}
}

// breakOff sends half of what is asked for, n times, then everything.
func breakOff(b []byte, n int, ranges bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first := 0
		if ranges {
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
		}
		rest := b[first:]
		w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
		if first > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(b)-1, len(b)))
			w.WriteHeader(http.StatusPartialContent)
		}
		if n--; n >= 0 {
			w.Write(rest[:len(rest)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Write(rest)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

func TestDownload(t *testing.T) {
	b, good := pack(t, cifar10, goodEntries())
	half := fmt.Sprintf("bytes=%d-", len(b)/2)
	other, _ := pack(t, cifar10, []entry{{"x", tar.TypeReg, bytes.Repeat([]byte("other"), 3000)}})
	for _, test := range []struct {
		name   string
		serve  []http.HandlerFunc
		part   []byte     // left by an earlier call
		ranges [][]string // asked of each source
		fails  []string   // parts of the error message; nil if it must work
	}{
		{"at once", []http.HandlerFunc{whole(b)}, nil, [][]string{{""}}, nil},
		{"resumed from an earlier call", []http.HandlerFunc{whole(b)}, b[:len(b)/2], [][]string{{half}}, nil},
		{"broken off", []http.HandlerFunc{breakOff(b, 1, true)}, nil, [][]string{{"", half}}, nil},
		{"broken off without ranges", []http.HandlerFunc{breakOff(b, 2, false)}, nil, [][]string{{"", half, half}}, nil},
		{"no ranges, a part is there", []http.HandlerFunc{breakOff(b, 0, false)}, b[:len(b)/2], [][]string{{half}}, nil},
		{"broken off too often, the next goes on", []http.HandlerFunc{breakOff(b, 9, true), whole(b)}, nil, nil, nil},
		{"whole part", []http.HandlerFunc{status(500)}, b, [][]string{nil}, nil},
		{"part of something else", []http.HandlerFunc{whole(b)}, []byte("something else"), [][]string{{"bytes=14-", ""}}, nil},
		{"part too long", []http.HandlerFunc{whole(b)}, append(bytes.Clone(b), 1), [][]string{{fmt.Sprintf("bytes=%d-", len(b)+1), ""}}, nil},
		{"404, then a good one", []http.HandlerFunc{status(404), whole(b)}, nil, [][]string{{""}, {""}}, nil},
		{"wrong hash, then a good one", []http.HandlerFunc{whole(other), whole(b)}, nil, [][]string{{""}, {""}}, nil},
		{"busy at first", []http.HandlerFunc{func() http.HandlerFunc {
			calls := 0
			return func(w http.ResponseWriter, r *http.Request) {
				if calls++; calls < 3 {
					w.WriteHeader(503)
					return
				}
				whole(b)(w, r)
			}
		}()}, nil, [][]string{{"", "", ""}}, nil},
		{"404", []http.HandlerFunc{status(404)}, nil, [][]string{{""}}, []string{"404 Not Found", cifar10.envURL}},
		{"always busy", []http.HandlerFunc{status(503)}, nil, [][]string{{"", "", ""}}, []string{"503"}},
		{"wrong hash", []http.HandlerFunc{whole(other)}, nil, [][]string{{""}}, []string{"MD5", good.md5}},
		{"wrong hash from the start, too", []http.HandlerFunc{whole(other)}, other[:9], [][]string{{"bytes=9-", ""}}, []string{"MD5", good.md5}},
		{"lies about the range", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(206)
		}, whole(b)}, b[:9], [][]string{{"bytes=9-"}, {""}}, nil},
		{"endless", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			for _, err := w.Write(make([]byte, 1<<16)); err == nil; _, err = w.Write(make([]byte, 1<<16)) {
			}
		}}, nil, nil, []string{"far more bytes"}},
		{"claims too much", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000000000")
		}}, nil, nil, []string{"far more than"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			part := filepath.Join(dir, cifar10.archive+".part")
			if test.part != nil {
				os.Mkdir(dir, 0o777)
				write(t, part, test.part)
			}
			var sources []string
			var sites []*site
			for _, h := range test.serve {
				s := serve(t, h)
				sites, sources = append(sites, s), append(sources, s.URL)
			}
			var done, total int64
			err := good.download(context.Background(), dir, sources, func(d, n int64) { done, total = d, n })
			for i, want := range test.ranges {
				if !slices.Equal(sites[i].ranges, want) {
					t.Errorf("source %d was asked for %q, want %q", i, sites[i].ranges, want)
				}
			}
			if test.fails != nil {
				if err == nil {
					t.Fatal("accepted")
				}
				for _, want := range test.fails {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q does not say %q", err, want)
					}
				}
				if _, err := cifar10.find(dir); err == nil {
					t.Error("files were unpacked")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(sites[0].ranges) > 0 && (done != int64(len(b)) || total != done) {
				t.Errorf("progress ended at %d of %d, the archive has %d", done, total, len(b))
			}
			if s, err := good.open(dir); err != nil || !s.Canonical || s.Title != "CIFAR-10" || s.Warning != "" {
				t.Fatalf("what was downloaded is read as %+v, %v", s, err)
			}
			entries, _ := os.ReadDir(dir)
			if len(entries) != len(cifar10.files())+1 {
				t.Errorf("other files are left: %v", entries)
			}
		})
	}
}

// The manifest of other bytes, or of another archive, does not make files canonical.
func TestManifest(t *testing.T) {
	b, good := pack(t, cifar10, goodEntries())
	dir := t.TempDir()
	if err := good.download(context.Background(), dir, []string{serve(t, whole(b)).URL}, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := few(cifar10).open(dir); err != nil || s.Canonical {
		t.Errorf("files of another archive are canonical (%v)", err)
	}
	changed := cifarBytes(2, testRows)
	changed[len(changed)-1]++
	write(t, filepath.Join(dir, "data_batch_3.bin"), changed)
	if s, err := good.open(dir); err != nil || s.Canonical {
		t.Errorf("a changed file is canonical (%v)", err)
	}
}

func TestArchivePutThereByHand(t *testing.T) {
	b, good := pack(t, cifar10, goodEntries())
	dir := t.TempDir()
	path := filepath.Join(dir, cifar10.archive)
	write(t, path, b)
	if err := good.download(context.Background(), dir, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := good.open(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the user's archive was removed")
	}
}

func TestDownloadIsStopped(t *testing.T) {
	b, good := pack(t, cifar10, goodEntries())
	ctx, cancel := context.WithCancel(context.Background())
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.Write(b[:100])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	dir := t.TempDir()
	err := good.download(ctx, dir, []string{s.URL}, func(done, _ int64) {
		if done > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if part, err := os.ReadFile(filepath.Join(dir, cifar10.archive+".part")); err != nil || !bytes.Equal(part, b[:100]) {
		t.Errorf("what was there is not kept: %d bytes, %v", len(part), err)
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	_, good := pack(t, cifar10, goodEntries())
	good.stall, good.attempt = 50*time.Millisecond, 1
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "some")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	err := good.download(context.Background(), t.TempDir(), []string{s.URL}, nil)
	if err == nil || !strings.Contains(err.Error(), "no byte for 50ms") {
		t.Errorf("error %v", err)
	}
}

func TestDiskTooSmall(t *testing.T) {
	b, good := pack(t, cifar10, goodEntries())
	good.free = func(string) (int64, bool) { return 1000, true }
	first, second := serve(t, whole(b)), serve(t, whole(b))
	err := good.download(context.Background(), t.TempDir(), []string{first.URL, second.URL}, nil)
	if err == nil || !strings.Contains(err.Error(), "make room") || len(second.ranges) > 0 {
		t.Errorf("error %v; the second source was asked %d times", err, len(second.ranges))
	}
}

func TestBadArchives(t *testing.T) {
	change := func(f func(e []entry) []entry) []entry { return f(goodEntries()) }
	for _, test := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"file missing", change(func(e []entry) []entry { return append(e[:3:3], e[4:]...) }), "has 5 of the 6 files"},
		{"link", change(func(e []entry) []entry { e[3].kind, e[3].body = tar.TypeSymlink, nil; return e }), "not a regular file"},
		{"wrong size", change(func(e []entry) []entry { e[3].body = e[3].body[1:]; return e }), "not a regular file of 9219 bytes"},
		{"twice", change(func(e []entry) []entry { return append(e[:4:4], e[3:]...) }), "twice"},
		{"elsewhere", change(func(e []entry) []entry { e[3].name = "../" + e[3].name; return e }), "has 5 of the 6 files"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, a := pack(t, cifar10, test.entries)
			outer := t.TempDir()
			dir := filepath.Join(outer, "in")
			err := a.download(context.Background(), dir, []string{serve(t, whole(b)).URL}, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
			if len(In(dir))+len(In(outer)) > 0 {
				t.Error("files were unpacked")
			}
		})
	}
	t.Run("bomb", func(t *testing.T) {
		b, a := pack(t, cifar10, append([]entry{{"zeros", tar.TypeReg, make([]byte, 64<<20)}}, goodEntries()...))
		if err := a.download(context.Background(), t.TempDir(), []string{serve(t, whole(b)).URL}, nil); err == nil {
			t.Error("an archive of much more than the files is unpacked")
		}
	})
	t.Run("no archive", func(t *testing.T) {
		_, a := pack(t, cifar10, nil)
		sum := md5.Sum([]byte("no archive"))
		a.md5 = hex.EncodeToString(sum[:])
		if err := a.download(context.Background(), t.TempDir(), []string{serve(t, whole([]byte("no archive"))).URL}, nil); err == nil {
			t.Error("accepted")
		}
	})
}

func TestSources(t *testing.T) {
	t.Setenv(cifar10.envURL, "")
	if got := cifar10.sources(); !slices.Equal(got, []string{cifar10.url}) {
		t.Errorf("sources %q", got)
	}
	t.Setenv(cifar10.envURL, "http://mirror/a.tar.gz")
	if got := cifar10.sources(); !slices.Equal(got, []string{"http://mirror/a.tar.gz", cifar10.url}) {
		t.Errorf("sources %q", got)
	}
}
