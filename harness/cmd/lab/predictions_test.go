// Tests of eval's details: classes, images, pictures.

package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvalTells(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "plain-8", "8")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.NewReplacer("100000 steps", "2 steps", "50000 steps", "2 steps").Replace(string(text))), 0o666); err != nil {
		t.Fatal(err)
	}
	do := func(want int, args ...string) string {
		t.Helper()
		cmd, out, say := lab(dir, args...)
		if got := code(cmd.Run()); got != want {
			t.Fatalf("lab %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, say)
		}
		return out.String() + say.String()
	}
	do(0, file)
	eval := []string{"eval", "--net", "plain-8", "--weights", stored(t, dir, "plain-8-seed0").Weights()}
	classes, list := filepath.Join(dir, "classes"), filepath.Join(dir, "list.csv")
	var r struct {
		Images  int
		Error   float64 `json:"top1_error"`
		Classes []classResult
		ByClass []classResult `json:"by_class"`
	}
	said := do(0, append(eval, "--by-class", classes, "--predictions", list)...)
	if !strings.Contains(said, "most often taken for") || !strings.Contains(said, "confusion.png") {
		t.Errorf("it says\n%s", said)
	}
	if err := json.Unmarshal([]byte(do(0, append(eval, "--by-class", classes, "--json")...)), &r); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{"classes/classes.csv": 11, "classes/confusion.csv": 11, "list.csv": r.Images + 1}
	for name, want := range rows {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines, err := csv.NewReader(f).ReadAll()
		if err != nil || len(lines) != want {
			t.Errorf("%s: %d lines, want %d; %v", name, len(lines), want, err)
		}
	}
	images, wrong := 0, 0.0
	for _, c := range r.ByClass {
		images += c.Images
		wrong += c.Error * float64(c.Images) / 100
	}
	if len(r.ByClass) != 10 || images != r.Images || r.Images == 0 || wrong < r.Error/100*float64(images)-0.5 || wrong > r.Error/100*float64(images)+0.5 {
		t.Errorf("%d classes, %d of %d images, %v wrong; the error is %v", len(r.ByClass), images, r.Images, wrong, r.Error)
	}
	// Any PNG is a picture, such as a figure.
	picture := filepath.Join(classes, "confusion.png")
	if said := do(0, append(eval, "--images", picture, picture)...); strings.Count(said, "confusion.png") != 2 || strings.Count(said, " %  ") != 10 {
		t.Errorf("of pictures it says\n%s", said)
	}
	do(2, append(eval, "--images", file)...)
	do(2, append(eval, "--images", picture, "--by-class", classes)...)
	do(2, append(eval, picture)...)
}
