// Tests of runs that continue others, begin with files of weights, or keep weights.

package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/weights"
)

// plain is a question without momentum, so that the next weights depend only on the current ones.
var plain = strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]\noptimizer: {momentum: 0}", "warmup: {rate: 0.01, for: 2 steps, from_depth: 8}", "warmup: none").Replace(sweeptest.Small)

// asking returns a sweep of a question that may name files and runs of the store in dir.
func asking(t *testing.T, dir, text string) *sweep.Sweep {
	t.Helper()
	s := sweeptest.NewSmall(t, dir)
	q, err := experiments.Reader{Trained: store.Store(dir).Trained, Weights: func(file string, run experiments.Run) (string, error) {
		return store.Sum(file)
	}}.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.Plan = q.Plans[0]
	return s
}

// trained runs a sweep, and returns the folder of its first run.
func trained(t *testing.T, s *sweep.Sweep) store.Folder {
	t.Helper()
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s.Folders[s.Plan.Runs[0].ID]
}

// events returns the events of a run's record, without times and speeds.
func events(t *testing.T, f store.Folder) (all []record.Event) {
	t.Helper()
	rec, err := record.Read(f.Record())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range rec.Events {
		e.Time, e.Seconds, e.ImagesPerS = "", 0, 0
		all = append(all, e)
	}
	return all
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A run that continues another ends with the bits of one that was trained for as long without a
// break, however often it is interrupted. Its record has the curves of both, and its provenance
// names the other run.
func TestGoOn(t *testing.T) {
	dir := t.TempDir()
	parent := trained(t, asking(t, dir, plain))
	text := fmt.Sprintf("question: On?\ncontinue: {run: %s, for: 4 steps}\n", parent.Name())
	sweeptest.Interrupted(t, func() *sweep.Sweep { return asking(t, dir, text) })
	s := asking(t, dir, text)
	child := trained(t, s)
	whole := trained(t, asking(t, t.TempDir(), strings.Replace(plain, "stop: 6 steps", "stop: 10 steps", 1)))
	if !bytes.Equal(content(t, child.Weights()), content(t, whole.Weights())) {
		t.Error("6 steps and 4 more end with other weights than 10 at once")
	}

	rec, err := record.Read(child.Record())
	if err != nil {
		t.Fatal(err)
	}
	if rec.Start.Continues != parent.Name() || rec.Start.From != 6 || rec.Start.Steps != 10 || !rec.Finished() {
		t.Errorf("%+v", rec.Start)
	}
	var steps []int
	for _, p := range rec.TrainCurve() {
		steps = append(steps, p.Step)
	}
	if !slices.Equal(steps, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("the training curve has steps %v", steps)
	}
	old, err := record.Read(parent.Record())
	if end := rec.Events[len(rec.Events)-1].Seconds; err != nil || end <= old.Seconds() {
		t.Errorf("%g s of training in all, and %g s of the run before (%v)", end, old.Seconds(), err)
	}
	p, err := store.ReadProvenance(child)
	if err != nil || p.Source != parent.Name() || p.Run.Continue != parent.Name() || len(p.Sessions) == 0 || p.Sessions[0].First != 6 || p.Sessions[0].Note != "" {
		t.Errorf("%v: %+v", err, p)
	}
	used, err := store.Store(dir).Used()
	if err != nil || len(used[parent.Name()]) == 0 {
		t.Errorf("the run that another continues counts as unused: %v, %v", used, err)
	}

	// Continue that one, at another rate.
	grand := trained(t, asking(t, dir, fmt.Sprintf("question: On?\ncontinue: {run: %s, for: 2 steps, rate: 0.5}\n", child.Name())))
	if rec, err = record.Read(grand.Record()); err != nil || len(rec.TrainCurve()) != 12 || rec.Events[len(rec.Events)-1].Kind != "end" {
		t.Errorf("%v: %+v", err, rec)
	}
	for _, c := range rec.RateChanges() {
		if c.Step == 10 && c.To != 0.5 {
			t.Errorf("at step 10 the rate becomes %g, want 0.5", c.To)
		}
	}
}

// A question that continues a run, which continues another one, can be packed, unpacked and read, also
// without weights. The other two runs come along, and so they do with Import.
func TestPackGoOn(t *testing.T) {
	dir := t.TempDir()
	parent := trained(t, asking(t, dir, plain))
	child := trained(t, asking(t, dir, fmt.Sprintf("question: On?\ncontinue: {run: %s, for: 2 steps}\n", parent.Name())))
	text := fmt.Sprintf("question: On?\ncontinue: {run: %s, for: 2 steps}\n", child.Name())
	s := asking(t, dir, text)
	grand := trained(t, s)
	if err := os.WriteFile(s.View.Question(), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, weights := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "result.zip")
		if n, err := store.Pack(s.View, path, weights, t.Logf); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		into := store.Store(t.TempDir())
		v, n, err := store.Unpack(path, into, t.Logf)
		if n != 3 || err != nil {
			t.Fatalf("%d runs, %v; want three", n, err)
		}
		q, err := store.Load(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := sweep.Place(q.Plans[0], into, s.Data.Checksum, s.Device.Info(), ""); got["plain-8-seed0"].Name() != grand.Name() {
			t.Errorf("with weights: %v: the question asks for %s, want %s", weights, got, grand.Name())
		}
		all, err := store.Statuses(v)
		if err != nil || len(all) != 1 || all[0].State != store.Finished {
			t.Errorf("%+v, %v", all, err)
		}
	}
	into := store.Store(t.TempDir())
	if n, err := store.Import(string(s.View), into, true, t.Logf); n != 3 || err != nil {
		t.Errorf("import: %d runs, %v; want three", n, err)
	}
}

// A run that continues another has the same results if it is interrupted.
func TestGoOnInterrupted(t *testing.T) {
	var all [2][]record.Event
	for i := range all {
		dir := t.TempDir()
		parent := trained(t, asking(t, dir, sweeptest.Small))
		text := fmt.Sprintf("question: On?\ncontinue: {run: %s, for: 5 steps, rate: 0.02}\nkeep: [last, best, every 2 steps]\n", parent.Name())
		begin := func() *sweep.Sweep { return asking(t, dir, text) }
		if i == 1 {
			if stops := sweeptest.Interrupted(t, begin); stops < 2 {
				t.Errorf("interrupted %d times", stops)
			}
		}
		all[i] = events(t, trained(t, begin()))
	}
	if !reflect.DeepEqual(all[0], all[1]) {
		t.Errorf("an interrupted run ends differently:\n%+v\n%+v", all[0], all[1])
	}
}

// A run that cannot be continued is refused when the question is read.
func TestGoOnFromWhat(t *testing.T) {
	dir := t.TempDir()
	s := asking(t, dir, plain)
	if err := s.Run(sweeptest.StopAfter(4)); err == nil {
		t.Fatal("not interrupted")
	}
	name := s.Folders[s.Plan.Runs[0].ID].Name()
	st := store.Store(dir)
	for name, want := range map[string]string{
		name:                         "expected a finished run, but this one is interrupted at step",
		"plain-8-seed0-000000000000": "is not a run in " + st.Runs() + "; there is " + name,
		"plain-8":                    "is not a run in " + st.Runs() + "; there is " + name,
		"../runs/" + name:            "is not a run in",
		"":                           "is not a run in " + st.Runs() + "; ./run.sh runs lists them",
	} {
		if _, err := st.Trained(name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	parent := trained(t, asking(t, dir, plain))
	refused := func(want string) {
		t.Helper()
		if _, err := st.Trained(name); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "finish first") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := os.Remove(parent.Weights()); err != nil {
		t.Fatal(err)
	}
	refused("its weights cannot be read: ")
	if err := os.WriteFile(parent.Record(), []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused("expected a finished run, but this one failed: " + parent.Record() + ":1")
	if err := os.Remove(parent.Record()); err != nil {
		t.Fatal(err)
	}
	refused("expected a finished run, but this one has not begun")
}

// A run that begins with a file has the test error of the file's net at first. It fails if the file
// changed after the question was read.
func TestBeginWithFile(t *testing.T) {
	dir := t.TempDir()
	parent := trained(t, asking(t, dir, plain))
	file := filepath.Join(dir, "own.safetensors")
	if err := os.WriteFile(file, content(t, parent.Weights()), 0o666); err != nil {
		t.Fatal(err)
	}
	text := plain + "init: " + file + "\nseeds: [1]\n"
	begin := func() *sweep.Sweep { return asking(t, dir, text) }
	sweeptest.Interrupted(t, begin)
	child := trained(t, begin())
	old, err := record.Read(parent.Record())
	if err != nil {
		t.Fatal(err)
	}
	own, err := record.Read(child.Record())
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := old.FinalTest(); own.Began().Test != want {
		t.Errorf("begins with %g %% test error, the file's net ended with %g %%", own.Began().Test, want)
	}
	if err := disk.Write(begin().View.Question(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	asksFor(t, begin().View, child)
	if other := trained(t, asking(t, dir, strings.Replace(text, "nets: [plain-8]", "nets: [resnet-8]", 1))); !strings.Contains(string(content(t, other.Record())), "are those of plain-8, and resnet-8 begins with them") {
		t.Error("no warning that the weights are another net's")
	}
	s := asking(t, dir, strings.Replace(text, "seeds: [1]", "seeds: [2]", 1))
	if err := os.WriteFile(file, append(content(t, file), 0), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "which changed after the question was read (SHA-256 "+s.Plan.Runs[0].Weights[:12]+", then ") {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "which cannot be read any more: ") || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// asksFor fails unless the question of the view is read as one that asks for the run in f, as watch
// and unpack need it.
func asksFor(t *testing.T, v store.View, f store.Folder) {
	t.Helper()
	q, err := store.Load(v)
	if err != nil {
		t.Fatal(err)
	}
	made, err := store.ReadProvenance(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := sweep.Asks(q.Plans[0].Runs[0], made); err != nil {
		t.Error(err)
	}
}

// The best weights are those of the test with the lowest error, and weights of every N steps those
// of their steps. An interrupted run keeps the same ones. Keeping weights does not change the last
// ones.
func TestKeep(t *testing.T) {
	text := strings.Replace(plain, "evaluate: 3 steps", "evaluate: 2 steps", 1) + "keep: [last, best, every 3 steps]\nvalidation: 4\n"
	without := trained(t, asking(t, t.TempDir(), strings.Replace(text, "keep:", "#", 1)))
	files := func(f store.Folder) map[string]string {
		all := map[string]string{}
		paths, _ := filepath.Glob(filepath.Join(string(f), "kept", "*"))
		for _, path := range append(paths, f.Weights()) {
			all[filepath.Base(path)] = string(content(t, path))
		}
		return all
	}
	whole := trained(t, asking(t, t.TempDir(), text))
	rec, err := record.Read(whole.Record())
	if err != nil {
		t.Fatal(err)
	}
	lowest := rec.TestCurve()[0]
	for _, p := range rec.TestCurve() {
		if p.Error < lowest.Error {
			lowest = p
		}
	}
	if best, every := store.Best.Steps(whole), store.Every.Steps(whole); !slices.Equal(best, []int{lowest.Step}) || !slices.Equal(every, []int{3}) {
		t.Errorf("the best weights of steps %v and others of %v, want %d and 3", best, every, lowest.Step)
	}
	if got := weights.ReadAbout(store.Best.File(whole, lowest.Step)).ChosenBy; got != "validation" {
		t.Errorf("chosen by the %s set", got)
	}
	if weights.ReadAbout(whole.Weights()).ChosenBy != "" || !bytes.Equal(content(t, whole.Weights()), content(t, without.Weights())) {
		t.Error("keeping weights changed the last ones")
	}
	dir := t.TempDir()
	sweeptest.Interrupted(t, func() *sweep.Sweep { return asking(t, dir, text) })
	cut := trained(t, asking(t, dir, text))
	if !reflect.DeepEqual(files(cut), files(whole)) {
		t.Error("an interrupted run keeps other weights")
	}
	for _, c := range []struct {
		f    store.Folder
		want string
	}{{whole, ""}, {without, "the best weights and weights of every 3 steps"}} {
		if got := store.Lacks(c.f, asking(t, t.TempDir(), text).Plan.Runs[0]); got != c.want {
			t.Errorf("lacks %q, want %q", got, c.want)
		}
	}
}

// A run to which keep: best is added late says so, once, if the weights of its best test so far were
// not kept; and so does the question when the run is finished.
func TestKeepLate(t *testing.T) {
	text := strings.Replace(plain, "evaluate: 3 steps", "evaluate: 1 steps", 1)
	const keep = "keep: [last, best]\n"
	dir := t.TempDir()
	lowest, tested := 0.0, false
	for n := 4; !tested; n++ { // until the first test
		if err := asking(t, dir, text).Run(sweeptest.StopAfter(n)); err == nil {
			t.Fatal("not interrupted")
		}
		lowest, tested = sweeptest.Read(t, dir, "plain-8-seed0").BestTest()
	}
	sweeptest.Interrupted(t, func() *sweep.Sweep { return asking(t, dir, text+keep) })
	trained(t, asking(t, dir, text+keep))
	want := fmt.Sprintf("keep: best came late: the weights of the best test so far (%.4g %% error) were not kept", lowest)
	if all := sweeptest.Warnings(t, dir, "plain-8-seed0"); len(all) != 1 || !strings.HasPrefix(all[0], want) {
		t.Errorf("warnings %q, want one: %s", all, want)
	}

	whole := t.TempDir()
	sweeptest.Interrupted(t, func() *sweep.Sweep { return asking(t, whole, text+keep) })
	if all := sweeptest.Warnings(t, whole, "plain-8-seed0"); len(all) != 0 {
		t.Errorf("kept from the beginning, and warnings %q", all)
	}
}

// The best weights of a finished run are lacking if only worse ones were kept.
func TestLacksBest(t *testing.T) {
	const begin = `{"kind":"start","start":{"id":"a","net":"plain-8","steps":6}}` + "\n" + `{"kind":"eval","step":0,"set":"test","error":1}` + "\n"
	for _, c := range []struct {
		second, third float64 // errors of the tests after steps 2 and 4; the weights of step 4 are kept
		want          string
	}{
		{50, 40, ""},
		{40, 40, ""},
		{40, 50, "the best weights"},
	} {
		f := store.Store(t.TempDir()).Run("plain-8-seed0-0123456789ab")
		text := begin + fmt.Sprintf(`{"kind":"eval","step":2,"set":"test","error":%g}`+"\n"+`{"kind":"eval","step":4,"set":"test","error":%g}`+"\n", c.second, c.third)
		if err := errors.Join(disk.Write(f.Record(), []byte(text)), disk.Write(store.Best.File(f, 4), nil)); err != nil {
			t.Fatal(err)
		}
		run := experiments.Run{Recipe: experiments.Recipe{Keep: experiments.Keep{Best: true}}}
		if got := store.Lacks(f, run); got != c.want {
			t.Errorf("errors %g and %g: lacks %q, want %q", c.second, c.third, got, c.want)
		}
	}
}

// A wish for more weights than a finished run kept is not met, even if it kept some.
func TestLacks(t *testing.T) {
	f := store.Store(t.TempDir()).Run("plain-8-seed0-0123456789ab")
	for _, step := range []int{1000, 2000, 70000} {
		path := store.Every.File(f, step)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, nil, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		from, every, stop int
		want              string
	}{
		{0, 1000, 3000, ""},
		{0, 2000, 4000, ""},
		{0, 1000, 3001, "weights of every 1000 steps"},
		{0, 250, 3000, "weights of every 250 steps"},
		{0, 5000, 5000, ""}, // the only ones are the last
		{64000, 10000, 72000, ""},
		{60000, 10000, 70000, ""},
		{64000, 9000, 73000, "weights of every 9000 steps"}, // of step 72000
		{64000, 9000, 72000, ""},
	} {
		run := experiments.Run{From: c.from}
		run.Keep.Every, run.Schedule.Stop = c.every, c.stop
		if got := store.Lacks(f, run); got != c.want {
			t.Errorf("steps %d to %d, every %d: lacks %q, want %q", c.from, c.stop, c.every, got, c.want)
		}
	}
}

// Kept weights of steps after the checkpoint, written by a killed process, are removed. The earlier
// best weights are kept until a checkpoint with better ones is saved.
func TestKeepAfterKill(t *testing.T) {
	dir := t.TempDir()
	text := plain + "keep: [last, best, every 1 steps]\n"
	var f store.Folder
	for n := 4; len(store.Best.Steps(f)) == 0; n++ { // until the first test
		s := asking(t, dir, text)
		if err := s.Run(sweeptest.StopAfter(n)); err == nil {
			t.Fatal("not interrupted")
		}
		f = s.Folders[s.Plan.Runs[0].ID]
	}
	before := store.Every.Steps(f)
	for _, path := range []string{store.Best.File(f, 5), store.Every.File(f, 5)} {
		if err := os.WriteFile(path, []byte("of a step after the checkpoint"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	trained(t, asking(t, dir, plain)) // without keep
	if got := store.Every.Steps(f); len(before) == 0 || !slices.Equal(got, before) {
		t.Errorf("weights of steps %v, want those of %v", got, before)
	}
	if best := store.Best.Steps(f); len(best) != 1 || best[0] == 5 {
		t.Errorf("the best are of steps %v", best)
	}
}
