// Errors of things that are missing, with how they were named.

package machine

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// NotFoundError says that something that a command needs was not found.
type NotFoundError struct {
	// Where is how it was named: "--data DIR", "DEPTHLAB_DATA=DIR"; or a folder that has a
	// part of it. It is "" if it was not named and no part was found.
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

// Promised reports whether err is about something that was named, or found in part. Such an
// error ends the command. What was neither named nor found may be replaced.
func Promised(err error) bool {
	var e *NotFoundError
	return errors.As(err, &e) && e.Where != ""
}

// notFound makes err a *NotFoundError; nil stays nil.
func notFound(where string, err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(where, "=~/") || strings.Contains(where, " ~/") {
		err = fmt.Errorf("%w (the shell left the ~ as it is: write $HOME)", err)
	}
	return &NotFoundError{where, err}
}

// named returns the value of an option (given), or else of an environment variable, and how
// it was named: "--data DIR" or "VARIABLE=DIR". Both are "" if neither is set.
func named(option, given, variable string) (path, where string) {
	if given != "" {
		return given, option + " " + given
	}
	if path = os.Getenv(variable); path != "" {
		return path, variable + "=" + path
	}
	return "", ""
}
