// Package harness runs questions. Its rooms, each with one purpose, are the folders
// below; what all of them share is here.
package harness

import "errors"

// ErrInterrupted says that a context ended: everything is saved, and the same command
// goes on from there.
var ErrInterrupted = errors.New("interrupted")
