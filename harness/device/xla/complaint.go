// Errors of XLA's compiler: which layer and kernel they are about.

package xla

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// compileError is an error of XLA's compiler.
type compileError struct {
	place  string // "LAYER/KERNEL" that the error is about; "" if XLA does not say
	reason string // one line
	file   string // holds the StableHLO text; "" if it could not be written
	err    error
}

func (e *compileError) Unwrap() error { return e.err }

func (e *compileError) Error() string {
	what := e.place
	if layer, kernel, ok := strings.Cut(e.place, "/"); ok {
		what = fmt.Sprintf("%s of layer %s", kernel, layer)
	} else if what == "" {
		what = "the program"
	}
	s := fmt.Sprintf("XLA cannot compile %s: %s", what, e.reason)
	if e.file != "" {
		s += fmt.Sprintf(" (the StableHLO text is in %s)", e.file)
	}
	return s
}

// cannotCompile explains a failed compilation, and writes the StableHLO text to a
// temporary file.
func cannotCompile(text string, err error) error {
	e := &compileError{err: err}
	e.place, e.reason = complaint(text, err.Error())
	if f, err := os.CreateTemp("", "depthlab-*.mlir"); err == nil {
		_, err = f.WriteString(text)
		if f.Close() == nil && err == nil {
			e.file = f.Name()
		}
	}
	return e
}

var (
	atPlace = regexp.MustCompile(`loc\("([^"]+)"\): (.+)`)
	atLine  = regexp.MustCompile(`-:(\d+):\d+: error: (.+)`)
	inHLO   = regexp.MustCompile(`op_name="([^"]+)"`)
	inText  = regexp.MustCompile(`loc\("([^"]+)"\)\n`)
)

// complaint finds place and reason in an error message of XLA. The verifier names the
// operation's location, loc("LAYER/KERNEL"). The parser gives a line number; the operation
// may end on a later line, which has the location. The compiler prints its own
// instruction, which has the location as op_name.
func complaint(text, message string) (place, reason string) {
	reason, _, _ = strings.Cut(strings.TrimSpace(message), "\n")
	if m := atPlace.FindStringSubmatch(message); m != nil {
		place, reason = m[1], m[2]
	} else if m := atLine.FindStringSubmatch(message); m != nil {
		reason = m[2]
		n, _ := strconv.Atoi(m[1])
		lines := strings.SplitAfter(text, "\n")
		if m := inText.FindStringSubmatch(strings.Join(lines[min(max(n-1, 0), len(lines)):], "")); m != nil {
			place = m[1]
		}
	} else if m := inHLO.FindStringSubmatch(message); m != nil {
		place = m[1]
	}
	const most = 300
	if len(reason) > most {
		reason = reason[:most] + " ..."
	}
	return place, reason
}
