//go:build linux || darwin || freebsd

package data

import "syscall"

// freeSpace is what the user may still write to the disk that dir is on, in
// bytes; known is false where that cannot be told.
func freeSpace(dir string) (free int64, known bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
