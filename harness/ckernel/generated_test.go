// Tests that the committed assembly is up to date.

package ckernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"depthlab/harness/testskip"
)

// The committed assembly is what the generators make of the C sources.
func TestGenerated(t *testing.T) {
	for _, c := range []struct {
		folder string
		all    bool // compiled only if everything is tested
	}{{"../device/cpu", true}, {"../data/photo", false}} {
		t.Run(filepath.Base(c.folder), func(t *testing.T) {
			if c.all && !testskip.Everything() {
				testskip.Skip(t, "compiles all kernels")
			}
			for _, tool := range []string{"python3", "clang-19", "ld.lld-19", "llvm-objcopy-19"} {
				if _, err := exec.LookPath(tool); err != nil {
					testskip.Skip(t, "%s is not here: the assembly is not compared with the C sources", tool)
				}
			}
			made := t.TempDir()
			if out, err := exec.Command("python3", filepath.Join(c.folder, "kernels/generate.py"), made).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			files, err := os.ReadDir(made)
			if err != nil {
				t.Fatal(err)
			}
			if len(files) == 0 {
				t.Fatal("kernels/generate.py wrote nothing")
			}
			for _, f := range files {
				want, err := os.ReadFile(filepath.Join(made, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join(c.folder, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				wantHead, _, _ := bytes.Cut(want, []byte("\n"))
				gotHead, _, _ := bytes.Cut(got, []byte("\n"))
				if !bytes.Equal(gotHead, wantHead) {
					testskip.Skip(t, "another compiler: %q, here %q", gotHead, wantHead)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s differs from what kernels/generate.py writes: run python3 kernels/generate.py . in its folder", f.Name())
				}
			}
		})
	}
}
