// init and keep: files of initial weights, and the weights to keep of a run.

package experiments

import (
	"fmt"
	"slices"
	"strings"
)

const (
	weightsEnding  = ".safetensors"
	weightsPattern = `\.safetensors$`
)

// IsFile reports whether an Init is the path of a file of weights.
func IsFile(init string) bool { return strings.HasSuffix(init, weightsEnding) }

// initialWeights returns the SHA-256 of the file of weights that a run begins with; "" if there is none.
// It adds a complaint, at the given place, about a file that does not fit the net.
func initialWeights(d *decoder, run Run, at place) string {
	if !IsFile(run.Init) || d.weights == nil || !d.sound("init", "data") {
		return ""
	}
	sum, err := d.weights(run.Init, run)
	if err != nil {
		problem, hint := split(err.Error())
		d.add(at, problem, hint)
	}
	return sum
}

const (
	keepLast  = "last"
	keepBest  = "best"
	keepEvery = "every "
)

// checkKeep checks an element of keep: last, best, or such as "every 8000 steps".
func checkKeep(s string) (problem, hint string) {
	if s == keepLast || s == keepBest {
		return "", ""
	}
	if t, found := strings.CutPrefix(s, keepEvery); found {
		_, problem, hint = parseTime(t)
		return problem, hint
	}
	return "expected last, best, or such as every 8000 steps", didYouMean(s, []string{keepLast, keepBest})
}

// resolveKeep converts the list keep of s, whose times become steps in s, too.
func resolveKeep(d *decoder, s *Spec) (k Keep) {
	if s.Keep == nil || !d.sound("keep") {
		return k
	}
	if !slices.Contains(s.Keep, keepLast) {
		d.add(d.place("keep"), "expected last among them: a finished run has its weights", "write ["+strings.Join(append([]string{keepLast}, s.Keep...), ", ")+"]")
	}
	list := slices.Clone(s.Keep)
	for i, what := range list {
		text, found := strings.CutPrefix(what, keepEvery)
		switch path := fmt.Sprintf("keep[%d]", i); {
		case what == keepBest:
			k.Best = true
		case found && k.Every > 0:
			d.add(d.place(path, "keep"), "is a second interval", "write one")
		case found:
			t, _, _ := parseTime(text)
			k.Every = resolveSteps(d, s, path, &t)
			list[i] = keepEvery + t.String()
		}
	}
	s.Keep = list
	return k
}
