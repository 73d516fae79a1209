// Tests of checkpoints: every damage is noticed, two are kept, a kill leaves an undamaged
// one.

package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const testID = "resnet-20_B-seed0"

func someCheckpoint(step int) *Checkpoint {
	return &Checkpoint{
		Step:    step,
		Meta:    map[string]string{"run": "abc", "choices": `[{"Key":"a"}]`},
		Tensors: []Tensor{Float32("fc.bias", []int{3}, []float32{1, 2, float32(step)}), Int64("n", nil, []int64{int64(step)})},
	}
}

func save(t *testing.T, dir string, steps ...int) {
	t.Helper()
	for _, s := range steps {
		if err := Save(dir, testID, someCheckpoint(s)); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// latest checks that Latest finds this step (-1: none) with this number of warnings.
func latest(t *testing.T, dir string, step, warnings int) []string {
	t.Helper()
	c, w, err := Latest(dir, testID)
	if err != nil {
		t.Fatal(err)
	}
	if len(w) != warnings {
		t.Errorf("%d warnings %q, want %d", len(w), w, warnings)
	}
	switch {
	case step < 0 && c != nil:
		t.Errorf("found step %d, want none", c.Step)
	case step >= 0 && c == nil:
		t.Errorf("found none, want step %d", step)
	case step >= 0:
		want := someCheckpoint(step)
		slices.SortFunc(want.Tensors, func(a, b Tensor) int { return sizes[b.DType] - sizes[a.DType] })
		if fmt.Sprint(*c) != fmt.Sprint(*want) {
			t.Errorf("read %+v, want %+v", c, want)
		}
	}
	return w
}

func TestSaveKeepsTwo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	latest(t, dir, -1, 0)
	save(t, dir, 100)
	latest(t, dir, 100, 0)
	save(t, dir, 200, 300, 1000000)
	latest(t, dir, 1000000, 0)
	if got, want := names(t, dir), []string{testID + "-step000300.safetensors", testID + "-step1000000.safetensors"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	a, _ := os.ReadFile(Path(dir, testID, 300))
	save(t, dir, 300)
	if b, _ := os.ReadFile(Path(dir, testID, 300)); !bytes.Equal(a, b) {
		t.Error("the same checkpoint is written differently")
	}
}

func TestRunsDoNotTouchEachOther(t *testing.T) {
	dir := t.TempDir()
	others := []string{
		"resnet-20_B-seed01-step000001.safetensors", "x" + testID + "-step000001.safetensors",
		testID + "-step000001-step000002.safetensors", testID + "-step000001.safetensors.bak", testID + "-step5.safetensors",
		testID + ".safetensors", testID + "-step.safetensors", testID + "-step-00001.safetensors",
		".resnet-20_B-seed01-step000001.safetensors.tmp1", ".hidden",
	}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	save(t, dir, 1, 2, 3)
	os.WriteFile(Path(dir, testID, 3), []byte("x"), 0o666)
	latest(t, dir, 2, 1)
	for _, name := range others {
		if text, err := os.ReadFile(filepath.Join(dir, name)); string(text) != "x" {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
}

func TestStrayTemporaryFiles(t *testing.T) {
	for _, clean := range []func(dir string){
		func(dir string) { Latest(dir, testID) },
		func(dir string) { Save(dir, testID, someCheckpoint(8)) },
	} {
		dir := t.TempDir()
		save(t, dir, 7)
		stray := filepath.Join(dir, "."+testID+"-step000008.safetensors.tmp123")
		os.WriteFile(stray, []byte("half"), 0o666)
		clean(dir)
		if _, err := os.Stat(stray); err == nil {
			t.Error("the temporary file of an interrupted Save is left")
		}
	}
}

func TestSaveRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{"", ".", "..", "a/b", "../a", ".a", strings.Repeat("a", 300)} {
		if Save(dir, id, someCheckpoint(1)) == nil {
			t.Errorf("ID %q is accepted", id)
		}
		if _, _, err := Latest(dir, id); err == nil {
			t.Errorf("Latest: ID %q is accepted", id)
		}
	}
	c := someCheckpoint(1)
	c.Meta["depthlab.step"] = "5"
	if Save(dir, testID, c) == nil {
		t.Error("reserved metadata are accepted")
	}
	if Save(dir, testID, someCheckpoint(-1)) == nil {
		t.Error("a negative step is accepted")
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("files left: %q", got)
	}
}

// Every flipped bit, every truncation and every added byte is noticed.
func TestEveryDamageIsNoticed(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, 5)
	whole, err := os.ReadFile(Path(dir, testID, 5))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := decodeCheckpoint(whole); err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(whole)
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			noticed(t, b, "bit %d of byte %d flipped", bit, i)
			b[i] = whole[i]
		}
		for _, v := range []byte{0, ' ', '\t', '0', 0xff} {
			if b[i] = v; v != whole[i] {
				noticed(t, b, "byte %d set to %q", i, v)
			}
			b[i] = whole[i]
		}
	}
	for n := range whole {
		noticed(t, whole[:n], "cut to %d of %d bytes", n, len(whole))
	}
	noticed(t, append(bytes.Clone(whole), 0), "a byte added")
	noticed(t, make([]byte, len(whole)), "all zeros")
	if !bytes.Equal(b, whole) {
		t.Error("decoding changes the bytes it is given")
	}
}

