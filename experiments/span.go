// Ranges of whole numbers in a question file: "0..4", "20..56 by 12".

package experiments

import (
	"fmt"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// rangePattern matches a first and a last number, and a step if it is not 1: 0..4, 20..56 by 12.
const rangePattern = `^([0-9]{1,15})\.\.([0-9]{1,15})( +by +([0-9]{1,9}))?$`

var rangeForm = regexp.MustCompile(rangePattern)

// expandRange returns the list of a range's numbers, in the range's line. It is nil for a value
// that is not a range, or with a problem.
func expandRange(n *yaml.Node) (list *yaml.Node, problem, hint string) {
	m := rangeForm.FindStringSubmatch(n.Value)
	if n.Kind != yaml.ScalarNode || m == nil {
		return nil, "", ""
	}
	first, _ := strconv.Atoi(m[1])
	last, _ := strconv.Atoi(m[2])
	by := 1
	if m[4] != "" {
		by, _ = strconv.Atoi(m[4])
	}
	switch {
	case last < first:
		return nil, "expected the smaller number first", fmt.Sprintf("write %d..%d", last, first)
	case by == 0:
		return nil, "expected steps of at least 1", ""
	case (last-first)%by != 0:
		return nil, fmt.Sprintf("%d is not reached from %d in steps of %d", last, first, by), fmt.Sprintf("write %d..%d by %d", first, last-(last-first)%by, by)
	case (last-first)/by >= maxRuns:
		return nil, fmt.Sprintf("expected at most %d numbers", maxRuns), ""
	}
	list = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line}
	for i := first; i <= last; i += by {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(i), Line: n.Line})
	}
	return list, "", ""
}
