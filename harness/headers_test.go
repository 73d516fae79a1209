// Tests that every Go file begins with a line on its purpose.

package harness

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// headed lists the folders whose files have such a line.
var headed = []string{"harness", "nets", "nets/compile", "nets/kernel", "nets/ops", "nets/program",
	"harness/state", "harness/lock", "harness/disk", "harness/limits", "harness/testskip",
	"harness/record", "harness/store", "harness/slurm", "harness/pages", "harness/cmd/lab", "harness/data", "harness/data/photo",
	"plots",
	"harness/device", "harness/device/cpu", "harness/device/ref", "harness/device/devicetest",
	"harness/device/xla", "harness/device/xla/hlo", "harness/device/xla/lower", "harness/device/xla/pjrt",
	"plots/report", "plots/report/browser",
	"harness/model", "harness/train", "harness/sweep", "harness/sweep/sweeptest", "harness/weights", "harness/machine",
	"harness/predict", "harness/check", "harness/bench", "harness/data/datatest",
	"experiments", "experiments/dataset", "harness/measure"}

func TestHeaders(t *testing.T) {
	for _, dir := range headed {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no Go files (%v)", dir, err)
		}
		for _, path := range files {
			if fault := headFault(path, nil); fault != "" {
				t.Errorf("%s: %s", path, fault)
			}
		}
	}
}

// headFault says what is wrong with the head of a file. The head is a comment before the
// package clause, after a build constraint if there is one. A comment that touches the
// clause is the package's documentation, which only the file that begins "Package NAME"
// or "Command NAME" should hold. src may be nil to read the file.
func headFault(path string, src any) string {
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return err.Error()
	}
	if doc := f.Doc.Text(); doc != "" && !strings.HasPrefix(doc, "Package "+f.Name.Name+" ") && !strings.HasPrefix(doc, "Command ") {
		return "put a blank line between the comment on the file's purpose and the package clause: else it is package documentation"
	}
	for _, c := range f.Comments {
		if c.Pos() < f.Package && c.Text() != "" { // the text of a build constraint is empty
			return ""
		}
	}
	return "begin the file with a comment on its purpose"
}

func TestHeadFault(t *testing.T) {
	for src, want := range map[string]string{
		"package p":                                         "begin the file",
		"//go:build linux\n\npackage p":                     "begin the file",
		"package p\n\n// Late.\n":                           "begin the file",
		"// Purpose.\npackage p":                            "blank line",
		"// Purpose.\n\npackage p":                          "",
		"//go:build linux\n\n// Purpose.\n\npackage p":      "",
		"// Package p does it.\npackage p":                  "",
		"// Command lab does it.\npackage main":             "",
		"// Package plots does it.\n\npackage p":            "",
		"// Package parts, but no documentation\npackage p": "blank line",
	} {
		if got := headFault("p.go", src); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q, want %q", src, got, want)
		}
	}
}
