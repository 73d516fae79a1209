// Tests that folders have a README, and that the files it names exist.

package harness

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Folders that somebody new opens first, and the most lines that explain one.
var explained = []string{
	"experiments", "harness", "harness/data", "harness/device", "harness/device/cpu", "harness/device/ref",
	"harness/device/xla", "harness/record", "harness/state", "harness/store", "nets", "nets/kernel", "plots", "results",
	"harness/model", "harness/train", "harness/sweep", "harness/weights", "harness/machine", "harness/predict", "harness/check", "harness/slurm", "harness/measure", "harness/cmd/lab",
}

const screen = 60

func TestReadmes(t *testing.T) {
	for _, dir := range explained {
		text, err := os.ReadFile(filepath.Join("..", dir, "README.md"))
		if err != nil {
			t.Errorf("%s needs a README: %v", dir, err)
			continue
		}
		if n := bytes.Count(text, []byte("\n")); n > screen {
			t.Errorf("%s/README.md has %d lines, want at most %d", dir, n, screen)
		}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir // .git, and what run.sh fetches and builds
		case d.IsDir() && filepath.Dir(path) == filepath.Join("..", "results") && d.Name() != "published":
			return filepath.SkipDir // not part of the project
		case d.Name() != "README.md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range namedFiles(string(text)) {
			if !exists(filepath.Dir(path), name) && !exists("..", name) {
				t.Errorf("%s names %s, which is neither in its folder nor in the project's", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

var (
	quoted = regexp.MustCompile("`[^`]+`")
	linked = regexp.MustCompile(`\]\(([^)#]+)\)`)
	inTree = regexp.MustCompile(`^(\./)?(experiments|harness|nets|plots|results)/`)
	ending = regexp.MustCompile(`(\.(go|s|h|c|py|sh|yaml|md)|/)$`)
	// A part in capitals stands for any name, and .../ for a folder named before.
	anyName = regexp.MustCompile(`(^|/)([A-Z]+(-[A-Z]+)*|\.\.\.)(/|\.|$)|\*`)
)

// namedFiles lists the files and folders that a text names: in backticks, in tables
// and as links.
func namedFiles(text string) (names []string) {
	for _, m := range linked.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") {
			names = append(names, m[1])
		}
	}
	var words []string
	for _, q := range quoted.FindAllString(text, -1) {
		words = append(words, strings.Fields(q)...)
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "|") {
			words = append(words, strings.Fields(line)...)
		}
	}
	for _, w := range words {
		w = strings.Trim(w, "`|,;:()[]")
		if (ending.MatchString(w) || inTree.MatchString(w)) && !anyName.MatchString(w) && !strings.Contains(w, "](") {
			names = append(names, w)
		}
	}
	return names
}

func TestNamedFiles(t *testing.T) {
	for text, want := range map[string]string{
		"see `a/b.go` and `c.yaml`, not d.go":             "a/b.go c.yaml",
		"| `x/` (parts), y.sh; z.md | and more |":         "x/ y.sh z.md",
		"`go test ./nets -regen` of `nets/compile`":       "nets/compile",
		"`results/runs/RUN/`, `FILE.yaml`, `.../q.yaml`":  "",
		"[one](a.png), [two](https://host/a.md), `x*.go`": "a.png",
	} {
		var names []string
		seen := map[string]bool{}
		for _, n := range namedFiles(text) {
			if !seen[n] {
				seen[n], names = true, append(names, n)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}
