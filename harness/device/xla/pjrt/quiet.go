// Silences XLA's log messages.

package pjrt

import (
	"fmt"
	"os"

	"github.com/ebitengine/purego"
)

// Quiet keeps XLA's log messages off the terminal: warnings are shown only if
// TF_CPP_MIN_LOG_LEVEL asks for them. The plugin reads C's environment, which Go's
// os.Setenv does not change.
func Quiet() error {
	if os.Getenv("TF_CPP_MIN_LOG_LEVEL") != "" {
		return nil
	}
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("pjrt: %w", err)
	}
	at, err := purego.Dlsym(libc, "setenv")
	if err != nil {
		return fmt.Errorf("pjrt: %w", err)
	}
	var setenv func(name, value string, overwrite int32) int32
	purego.RegisterFunc(&setenv, at)
	setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0)
	return nil
}
