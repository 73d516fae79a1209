// Keys at the top of a file that have no effect in a profile.

package experiments

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Overridden returns a message about the keys of the recipe that have another value than the
// paper's at the top of the file, and that the plan's profile overrides, so that the value at the
// top has no effect. It is "" if there are none.
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

// override is a key with its two values, in the form of the file.
type override struct{ key, top, profile string }

// overridden compares the recipe at the top of a file with that of a profile. written has the keys
// at the top.
func overridden(top, profile Spec, written map[string]place) (all []override) {
	paper := paperSpec()
	if cropped(top.Data, top.Input.Size) {
		paper.forPhotos()
		paper.Schedule = photoSchedule(top.Schedule)
	}
	ours, theirs, papers := treeOf(top), treeOf(profile), treeOf(paper)
	for path := range written {
		first, _, _ := strings.Cut(path, ".")
		if strings.Contains(path, "[") || first == "data" || slices.Contains(noIdentity, first) {
			continue // an element of a list, or a key that other messages mention
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

// photoSchedule returns the paper's schedule for ImageNet (section 3.4), with the patience of s,
// since the paper does not define a plateau.
func photoSchedule(s ScheduleSpec) ScheduleSpec {
	s.Stop = Steps(600000)
	if s.Plateau != nil {
		s.Plateau = &PlateauSpec{Of: "test_error", Patience: s.Plateau.Patience, Divide: 10}
	}
	return s
}

// treeOf converts a Spec or a Run to mappings, lists and scalars.
func treeOf(s any) (tree map[string]any) {
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	if err != nil {
		panic("experiments: a recipe cannot be written as JSON")
	}
	return tree
}

// valueAt returns the value at a path; nil if there is none.
func valueAt(tree map[string]any, path string) any {
	first, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return tree[first]
	}
	below, _ := tree[first].(map[string]any)
	return valueAt(below, rest)
}

// asText writes a value in the form of the file.
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
