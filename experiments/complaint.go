// Complaints: the errors in a question file, with line, value and hint.

package experiments

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxComplaints is the largest number of complaints that are printed.
const maxComplaints = 100

// Complaint is an error in a question file.
type Complaint struct {
	File    string // "" for a value of the command line
	Line    int    // from 1; 0 for the whole file
	Path    string // "profiles.preview.schedule.at[1]"; "" for the whole file
	Value   string // as written, shortened; "" if there is none
	Problem string // what was expected
	Hint    string // what to do about it; may be empty
}

// String returns "FILE:LINE: PATH: VALUE: PROBLEM (HINT)", without empty parts.
func (c Complaint) String() string {
	where := c.File
	if c.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, c.Line)
	}
	parts := slices.DeleteFunc([]string{where, c.Path, c.Value, c.Problem}, func(part string) bool { return part == "" })
	text := strings.Join(parts, ": ")
	if c.Hint != "" {
		text += " (" + c.Hint + ")"
	}
	return text
}

// Complaints is the error of Load and Parse: all errors in the file, in the order of its lines.
type Complaints struct {
	List  []Complaint
	More  int   // number of complaints after the first hundred, which List lacks
	cause error // of a file that could not be read
}

func (c *Complaints) Error() string {
	var lines []string
	for _, one := range c.List {
		lines = append(lines, one.String())
	}
	if c.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", c.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error of reading the file, or nil, so that errors.Is(err, fs.ErrNotExist)
// works.
func (c *Complaints) Unwrap() error { return c.cause }

// collector collects the complaints about one file, each once.
type collector struct {
	file string
	list []Complaint
	seen map[Complaint]bool
	old  []string // messages about words of older versions
}

// renamed returns the current name of a word of older versions, with a message in c.old; other
// words it returns unchanged.
func (c *collector) renamed(s string, k key) string {
	now, old := k.old[s]
	if !old {
		return s
	}
	if said := fmt.Sprintf("%s: %s is now called %s", c.file, s, now); !slices.Contains(c.old, said) {
		c.old = append(c.old, said)
	}
	return now
}

// place is the position of a value in the file. Line 0: not in the file, it is a default.
type place struct {
	line  int
	path  string
	value string
}

// full reports whether there are so many complaints that more are dropped.
func (c *collector) full() bool { return len(c.list) >= 10*maxComplaints }

func (c *collector) add(at place, problem, hint string) {
	if c.full() {
		return
	}
	one := Complaint{c.file, at.line, at.path, at.value, problem, hint}
	if onCommandLine(at.path) {
		one.File = ""
	}
	if c.seen[one] {
		return
	}
	if c.seen == nil {
		c.seen = map[Complaint]bool{}
	}
	c.seen[one] = true
	c.list = append(c.list, one)
}

// err returns nil or a *Complaints.
func (c *collector) err() error {
	if len(c.list) == 0 {
		return nil
	}
	slices.SortStableFunc(c.list, func(a, b Complaint) int { return cmp.Compare(a.Line, b.Line) })
	all := &Complaints{List: c.list}
	if n := len(c.list); n > maxComplaints {
		all.List, all.More = c.list[:maxComplaints], n-maxComplaints
	}
	return all
}

// shorten returns a value as one printable line of at most 60 characters.
func shorten(s string) string {
	const longest = 60
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > longest {
			return b.String() + "..."
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// didYouMean returns `did you mean X?` for the option nearest to word, or "" if none is near.
func didYouMean(word string, options []string) string {
	if near := nearest(word, options); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// nearest returns the option with the smallest edit distance from word, at most a third of its
// letters; "" if there is none.
func nearest(word string, options []string) string {
	word = strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(word))
	if len(word) > 40 {
		return ""
	}
	best, fewest := "", len(word)/3+1
	for _, option := range options {
		plain := strings.ToLower(strings.ReplaceAll(option, "-", "_"))
		if n := mistakes(word, plain); n < fewest || n == 0 {
			best, fewest = option, n
		}
	}
	return best
}

// mistakes returns the edit distance of a and b: the letters to add, drop, replace or swap with
// their neighbour (optimal string alignment distance).
func mistakes(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
