// Hints for complaints: what to write instead. A hint is only given if it would be accepted.

package experiments

import (
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// wrongWith returns the problem of n as the value of path, which has the type t; "" if it is
// valid.
func wrongWith(path string, n *yaml.Node, t reflect.Type) string {
	c := &collector{}
	trial := &decoder{collector: c, from: map[string]place{}, bad: map[string]bool{}}
	trial.read(n, path, reflect.New(t).Elem())
	if len(c.list) > 0 {
		return c.list[0].Problem
	}
	return ""
}

// scalar returns a scalar node without quotes.
func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// acceptsList reports whether the elements, separated by commas, are valid as the list at path,
// of type t.
func acceptsList(path, elements string, t reflect.Type) bool {
	var doc yaml.Node
	err := yaml.Unmarshal([]byte("["+elements+"]"), &doc)
	return err == nil && len(doc.Content) == 1 && wrongWith(path, doc.Content[0], t) == ""
}

// listHint says how to write the single value s as the list at path, of type t.
func listHint(path, s string, t reflect.Type) string {
	if shorten(s) != s {
		return ""
	}
	if n, err := strconv.Atoi(s); err == nil && n > 1 && n <= maxRuns && path == "seeds" {
		return fmt.Sprintf("write 0..%d for %d seeds, or [%d] for the one seed %d", n-1, n, n, n)
	}
	for _, elements := range []string{s, strings.Join(strings.Fields(s), ", ")} {
		if acceptsList(path, elements, t) {
			return "write [" + elements + "]"
		}
	}
	if !keyOf(path).ranged {
		return ""
	}
	r := asRange(s)
	for _, by := range []string{"", " by 12", " by 6"} {
		if r != "" && r+by != s && wrongWith(path, scalar(r+by), t) == "" {
			return "write " + r + by
		}
	}
	return ""
}

// otherRange matches other notations of ranges: 0-4, 0:4, 0 to 4.
var otherRange = regexp.MustCompile(`^([0-9]{1,9})\s*(?:-|\.{2,3}|:|to)\s*([0-9]{1,9})$`)

// asRange converts another notation of a range, such as 0-4, to ours, 0..4; "" if s is none.
func asRange(s string) string {
	m := otherRange.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return ""
	}
	return m[1] + ".." + m[2]
}

// timeHint returns the hint for a time with another unit than steps and epochs, or without one;
// "" if there is none.
func timeHint(number, unit string) string {
	words, units := "write ", []string{"steps"}
	switch unit = strings.ToLower(unit); unit {
	case "":
		words, units = "a bare number could be either: write ", []string{"steps", "epochs"}
	case "k":
		x, ok := new(big.Rat).SetString(number)
		if !ok || !x.Mul(x, big.NewRat(1000, 1)).IsInt() {
			return ""
		}
		number = x.Num().String()
	case "iteration", "iterations", "it", "iter", "iters", "batches", "updates":
	default:
		words, units = "did you mean ", []string{nearest(unit, []string{"steps", "epochs"})}
	}
	var possible []string
	for _, u := range units {
		if t, problem, _ := parseTime(number + " " + u); problem == "" && t.plausible() {
			possible = append(possible, t.String())
		}
	}
	switch {
	case len(possible) == 0:
		return ""
	case words == "did you mean ":
		return words + possible[0] + "?"
	case len(possible) == 1:
		return "write " + possible[0]
	}
	return words + strings.Join(possible, " or ")
}

// plausible reports whether a time is valid for some batch.
func (t Time) plausible() bool {
	if t.epochs {
		return strings.Trim(t.amount, "0.") != ""
	}
	_, err := t.Steps(0, 0)
	return err == nil
}

// plain replaces characters that look like ASCII ones and drops invisible ones. They come from
// web pages and word processors.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII {
			return r
		}
		switch {
		case unicode.Is(unicode.Zs, r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.Is(unicode.Pd, r), r == '\u2212': // the sign minus
			return '-'
		case r >= '\uff01' && r <= '\uff5e': // full-width forms
			return r - '\uff01' + '!'
		}
		return r
	}, s)
}

// stray returns a hint about the first character of s that plain replaces; "" if there is none.
func stray(s string) string {
	for _, r := range s {
		write := plain(string(r))
		what := "the character " + string(r)
		switch {
		case write == string(r):
			continue
		case r == '\u00a0', r == '\u2007', r == '\u202f':
			what, write = "a no-break space", "a plain space"
		case write == " ":
			what, write = "an unusual space", "a plain space"
		case write == "":
			what, write = "an invisible character", "nothing"
		}
		return fmt.Sprintf("it has %s (U+%04X): write %s in its place", what, r, write)
	}
	return ""
}

// strayLine returns a hint about the line with such a character that is nearest to the line at
// which the parser failed. Comments may have any characters.
func strayLine(text []byte, gaveUp int) (hint string) {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(plain(string(text))), &doc) != nil {
		return "" // something else is wrong
	}
	nearest := 0
	for i, line := range strings.Split(string(text), "\n") {
		code, _, _ := strings.Cut(line, "#")
		if s := stray(code); s != "" && (hint == "" || abs(i+1-gaveUp) <= nearest) {
			hint, nearest = fmt.Sprintf("line %d: %s", i+1, s), abs(i+1-gaveUp)
		}
	}
	return hint
}

func abs(n int) int { return max(n, -n) }
