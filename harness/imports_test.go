// Tests which packages may import which.

package harness

import (
	"os/exec"
	"strings"
	"testing"
)

// Who may import whom: rooms know only what lies below them.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "depthlab/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	// A library, and the only packages of ours that may import it.
	libraries := map[string]string{
		"gorgonia.org/":                     "nets nets/ops nets/compile",
		"github.com/chewxy/hm":              "nets/ops",
		"github.com/ebitengine/purego":      "harness/data/photo harness/device/cpu harness/device/xla/pjrt",
		"gonum.org/v1/plot":                 "plots",
		"gonum.org/v1/gonum":                "harness/data harness/measure",
		"github.com/chromedp/":              "plots/report/browser",
		"gopkg.in/yaml.v3":                  "experiments",
		"github.com/schollz/progressbar/v3": "harness/record",
		"google.golang.org/protobuf/":       "harness/record harness/device/xla/hlo harness/device/xla/pjrt",
	}
	// A package, and all of ours that it may import.
	ours := map[string]string{
		"nets/kernel":              "",
		"nets/program":             "nets/kernel",
		"nets/ops":                 "nets/kernel",
		"nets":                     "nets/kernel nets/ops",
		"nets/compile":             "nets nets/kernel nets/ops nets/program",
		"experiments":              "nets experiments/dataset",
		"experiments/dataset":      "",
		"plots":                    "harness/disk harness/record experiments experiments/dataset plots/report",
		"plots/report":             "",
		"harness/ckernel":          "",
		"harness/disk":             "",
		"harness/limits":           "",
		"harness":                  "",
		"harness/slurm":            "harness/disk",
		"harness/lock":             "harness harness/disk harness/slurm",
		"harness/record":           "harness/disk",
		"harness/state":            "harness/disk",
		"harness/store":            "experiments harness/device harness/disk harness/lock harness/record harness/state nets",
		"harness/model":            "experiments experiments/dataset harness/data harness/device harness/limits harness/state nets nets/compile nets/kernel nets/program",
		"harness/weights":          "experiments experiments/dataset harness/data harness/data/photo harness/device harness/disk harness/model harness/state nets nets/compile nets/kernel nets/program",
		"harness/train":            "experiments harness harness/data harness/device harness/lock harness/model harness/record harness/slurm harness/state harness/store harness/weights nets nets/program",
		"harness/measure":          "experiments experiments/dataset harness harness/data harness/device harness/disk harness/model harness/record harness/store harness/train harness/weights nets",
		"harness/sweep":            "experiments harness harness/data harness/device harness/disk harness/lock harness/measure harness/model harness/record harness/slurm harness/store harness/train nets",
		"harness/predict":          "experiments harness/data harness/device harness/machine harness/model harness/record harness/store nets",
		"harness/pages":            "experiments experiments/dataset harness/disk harness/record harness/store plots plots/report",
		"harness/machine":          "experiments/dataset harness harness/data harness/data/photo harness/device harness/device/cpu harness/device/ref harness/device/xla harness/disk harness/limits harness/lock harness/store",
		"harness/check":            "experiments harness/data harness/device harness/device/ref harness/model harness/state nets nets/compile nets/kernel nets/program",
		"harness/testskip":         "",
		"harness/data":             "experiments/dataset harness/disk harness/data/photo",
		"harness/data/photo":       "harness/ckernel",
		"harness/device":           "nets/kernel nets/program",
		"harness/device/ref":       "harness/device nets/kernel nets/program",
		"harness/device/cpu":       "harness/ckernel harness/device harness/limits nets/kernel nets/program",
		"harness/device/xla":       "harness/device harness/disk harness/device/xla/hlo harness/device/xla/lower harness/device/xla/pjrt nets/kernel nets/program",
		"harness/device/xla/hlo":   "",
		"harness/device/xla/lower": "harness/device nets/kernel nets/program",
		"harness/device/xla/pjrt":  "",
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, imports, _ := strings.Cut(line, ": ")
		path = strings.TrimPrefix(path, "depthlab/")
		for _, imported := range strings.Fields(imports) {
			for library, by := range libraries {
				if strings.HasPrefix(imported, library) && !contains(by, path) {
					t.Errorf("%s imports %s, which only %s may", path, imported, by)
				}
			}
			below, ruled := ours[path]
			if name, own := strings.CutPrefix(imported, "depthlab/"); own && ruled && !contains(below, name) {
				t.Errorf("%s imports %s; it may import of ours: %q", path, name, below)
			}
		}
	}
}

func contains(list, name string) bool {
	for _, s := range strings.Fields(list) {
		if s == name {
			return true
		}
	}
	return false
}
