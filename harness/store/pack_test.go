// Tests of results that are sent and received.

package store

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/lock"
	"depthlab/harness/state"
)

// published is a question that comes with the project, of runs without weights.
const published = "../../results/published"

// packed is that question as a pack.
func packed(t *testing.T) (path string, v View) {
	t.Helper()
	v = Store(published).View("plain_vs_res", "cifar10-cpu")
	path = filepath.Join(t.TempDir(), "result.zip")
	if n, err := Pack(v, path, false, t.Logf); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	return path, v
}

// tree lists the files below a folder with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

func TestPackAndUnpack(t *testing.T) {
	path, v := packed(t)
	again := path + "2"
	if _, err := Pack(v, again, false, t.Logf); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	if b, _ := os.ReadFile(again); !bytes.Equal(a, b) {
		t.Error("packed twice, the files differ")
	}
	if _, err := Pack(v, path, false, t.Logf); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if _, err := Pack(v, path+"3", true, t.Logf); !errors.Is(err, ErrNoWeights) {
		t.Errorf("weights that are not there: %v", err)
	}
	into := Store(filepath.Join(t.TempDir(), "results"))
	for i, want := range []int{4, 0} {
		own, n, err := Unpack(path, into, t.Logf)
		if n != want || err != nil || own != into.View("plain_vs_res", "cifar10-cpu") {
			t.Fatalf("time %d: %s, %d runs, %v", i+1, own, n, err)
		}
		all, err := DiffViews(v, own)
		if err != nil || len(all) != 4 {
			t.Fatal(all, err)
		}
		for _, d := range all {
			if d.A != d.B || len(d.Differences) > 0 || d.Problem != "" {
				t.Errorf("%+v", d)
			}
		}
	}
	for name := range tree(t, string(into)) {
		if strings.Contains(name, "unpacking") || strings.Contains(name, ".coming") || strings.HasSuffix(name, ".html") {
			t.Errorf("%s is left, or should be drawn anew", name)
		}
	}
}

// Names of questions, changed profiles and nets are those of files that a pack may have.
func TestNamesOfAPack(t *testing.T) {
	for name, want := range map[string]bool{
		"plain_vs_res/preview/question.yaml":                                    true,
		"plain_vs_res/preview+optimizer.rate=0.05/runs.json":                    true,
		"plain_vs_res/preview+only=resnet-20,plain-20/runs.json":                true,
		"Tiefe (zweite Frage)/preview/runs.json":                                true,
		"runs/resnet-20_B-seed0-0123456789ab/run.json":                          true,
		"runs/resnet-32_scale=0.5-seed0-0123456789ab/record.jsonl":              true,
		"runs/resnet-8_gate=shortcut_gate-bias=-6-seed12-0123456789ab/run.json": true,
		"landscape/preview/landscape_2d.png":                                    true,
		"landscape/preview/landscape_1d.svg":                                    true,
		"landscape/preview/landscape.csv":                                       true,
		"gradient_correlation/preview/gradient_correlation.csv":                 true,
		"lesion/preview/table.tex":                                              true,
		"lesion/preview/2.csv":                                                  false,
		"lesion/preview/notes.md":                                               false,
		"plain_vs_res/.hidden/runs.json":                                        false,
		"a:b/preview/runs.json":                                                 false,
		"a\x1b[31m/preview/runs.json":                                           false,
		"plain_vs_res/preview/more/runs.json":                                   false,
		"runs/resnet-20-seed0/run.json":                                         false,
		"runs/a:b-seed0-0123456789ab/run.json":                                  false,
	} {
		if _, _, ok := limit(name); ok != want {
			t.Errorf("%q may be in a pack: %v, expected %v", name, ok, want)
		}
	}
}

