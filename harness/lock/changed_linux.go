// The time of a file's last change on Linux.

package lock

import (
	"io/fs"
	"syscall"
	"time"
)

// changed is when the file was last changed, a change of its times included, by the clock
// of the file system. The modification time is by the clock of whoever set it.
func changed(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return info.ModTime()
}
