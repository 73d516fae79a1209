// What is not there, and how it was named.

package machine

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// NotFoundError says that something a command needs is not there.
type NotFoundError struct {
	// Where is what was told of it: "--data DIR", "DEPTHLAB_DATA=DIR", or a
	// folder that has a part of it. "" where nothing was told and nothing lies.
	Where string
	Err   error // what was looked for, and what to do
}

func (e *NotFoundError) Error() string {
	if e.Where == "" {
		return e.Err.Error()
	}
	return e.Where + ": " + e.Err.Error()
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// Promised says whether err is about something that was named, or is there and
// not whole. What is plainly absent may be done without; this may not.
func Promised(err error) bool {
	var e *NotFoundError
	return errors.As(err, &e) && e.Where != ""
}

// notFound makes err, if any, a NotFoundError.
func notFound(where string, err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(where, "=~/") || strings.Contains(where, " ~/") {
		err = fmt.Errorf("%w (the shell left the ~ as it is: write $HOME)", err)
	}
	return &NotFoundError{where, err}
}

// named gives what an option says, or else a variable of the environment, and
// how it was told; "" where neither does.
func named(option, given, variable string) (path, where string) {
	if given != "" {
		return given, option + " " + given
	}
	if path = os.Getenv(variable); path != "" {
		return path, variable + "=" + path
	}
	return "", ""
}
