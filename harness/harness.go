// Package harness runs questions. Its folders have one purpose each; this package has what they
// share.
package harness

import "errors"

// ErrInterrupted says that a context ended: everything is saved, and the same command resumes
// from there.
var ErrInterrupted = errors.New("interrupted")
