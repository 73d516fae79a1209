// Keys at the top of a file that have no effect in a profile.

package experiments

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Overridden says in a line which keys of the recipe the top of the file gives
// another value than the paper's, and the plan's profile yet another: who changed
// them there sees no effect. It is "" where there are none.
func (q *Question) Overridden(p *Plan) string {
	var all []string
	for _, o := range q.overridden[p.Profile] {
		set := func(change string) bool {
			key, _, _ := strings.Cut(strings.TrimPrefix(change, setPrefix), "=")
			return key == o.key || strings.HasPrefix(o.key, key+".")
		}
		if !slices.ContainsFunc(p.Changes, set) {
			all = append(all, fmt.Sprintf("%s: %s (here %s)", o.key, o.top, o.profile))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("profile %s overrides values at the top of %s: %s; --set wins over both", p.Profile, q.File, strings.Join(all, ", "))
}

// override is a key with two values, as the file writes them.
type override struct{ key, top, profile string }

// overridden compares the recipe at the top of a file, whose keys written lists,
// with that of a profile.
func overridden(top, profile Spec, written map[string]place) (all []override) {
	paper := paperSpec()
	if cropped(top.Data, top.Input) {
		paper.forPhotos()
		paper.Schedule = photoSchedule(top.Schedule)
	}
	ours, theirs, papers := treeOf(top), treeOf(profile), treeOf(paper)
	for path := range written {
		first, _, _ := strings.Cut(path, ".")
		if strings.Contains(path, "[") || first == "data" || slices.Contains(noIdentity, first) {
			continue // a part of a list, or said in other ways
		}
		have, want := valueAt(ours, path), valueAt(theirs, path)
		_, inner := have.(map[string]any)
		if !inner && !reflect.DeepEqual(have, valueAt(papers, path)) && !reflect.DeepEqual(have, want) {
			all = append(all, override{path, asText(have), asText(want)})
		}
	}
	slices.SortFunc(all, func(a, b override) int { return strings.Compare(a.key, b.key) })
	return all
}

// photoSchedule is the paper's schedule for ImageNet (section 3.4), which leaves
// open what standing still is.
func photoSchedule(s ScheduleSpec) ScheduleSpec {
	s.Stop = Steps(600000)
	if s.Plateau != nil {
		s.Plateau = &PlateauSpec{Of: "test_error", Patience: s.Plateau.Patience, Divide: 10}
	}
	return s
}

// treeOf is a Spec as a file would write it: mappings, lists and single values.
func treeOf(s Spec) (tree map[string]any) {
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	if err != nil {
		panic("experiments: a recipe that is no JSON")
	}
	return tree
}

// valueAt is what stands at a path; nil for nothing.
func valueAt(tree map[string]any, path string) any {
	first, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return tree[first]
	}
	below, _ := tree[first].(map[string]any)
	return valueAt(below, rest)
}

// asText writes what a file has at a key.
func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case []any:
		var all []string
		for _, element := range v {
			all = append(all, asText(element))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		return "{...}"
	}
	return fmt.Sprint(value)
}
