// Checksums of data sets that need not be read for it: what plan asks the store with.
package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"depthlab/harness/data"
	"depthlab/harness/disk"
)

// known is .cache/NAME.json of a data set: the checksum of files that were read, and their sizes
// and times of change.
type known struct {
	Files    string `json:"files"`
	Checksum string `json:"sha256"`
}

func (m Machine) knownPath(name string) string { return filepath.Join(m.Root, ".cache", name+".json") }

// Checksum is that of a data set, as far as it is known without reading the data; ""
// where it is not.
func (m Machine) Checksum(name string) string {
	access, err := data.Of(name)
	if err != nil || access.Make != nil {
		return access.Checksum
	}
	dir, err := m.FindWhole(name)
	text, missing := os.ReadFile(m.knownPath(name))
	var k known
	if err == nil && missing == nil && json.Unmarshal(text, &k) == nil && k.Files == stamp(dir) {
		return k.Checksum
	}
	return ""
}

// remember keeps the checksum of a data set's files. That it cannot be written only
// means that plan does not know what is finished.
func (m Machine) remember(name, dir, checksum string) {
	if text, err := json.Marshal(known{stamp(dir), checksum}); err == nil {
		disk.Write(m.knownPath(name), append(text, '\n'))
	}
}

// stamp tells the files of a folder by size and time of change.
func stamp(dir string) string {
	var b strings.Builder
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil {
			fmt.Fprintln(&b, filepath.Join(dir, e.Name()), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}