// altered writes a pack again, with changes: of contents by name, nil to leave one out;
// new ones at the end.
func altered(t *testing.T, path string, change map[string][]byte, more ...*zip.FileHeader) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	to, err := os.Create(filepath.Join(t.TempDir(), "altered.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	out := zip.NewWriter(to)
	add := func(h *zip.FileHeader, content []byte) {
		w, err := out.CreateHeader(h)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	done := map[string]bool{}
	for _, f := range z.File {
		content, changed := change[f.Name]
		done[f.Name] = true
		if changed && content == nil {
			continue
		}
		if !changed {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if content, err = io.ReadAll(in); err != nil {
				t.Fatal(err)
			}
			in.Close()
		}
		add(&zip.FileHeader{Name: f.Name, Method: zip.Deflate}, content)
	}
	for name, content := range change {
		if !done[name] {
			add(&zip.FileHeader{Name: name}, content)
		}
	}
	for _, h := range more {
		add(h, []byte("target"))
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

// Whatever is wrong with a pack is said, and nothing is changed: neither in the store,
// nor outside of it.
func TestUnpackRefuses(t *testing.T) {
	path, v := packed(t)
	_, entries, err := v.Read()
	if err != nil {
		t.Fatal(err)
	}
	run, other := "runs/"+entries[0].Run+"/", "runs/"+entries[1].Run+"/"
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(published, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const q = "plain_vs_res/cifar10-cpu/"
	rec := read(run + "record.jsonl")
	link := &zip.FileHeader{Name: run + "weights.safetensors"}
	link.SetMode(fs.ModeSymlink | 0o777)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(content []byte) string {
		to := filepath.Join(t.TempDir(), "raw.zip")
		if err := os.WriteFile(to, content, 0o666); err != nil {
			t.Fatal(err)
		}
		return to
	}
	// The directory at the end says that a file is smaller, and larger, than it is.
	lying := func(size uint32) []byte {
		all := bytes.Clone(whole)
		at := bytes.LastIndex(all, []byte(run+"record.jsonl")) - 46
		if !bytes.Equal(all[at:at+4], []byte("PK\x01\x02")) {
			t.Fatal("no entry of the directory there")
		}
		binary.LittleEndian.PutUint32(all[at+24:], size)
		return all
	}
	broken := bytes.Clone(whole)
	copy(broken[bytes.Index(broken, []byte(run+"record.jsonl"))+100:], "XXXXXXXXXXXXXXXX")
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"empty":                  {raw(nil), "not a zip file"},
		"text":                   {raw([]byte("hello")), "not a zip file"},
		"cut":                    {raw(whole[:len(whole)/2]), "it is incomplete"},
		"a byte less":            {raw(whole[:len(whole)-1]), "not a zip file"},
		"damaged inside":         {raw(broken), "record.jsonl"},
		"smaller than it says":   {raw(lying(1 << 29)), "record.jsonl"},
		"larger than it says":    {raw(lying(10)), "record.jsonl"},
		"far too large":          {raw(lying(1<<30 + 1)), "more than 1024"},
		"up and out":             {altered(t, path, map[string][]byte{"../evil": {}}), `"../evil" leads out`},
		"out through a run":      {altered(t, path, map[string][]byte{"runs/../../evil": {}}), "leads out"},
		"an absolute path":       {altered(t, path, map[string][]byte{"/tmp/evil": {}}), "leads out"},
		"a path of Windows":      {altered(t, path, map[string][]byte{`runs\..\evil`: {}}), "leads out"},
		"a drive":                {altered(t, path, map[string][]byte{"C:evil": {}}), "leads out"},
		"no pack's file":         {altered(t, path, map[string][]byte{"run.sh": {}}), `"run.sh" is none of the files`},
		"a hidden file":          {altered(t, path, map[string][]byte{q + ".bashrc": {}}), "none of the files"},
		"a lock":                 {altered(t, path, map[string][]byte{run + "lock": {}}), "none of the files"},
		"a checkpoint":           {altered(t, path, map[string][]byte{run + "checkpoints/x.safetensors": {}}), "none of the files"},
		"a question called runs": {altered(t, path, map[string][]byte{"runs/x/question.yaml": {}}), "none of the files"},
		"a link":                 {altered(t, path, nil, link), "not a regular file"},
		"a file twice":           {altered(t, path, nil, &zip.FileHeader{Name: q + "table.md"}), "twice"},
		"two questions":          {altered(t, path, map[string][]byte{"a/b/question.yaml": {}}), "two questions"},
		"no question":            {altered(t, path, map[string][]byte{q + "question.yaml": nil}), "no question.yaml"},
		"no list":                {altered(t, path, map[string][]byte{q + "runs.json": nil}), "no question.yaml with its runs.json"},
		"a list that is damaged": {altered(t, path, map[string][]byte{q + "runs.json": []byte("[")}), "runs.json: damaged"},
		"a list that leads out":  {altered(t, path, map[string][]byte{q + "runs.json": []byte(`{"runs":[{"id":"a","run":"../x-seed0-0123456789ab"}]}`)}), "not the name of a run"},
		"a list with an odd ID":  {altered(t, path, map[string][]byte{q + "runs.json": fmt.Appendf(nil, `{"runs":[{"id":"../a","run":%q}]}`, entries[0].Run)}), "not the name of a run"},
		"a bad question":         {altered(t, path, map[string][]byte{q + "question.yaml": []byte("question: [")}), "question.yaml"},
		"two profiles":           {altered(t, path, map[string][]byte{q + "question.yaml": []byte("question: a?\nnets: [plain-8]\nprofiles: {a: {}, b: {}}\n")}), "2 profiles"},
		"a run is missing":       {altered(t, path, map[string][]byte{run + "record.jsonl": nil, run + "run.json": nil}), "is missing"},
		"no record":              {altered(t, path, map[string][]byte{run + "record.jsonl": nil}), "record.jsonl"},
		"no run.json":            {altered(t, path, map[string][]byte{run + "run.json": nil}), "run.json"},
		"a damaged record":       {altered(t, path, map[string][]byte{run + "record.jsonl": append(bytes.Clone(rec), "x\n"...)}), "record.jsonl"},
		"a record that is cut":   {altered(t, path, map[string][]byte{run + "record.jsonl": rec[:len(rec)/2]}), "not finished"},
		"another run's record":   {altered(t, path, map[string][]byte{run + "record.jsonl": read(other + "record.jsonl")}), "a record of"},
		"another run's run.json": {altered(t, path, map[string][]byte{run + "run.json": read(other + "run.json")}), "are those of a run called"},
		"another recipe":         {altered(t, path, map[string][]byte{run + "run.json": bytes.Replace(read(run+"run.json"), []byte(`"momentum": 0.9`), []byte(`"momentum": 0.8`), 1)}), "are those of a run called"},
		"weights that are none":  {altered(t, path, map[string][]byte{run + "weights.safetensors": []byte("no weights")}), "weights.safetensors"},
	} {
		dir := t.TempDir()
		into := Store(filepath.Join(dir, "results"))
		_, n, err := Unpack(c.path, into, t.Logf)
		var refused *PackError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || n != 0 {
			t.Errorf("%s: %d runs, %v; want %q", name, n, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "unpacking-") {
			t.Errorf("%s: it names a folder that is gone: %v", name, err)
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("%s: it left %v", name, slices.Collect(keysOf(left)))
		}
	}
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// A question of that name that is another one stays as it is, and so do runs.
func TestUnpackLeavesWhatIsThere(t *testing.T) {
	path, _ := packed(t)
	into := Store(t.TempDir())
	own := into.View("plain_vs_res", "cifar10-cpu")
	if err := os.MkdirAll(string(own), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own.Question(), []byte("another"), 0o666); err != nil {
		t.Fatal(err)
	}
	before := tree(t, string(into))
	if _, n, err := Unpack(path, into, t.Logf); err == nil || !strings.Contains(err.Error(), "another question") || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	if after := tree(t, string(into)); len(after) != len(before) {
		t.Errorf("%v", after)
	}
	if _, _, err := Unpack(filepath.Join(t.TempDir(), "none.zip"), into, t.Logf); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A list that names another run by the ID of a packed one stays as it is, unless that run never
// began. Other runs of the list stay, too.
func TestUnpackBesideOtherRuns(t *testing.T) {
	path, v := packed(t)
	_, entries, err := v.Read()
	if err != nil {
		t.Fatal(err)
	}
	const other = "plain-20-seed0-000000000000"
	for name, c := range map[string]struct {
		own    Entry
		begun  bool
		want   string // the error
		listed int
	}{
		"finished or begun": {Entry{entries[0].ID, other}, true, "lists other runs: " + entries[0].ID + " is " + other + " there", 1},
		"never begun":       {Entry{entries[0].ID, other}, false, "", 4},
		"another seed":      {Entry{"plain-20-seed7", other}, true, "", 5},
		"the same":          {entries[0], true, "", 4},
	} {
		into := Store(t.TempDir())
		own := into.View("plain_vs_res", "cifar10-cpu")
		if err := own.Write("q.yaml", []Entry{c.own}); err != nil {
			t.Fatal(err)
		}
		if c.begun {
			begin(t, v.Folder(entries[0]), own.Folder(c.own))
		}
		text, err := os.ReadFile(v.Question())
		if err == nil { // another version writes another text
			err = os.WriteFile(own.Question(), append([]byte("# Of an older version.\n"), text...), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, n, err := Unpack(path, into, t.Logf)
		if c.want == "" && (err != nil || n != 4) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || n != 0) {
			t.Errorf("%s: %d runs, %v; want %q", name, n, err, c.want)
		}
		if _, listed, err := own.Read(); err != nil || len(listed) != c.listed {
			t.Errorf("%s: the list has %v, %v; want %d", name, listed, err, c.listed)
		}
	}
}

// begin makes a folder with the beginning of a run's record.
func begin(t *testing.T, from, to Folder) {
	t.Helper()
	text, err := os.ReadFile(from.Record())
	if err == nil {
		err = errors.Join(os.MkdirAll(string(to), 0o777), os.WriteFile(to.Record(), text[:len(text)/2], 0o666))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Import replaces a run by the same run if only the latter is finished, unless a process trains it. A
// list says which of its runs others replaced.
func TestImportFinished(t *testing.T) {
	from := Store(published).View("plain_vs_res", "cifar10-cpu")
	_, entries, err := from.Read()
	if err != nil {
		t.Fatal(err)
	}
	into := Store(t.TempDir())
	own := into.View("plain_vs_res", "cifar10-cpu")
	replaced := Entry{entries[2].ID, "plain-56-seed0-000000000000"}
	if err := own.Write("q.yaml", []Entry{entries[0], replaced}); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries[:2] {
		begin(t, from.Folder(e), own.Folder(e))
	}
	var locks lock.Set
	held, err := own.Folder(entries[1]).Take(&locks)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if n, err := Import(string(from), into, true, say); n != 3 || err != nil {
		t.Fatalf("%d runs, %v; want all but the one in training", n, err)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, replaced.Run+" is not listed any more") {
		t.Errorf("said %q", text)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []Progress{Complete, Begun, Complete, Complete} {
		if got, err := own.Folder(entries[i]).Find(); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", entries[i].ID, got, err, want)
		}
	}
	if n, err := Import(string(from), into, true, say); n != 1 || err != nil {
		t.Errorf("again: %d runs, %v; want the one that was in training", n, err)
	}

	// What cannot be read is not called unfinished.
	damaged := into.Run(entries[0].Run)
	if err := os.WriteFile(damaged.Record(), []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	said = nil
	if _, err := Import(string(own), Store(t.TempDir()), true, say); err != nil || len(said) != 1 || !strings.Contains(said[0], "its record cannot be read: "+damaged.Record()+":1") {
		t.Errorf("said %q, %v", said, err)
	}
}

func FuzzUnpack(f *testing.F) {
	v := Store(published).View("plain_vs_res", "cifar10-cpu")
	path := filepath.Join(f.TempDir(), "result.zip")
	if _, err := Pack(v, path, false, f.Logf); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[len(whole)-2000:])
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if name, _, err := survey(z.File); err == nil && (!filepath.IsLocal(name) || strings.HasPrefix(name, "runs/")) {
			t.Errorf("%q", name)
		}
	})
}

func TestPackWithWeights(t *testing.T) {
	from, into := Store(t.TempDir()), Store(t.TempDir())
	if _, err := Import(string(Store(published).View("plain_vs_res", "cifar10-cpu")), from, true, t.Logf); err != nil {
		t.Fatal(err)
	}
	v := from.View("plain_vs_res", "cifar10-cpu")
	_, entries, err := v.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for i, e := range entries {
		path := v.Folder(e).Weights()
		if err := state.WriteFile(path, nil, []state.Tensor{state.Float32("fc.bias", []int{1}, []float32{float32(i)})}); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(path)
		want[e.Run] = string(text)
	}
	path := filepath.Join(t.TempDir(), "result.zip")
	if _, err := Pack(v, path, true, t.Logf); err != nil {
		t.Fatal(err)
	}
	if _, n, err := Unpack(path, into, t.Logf); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	for run, text := range want {
		if got, err := os.ReadFile(Folder(filepath.Join(into.Runs(), run)).Weights()); string(got) != text {
			t.Errorf("%s: other weights; %v", run, err)
		}
	}
}
