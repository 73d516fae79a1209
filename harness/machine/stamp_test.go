// Tests of how the files of a data set are told apart without reading them.

package machine

import (
	"os"
	"path/filepath"
	"testing"
)

// The stamp of a packed archive changes with the archive, that of a folder with its files.
func TestStamp(t *testing.T) {
	dir := t.TempDir()
	archive, other := filepath.Join(dir, "a.tar.gz"), filepath.Join(dir, "b.bin")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(archive, "one")
	ofArchive, ofFolder := stamp(archive), stamp(dir)
	if ofArchive == "" || ofFolder == "" {
		t.Fatalf("stamps %q and %q", ofArchive, ofFolder)
	}
	write(other, "more")
	if stamp(archive) != ofArchive || stamp(dir) == ofFolder {
		t.Error("a file beside an archive changes the archive's stamp, or does not change the folder's")
	}
	write(archive, "longer")
	if stamp(archive) == ofArchive {
		t.Error("another archive has the same stamp")
	}
}
