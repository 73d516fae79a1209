// Times and percentages of a question file: "32000 steps", "82 epochs", "80 %".

package experiments

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// maxSteps is the longest time: more than a thousand times the longest run of the paper, and far
// from any overflow.
const maxSteps = 1_000_000_000

// Time is a point or a length of training in the form of the file, with its unit: "32000 steps",
// "82 epochs", "1.5 epochs". A step is one mini-batch; an epoch has as many steps as the training
// images have mini-batches.
type Time struct {
	amount string // decimal digits, perhaps with a point
	epochs bool
}

// Steps returns a time of n steps.
func Steps(n int) Time { return Time{amount: strconv.Itoa(n)} }

// Epochs returns a time of n epochs.
func Epochs(n int) Time { return Time{amount: strconv.Itoa(n), epochs: true} }

func (t Time) String() string {
	unit := "step"
	if t.epochs {
		unit = "epoch"
	}
	if t.amount != "1" {
		unit += "s"
	}
	return t.amount + " " + unit
}

// MarshalJSON writes the time in the form of the file.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

const (
	timePattern = `^[0-9]{1,12}(\.[0-9]{1,6})? *(steps?|epochs?)$`
	timeLike    = "a time with its unit, such as 32000 steps or 82 epochs"
)

var (
	timeForm   = regexp.MustCompile(timePattern)
	bareNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	otherForm  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$`)
	timeUnit   = regexp.MustCompile(`^(steps?|epochs?)$`)
)

// parseTime parses a time. If s is not a time, problem says what was expected, and hint what to
// write.
func parseTime(s string) (t Time, problem, hint string) {
	s = strings.TrimSpace(s)
	if !timeForm.MatchString(s) {
		m := otherForm.FindStringSubmatch(s)
		switch {
		case m == nil:
			return t, "expected " + timeLike, ""
		case !timeUnit.MatchString(m[2]):
			return t, "expected " + timeLike, timeHint(m[1], m[2])
		case len(strings.TrimLeft(m[1], "0")) > 12 && !strings.Contains(m[1], "."):
			return t, fmt.Sprintf("expected at most %d steps", maxSteps), ""
		}
		return t, "expected at most 12 digits before the point and 6 after it", ""
	}
	end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	t = Time{amount: s[:end], epochs: strings.Contains(s, "epoch")}
	if !t.epochs && strings.Contains(t.amount, ".") {
		return Time{}, "expected a whole number of steps", "only epochs may be fractions"
	}
	return t, "", ""
}

// Steps converts the time to steps: E epochs are E x images / batch, computed exactly and rounded
// to the nearest whole number, a half up. images is the number of training images, batch that of
// a mini-batch; a time in steps needs neither. Less than 1 step or more than 1e9 is an error.
func (t Time) Steps(images, batch int) (int, error) {
	amount, ok := new(big.Rat).SetString(t.amount)
	if !ok || (t.epochs && (images < 1 || batch < 1)) {
		return 0, fmt.Errorf("cannot be converted with %d images in batches of %d", images, batch)
	}
	if t.epochs {
		amount.Mul(amount, big.NewRat(int64(images), int64(batch)))
	}
	amount.Add(amount, big.NewRat(1, 2))
	steps := new(big.Int).Quo(amount.Num(), amount.Denom())
	switch {
	case steps.Sign() <= 0:
		return 0, fmt.Errorf("expected at least one step")
	case !steps.IsInt64() || steps.Int64() > maxSteps:
		return 0, fmt.Errorf("expected at most %d steps", maxSteps)
	}
	return int(steps.Int64()), nil
}

// Percent is a percentage, which a file writes with its sign: "80 %".
type Percent float64

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + " %" }

// MarshalJSON writes the percentage in the form of the file.
func (p Percent) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

const (
	percentPattern = `^[0-9]{1,3}(\.[0-9]{1,6})? *%$`
	percentLike    = "a training error in percent between 0 and 100, such as 80 %"
)

var percentForm = regexp.MustCompile(percentPattern)

// parsePercent parses a percentage above 0 and below 100.
func parsePercent(s string) (p Percent, problem, hint string) {
	s = strings.TrimSpace(s)
	if bareNumber.MatchString(s) {
		if _, problem, _ := parsePercent(s + " %"); problem == "" {
			hint = "write " + s + " %"
		}
		return 0, "expected " + percentLike, hint
	}
	if percentForm.MatchString(s) {
		x, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s, "%")), 64)
		if err == nil && x > 0 && x < 100 {
			return Percent(x), "", ""
		}
	}
	return 0, "expected " + percentLike, ""
}
