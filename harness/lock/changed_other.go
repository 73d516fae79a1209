//go:build !linux

// The time of a file's last change elsewhere.

package lock

import (
	"io/fs"
	"time"
)

// changed is the modification time, by the clock of whoever set it.
func changed(info fs.FileInfo) time.Time { return info.ModTime() }