func noticed(t *testing.T, b []byte, format string, a ...any) {
	t.Helper()
	_, _, err := decodeCheckpoint(b)
	var damage *FormatError
	if !errors.As(err, &damage) {
		t.Errorf("%s: %v", fmt.Sprintf(format, a...), err)
	}
}

func TestDamagedNewestIsSetAside(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	for name, spoil := range map[string]func([]byte) []byte{
		"flip":  flip,
		"cut":   func(b []byte) []byte { return b[:len(b)/2] },
		"empty": func(b []byte) []byte { return nil },
		"no checkpoint": func([]byte) []byte {
			var b bytes.Buffer
			Write(&b, nil, someTensors())
			return b.Bytes()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, dir, 10, 20)
			path := Path(dir, testID, 20)
			b, _ := os.ReadFile(path)
			os.WriteFile(path, spoil(b), 0o666)
			w := latest(t, dir, 10, 1)
			if !strings.Contains(w[0], filepath.Base(path)+".damaged") {
				t.Errorf("warning %q does not name the file", w[0])
			}
			if got, want := names(t, dir), []string{filepath.Base(Path(dir, testID, 10)), filepath.Base(path) + ".damaged"}; !slices.Equal(got, want) {
				t.Errorf("files %q, want %q", got, want)
			}
			latest(t, dir, 10, 0) // warned once only
			save(t, dir, 20)
			latest(t, dir, 20, 0)
		})
	}
	t.Run("both", func(t *testing.T) {
		dir := t.TempDir()
		save(t, dir, 10, 20)
		for _, s := range []int{10, 20} {
			b, _ := os.ReadFile(Path(dir, testID, s))
			os.WriteFile(Path(dir, testID, s), flip(b), 0o666)
		}
		latest(t, dir, -1, 2)
	})
	t.Run("of another step", func(t *testing.T) {
		dir := t.TempDir()
		save(t, dir, 10, 20)
		os.Rename(Path(dir, testID, 20), Path(dir, testID, 30))
		latest(t, dir, 10, 1)
	})
	t.Run("of another run", func(t *testing.T) {
		dir := t.TempDir()
		save(t, dir, 10)
		Save(dir, "other", someCheckpoint(20))
		os.Rename(Path(dir, "other", 20), Path(dir, testID, 20))
		latest(t, dir, 10, 1)
	})
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, 10)
	c, id, err := load(Path(dir, testID, 10))
	if err != nil || id != testID || c.Step != 10 || len(c.Meta) != 2 {
		t.Errorf("load: %+v of %q, %v", c, id, err)
	}
	// Any safetensors reader can read a checkpoint, with its metadata.
	f, err := ReadFile(Path(dir, testID, 10))
	if err != nil || f.Meta[stepKey] != "10" || f.Meta["run"] != "abc" {
		t.Errorf("ReadFile: %+v, %v", f, err)
	}
}

// A process killed at a random moment while it saves leaves an undamaged checkpoint.
func TestKilledWhileSaving(t *testing.T) {
	if dir := os.Getenv("STATE_TEST_SAVE_IN"); dir != "" {
		for step := 1; ; step++ {
			c := someCheckpoint(step)
			c.Tensors = append(c.Tensors, Float32("big", []int{1 << 18}, make([]float32, 1<<18)))
			if err := Save(dir, testID, c); err != nil {
				t.Fatal(err)
			}
			fmt.Println("saved", step)
		}
	}
	for i := range 6 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileSaving$")
		cmd.Env = append(os.Environ(), "STATE_TEST_SAVE_IN="+dir)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+37*i) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		said := 0
		if lines := strings.Fields(out.String()); len(lines) > 1 {
			said, _ = strconv.Atoi(lines[len(lines)-1])
		}
		c, warnings, err := Latest(dir, testID)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("after a kill: %v, %v", warnings, err)
		}
		if said > 0 && (c == nil || c.Step < said) {
			t.Errorf("step %d was saved, but is not found", said)
		}
		for _, name := range names(t, dir) {
			if name[0] == '.' {
				t.Errorf("%s is left", name)
			}
		}
	}
}

func BenchmarkSave(b *testing.B) {
	dir := b.TempDir()
	c := &Checkpoint{Tensors: []Tensor{Float32("w", []int{1 << 22}, make([]float32, 1<<22))}} // 16 MiB
	for b.Loop() {
		c.Step++
		if err := Save(dir, "a", c); err != nil {
			b.Fatal(err)
		}
	}
}
