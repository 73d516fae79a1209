package xla

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// compileError is XLA's complaint about a text.
type compileError struct {
	place  string // the layer and the kernel that it is about; "" where XLA does not say
	reason string // one line
	file   string // where the text is kept; "" where it could not be
	err    error
}

func (e *compileError) Unwrap() error { return e.err }

func (e *compileError) Error() string {
	what := e.place
	if layer, kernel, ok := strings.Cut(e.place, "/"); ok {
		what = fmt.Sprintf("%s of layer %s", kernel, layer)
	} else if what == "" {
		what = "it"
	}
	s := fmt.Sprintf("XLA cannot compile %s: %s", what, e.reason)
	if e.file != "" {
		s += fmt.Sprintf(" (the text is in %s)", e.file)
	}
	return s
}

// cannotCompile explains a failed compilation, and keeps the text in a file.
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

// complaint finds in XLA's message what it is about and what is wrong. The
// verifier gives the place that the text has for an operation, the parser a
// line, where an operation may begin that ends in a later one, and the compiler
// its own instructions, with the place among what they know.
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
