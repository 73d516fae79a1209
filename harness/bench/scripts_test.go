// Tests of the scripts' own checks, without the frameworks.

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/testskip"
)

// eachNet runs a script (FILE NETS ARGUMENTS) with each net, up to its first exit: with -I and -S,
// which hide installed packages, a net that is accepted ends for lack of the framework.
const eachNet = `
import runpy, sys
file, nets, args = sys.argv[1:]
for net in nets.split():
    sys.argv = [file, net] + args.split()
    try:
        runpy.run_path(file)
    except SystemExit as e:
        if e.code:
            raise
`

// A script refuses the nets that it does not build, instead of timing another net.
func TestScriptsRefuse(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	const all = "resnet-20 plain-56 resnet-110/B resnet-20/C resnet-20/split " +
		"resnet-18 plain-34 resnet-50 resnet-101 resnet-152 resnet-18/torchvision resnet-50/v1.5 resnet-34/pool-pad1 " +
		"resnet-164/bottleneck resnet-20/single resnet-20/preact resnet-20/relu-preact resnet-20/relu-before-add resnet-20/bn-after-add " +
		"resnet-20/scale=0.5 resnet-20/branch-scale=0.5 resnet-20/shortcut-dropout=0.5 resnet-20/gate=exclusive resnet-20/gate=exclusive/gate-bias=-6"
	cifar := all[:strings.Index(all, " resnet-18 ")]
	for name, c := range map[string]struct {
		script []byte
		args   string // after the net
		builds string
	}{
		"torch_step.py":     {torchStep, "8 fp32 cpu 1", all[:strings.Index(all, " resnet-164/")]},
		"jax_step.py":       {jaxStep, "8 fp32 cpu 1", cifar},
		"torch_gradient.py": {torchGradient, "0 1e-5 step out fp32", cifar},
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, c.script, 0o666); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "-I", "-S", "-c", eachNet, file, all, c.args).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err != nil || len(lines) != len(strings.Fields(all)) {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		for i, net := range strings.Fields(all) {
			refused := strings.HasPrefix(lines[i], "skip "+net+": "+name+" has only ")
			accepted := strings.Contains(lines[i], "pip install")
			if want := strings.Contains(" "+c.builds+" ", " "+net+" "); refused == want || accepted != want {
				t.Errorf("%s %s: %s; want it accepted: %v", name, net, lines[i], want)
			}
		}
	}
}
