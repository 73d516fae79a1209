// Tests that a changed kernel gets a new revision.

package harness

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device/cpu"
	"depthlab/harness/device/xla/lower"
	"depthlab/nets/kernel"
)

// A kernel whose sources changed has another revision, or somebody has made sure
// that its sums kept their bits: then only the fingerprint below changes.
func TestRevisions(t *testing.T) {
	for _, c := range []struct{ folder, revision, fingerprint string }{
		{"../nets/kernel", kernel.Revision, "1 d91ca1d993d9b6ecf55305b0"},
		{"device/cpu", cpu.Revision, "6 2821873bd33b913ccd50be05"},
		{"device/xla/lower", lower.Revision, "2 83e0b1c34307700a20c9cc44"},
	} {
		got, err := fingerprint(c.folder)
		if err != nil {
			t.Fatal(err)
		}
		if got = c.revision + " " + got; got != c.fingerprint {
			t.Errorf("%s is %q, not %q: its sources changed. If any sum may now have other bits, raise Revision; then write the new fingerprint here", c.folder, got, c.fingerprint)
		}
	}
}

// fingerprint hashes what a folder's kernels are compiled from, without comments
// and without files that no sum depends on.
func fingerprint(folder string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || !slices.Contains([]string{".go", ".s", ".h", ".c"}, filepath.Ext(path)) ||
			slices.Contains([]string{"library.go", "memory.go", "peak.go", "profile.go", "revision.go", "team.go", "thread.go"}, d.Name()) {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintln(h, filepath.Base(path))
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "//") {
				fmt.Fprintln(h, line)
			}
		}
		return lines.Err()
	})
	return fmt.Sprintf("%.12x", h.Sum(nil)), err
}
