// The decoder: reads YAML values into Go values, and checks them.

package experiments

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder reads the values of a YAML tree into a Go value that has values already: mappings are
// merged key by key, lists and scalars are replaced. For a wrong value it adds a complaint, marks
// its path in bad, and does not store it.
type decoder struct {
	*collector
	weights   func(file string, run Run) (sum string, err error)
	count     func(data string) (train, test int, known bool, err error)
	prefix    string // "profiles.preview." inside a profile
	line      int    // first line of the mapping
	inVariant bool
	isOnly    bool             // --only left nets out
	from      map[string]place // position of each value, by its path without prefix
	bad       map[string]bool  // paths with complaints
}

// below returns a decoder for a mapping that overrides some of the values that d has read: a
// profile or a variant.
func (d *decoder) below(prefix string, line int) *decoder {
	return &decoder{collector: d.collector, weights: d.weights, count: d.count, prefix: prefix, line: line, isOnly: d.isOnly, from: maps.Clone(d.from), bad: maps.Clone(d.bad)}
}

// note records the position of the value of path.
func (d *decoder) note(path string, n *yaml.Node) place {
	at := place{n.Line, d.prefix + path, written(n)}
	d.from[path] = at
	return at
}

// refuse adds a complaint about the value at path, and marks the path as bad.
func (d *decoder) refuse(path string, n *yaml.Node, problem, hint string) {
	d.add(d.note(path, n), problem, hint)
	d.bad[path] = true
}

// sound reports whether the values at all paths are valid: each was read without a complaint, or
// is a default, and no misspelt key may have been meant for it.
func (d *decoder) sound(paths ...string) bool {
	for _, path := range paths {
		if d.bad[path] {
			return false
		}
		if _, written := d.from[path]; written {
			continue
		}
		for i := strings.LastIndexByte(path, '.'); i > 0; i = strings.LastIndexByte(path[:i], '.') {
			if d.bad[path[:i]] {
				return false
			}
		}
	}
	return true
}

// soundBelow reports whether there is no complaint about the mapping at path or a value in it.
func (d *decoder) soundBelow(path string) bool {
	for bad := range d.bad {
		if bad == path || strings.HasPrefix(bad, path+".") {
			return false
		}
	}
	return true
}

// field is a key of a mapping that a struct describes.
type field struct {
	name  string
	index []int
	typ   reflect.Type
}

// fieldsOf lists the keys of a struct, including those of embedded structs.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.Anonymous && name != "" {
			fields = append(fields, field{name, f.Index, f.Type})
		}
	}
	return fields
}

// mapping reads n into the struct v.
func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.refuse(path, n, "expected a mapping of keys to values", "")
		return
	}
	fields := fieldsOf(v.Type())
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := join(path, name.Value)
		at := slices.Index(names, name.Value)
		if name.Kind != yaml.ScalarNode || at < 0 {
			d.unknown(name, path, names)
			continue
		}
		d.value(value, full, v.FieldByIndex(fields[at].index))
	}
}

// unknown adds a complaint about a key that the mapping at path does not have.
func (d *decoder) unknown(name *yaml.Node, path string, names []string) {
	d.bad[path] = true
	if d.full() {
		return
	}
	at := place{name.Line, d.prefix + join(path, shorten(name.Value)), ""}
	hint := cmp.Or(stray(name.Value), misplaced(name.Value, path, names))
	if where := onlyIn(name.Value); path == "" && where != "" {
		hint = name.Value + " is allowed only " + where
	}
	if _, ofAll := keys[name.Value]; d.inVariant && path == "" && ofAll {
		hint = name.Value + " is the same for the whole question"
	}
	d.add(at, "unknown key", hint)
}

// onlyIn says where a key is allowed that is allowed in one place only; "" for others.
func onlyIn(key string) string {
	switch key {
	case "question", "profiles":
		return "at the top of the file"
	case "like", "says", "needs", "caveats":
		return "in a profile of the file"
	}
	return ""
}

// value reads n into v, whose type decides what n may be. A value with unusual characters, such
// as a no-break space, that would be right without them gets a complaint about these.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.refuse(path, n, "expected a value", "leave the key out for the default")
		return
	}
	d.note(path, n)
	if meant := strings.TrimSpace(plain(n.Value)); n.Kind == yaml.ScalarNode && meant != n.Value && wrongWith(path, scalar(meant), v.Type()) == "" {
		if wrong := wrongWith(path, n, v.Type()); wrong != "" {
			d.refuse(path, n, wrong, stray(n.Value))
			return
		}
	}
	d.read(n, path, v)
}

// read reads n, which is not null, into v.
func (d *decoder) read(n *yaml.Node, path string, v reflect.Value) {
	if v.Kind() != reflect.Struct {
		delete(d.bad, path) // a complaint about the replaced value no longer matters
	}
	switch target := v.Addr().Interface().(type) {
	case *profiles:
		decodeProfiles(d, n, target)
	case *variants:
		decodeVariants(d, n, path, target)
	case *vary:
		decodeVary(d, n, path, target)
	case settler:
		d.mapping(n, path, v)
		if problem, hint := target.settle(keysOf(n)); problem != "" && d.soundBelow(path) {
			d.refuse(path, n, problem, hint)
		}
	case **WarmupSpec:
		decodeWarmup(d, n, path, target)
	case **PlateauSpec:
		decodePlateau(d, n, path, target)
	case **ContinueSpec:
		decodeContinue(d, n, path, target)
	case *runNames:
		if n.Kind == yaml.ScalarNode {
			n = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Content: []*yaml.Node{n}}
		}
		decodeList(d, n, path, v)
	case *Time:
		decodeText(d, n, path, timeLike, func(s string) (problem, hint string) {
			t, problem, hint := parseTime(s)
			if problem == "" {
				*target = t
			}
			return problem, hint
		})
	case **Time:
		var t Time
		if d.value(n, path, reflect.ValueOf(&t).Elem()); !d.bad[path] {
			*target = &t
		}
	case **Percent:
		decodeText(d, n, path, percentLike, func(s string) (problem, hint string) {
			p, problem, hint := parsePercent(s)
			if problem == "" {
				*target = &p
			}
			return problem, hint
		})
	default:
		switch v.Kind() {
		case reflect.Struct:
			d.mapping(n, path, v)
		case reflect.Slice:
			decodeList(d, n, path, v)
		case reflect.String:
			decodeText(d, n, path, "a text", func(s string) (problem, hint string) {
				s = d.renamed(s, keyOf(path))
				if problem, hint = checkText(s, keyOf(path)); problem == "" {
					v.SetString(s)
				}
				return problem, hint
			})
		case reflect.Bool:
			decodeBool(d, n, path, v)
		case reflect.Int, reflect.Uint64:
			decodeWhole(d, n, path, v)
		case reflect.Float64:
			decodeNumber(d, n, path, v)
		default:
			panic("experiments: a field of a type that files cannot hold")
		}
	}
}

// decodeText calls set with the text of a scalar, and adds a complaint if set returns a problem. like
// describes the expected value.
func decodeText(d *decoder, n *yaml.Node, path, like string, set func(string) (problem, hint string)) {
	if n.Kind != yaml.ScalarNode {
		d.refuse(path, n, "expected "+like, "")
		return
	}
	if problem, hint := set(n.Value); problem != "" {
		d.refuse(path, n, problem, hint)
	}
}

func decodeBool(d *decoder, n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		hint := ""
		switch strings.ToLower(n.Value) {
		case "yes", "on", "y", "1":
			hint = "write true"
		case "no", "off", "n", "0":
			hint = "write false"
		}
		d.refuse(path, n, "expected true or false", hint)
		return
	}
	v.SetBool(strings.EqualFold(n.Value, "true"))
}

func decodeWhole(d *decoder, n *yaml.Node, path string, v reflect.Value) {
	k := keyOf(path)
	x, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || float64(x) < k.min || float64(x) > k.max {
		hint := ""
		if t, wrong, _ := parseTime(n.Value); wrong == "" && wrongWith(path, scalar(t.amount), v.Type()) == "" {
			hint = "without a unit: " + t.amount
		}
		if r := asRange(n.Value); r != "" && k.ranged && strings.HasSuffix(path, "]") {
			hint = "write a range without brackets: " + r
		}
		d.refuse(path, n, fmt.Sprintf("expected a whole number from %.0f to %.0f", k.min, k.max), hint)
		return
	}
	if k.check != nil {
		if problem, hint := k.check(strconv.FormatInt(x, 10)); problem != "" {
			d.refuse(path, n, problem, hint)
			return
		}
	}
	if v.Kind() == reflect.Int {
		v.SetInt(x)
	} else {
		v.SetUint(uint64(x))
	}
}

func decodeNumber(d *decoder, n *yaml.Node, path string, v reflect.Value) {
	k := keyOf(path)
	x, err := strconv.ParseFloat(n.Value, 64)
	tag := n.ShortTag()
	ok := n.Kind == yaml.ScalarNode && (tag == "!!float" || tag == "!!int") && err == nil && !math.IsNaN(x)
	if !ok || x < k.min || x > k.max || (k.above && x == k.min) || (k.below && x == k.max) {
		d.refuse(path, n, "expected a number "+k.bounds(), "")
		return
	}
	if x != 0 && float32(x) == 0 {
		d.refuse(path, n, fmt.Sprintf("is 0 in float32, in which nets are trained; expected a number %s", k.bounds()), fmt.Sprintf("the smallest is %.2g", math.SmallestNonzeroFloat32))
		return
	}
	v.SetFloat(x)
}

// bounds describes the numbers that a key allows: "above 0 to 1000".
func (k key) bounds() string {
	from, to := "from", "to"
	if k.above {
		from = "above"
	}
	if k.below {
		to = "to below"
	}
	return fmt.Sprintf("%s %g %s %g", from, k.min, to, k.max)
}

// decodeList reads n into the slice v. If an element is wrong, v stays as it is.
func decodeList(d *decoder, n *yaml.Node, path string, v reflect.Value) {
	if keyOf(path).ranged {
		list, problem, hint := expandRange(n)
		if problem != "" {
			d.refuse(path, n, problem, hint)
			return
		}
		if list != nil {
			if wrong := wrongWith(path, list, v.Type()); wrong != "" {
				d.refuse(path, n, wrong, listHint(path, n.Value, v.Type()))
				return
			}
			n = list
		}
	}
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if n.Kind == yaml.ScalarNode {
			hint = listHint(path, n.Value, v.Type())
		}
		d.refuse(path, n, "expected a list", hint)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	first := map[any]int{}
	for i, element := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.value(element, at, list.Index(i))
		if !keyOf(path).unique || d.bad[at] {
			continue
		}
		x := list.Index(i).Interface()
		if j, twice := first[x]; twice {
			d.refuse(at, element, "is in this list twice", fmt.Sprintf("the first is %s[%d]", path, j))
		} else {
			first[x] = i
		}
	}
	for i := range n.Content {
		if d.bad[fmt.Sprintf("%s[%d]", path, i)] {
			d.bad[path] = true
			return
		}
	}
	v.Set(list)
}

// decodeWarmup reads a mapping, or the word none.
func decodeWarmup(d *decoder, n *yaml.Node, path string, target **WarmupSpec) {
	if n.Kind != yaml.MappingNode {
		decodeText(d, n, path, "a mapping, or none", func(s string) (problem, hint string) {
			if s != "none" {
				return "expected a mapping such as {rate: 0.01, until: 80 %}, or none", ""
			}
			*target = nil
			return "", ""
		})
		return
	}
	var w WarmupSpec
	if *target != nil {
		w = *(*target)
	}
	until, stretch := w.Until, w.For
	w.Until, w.For = nil, nil
	d.mapping(n, path, reflect.ValueOf(&w).Elem())
	switch {
	case w.Until != nil && w.For != nil:
		d.refuse(path, n, "until and for contradict each other", "write one of the two")
	case w.Until == nil && w.For == nil:
		w.Until, w.For = until, stretch
	}
	if d.soundBelow(path) && (w.Rate == 0 || (w.Until == nil && w.For == nil)) {
		d.refuse(path, n, "expected rate, and until or for", "such as {rate: 0.01, until: 80 %}")
	}
	*target = &w
}

// decodePlateau reads a mapping; keys that it lacks keep their values in target, or the defaults.
func decodePlateau(d *decoder, n *yaml.Node, path string, target **PlateauSpec) {
	p := PlateauSpec{Of: "test_error", Divide: 10}
	if *target != nil {
		p = *(*target)
	}
	d.mapping(n, path, reflect.ValueOf(&p).Elem())
	if d.soundBelow(path) && p.Patience == (Time{}) {
		d.refuse(path, n, "expected patience", "such as {of: test_error, patience: 10 epochs, divide: 10}")
	}
	*target = &p
}

// settler is a mapping in which some keys exclude others: a key in the newest mapping resets
// those that it excludes. settle gets the keys of that mapping, and returns a problem if they
// contradict each other.
type settler interface {
	settle(written map[string]bool) (problem, hint string)
}

// keysOf returns the set of a mapping's keys.
func keysOf(n *yaml.Node) map[string]bool {
	written := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		written[n.Content[i].Value] = true
	}
	return written
}

// settle keeps the newest of at, plateau and a form without drops, and resets the others.
func (s *ScheduleSpec) settle(written map[string]bool) (problem, hint string) {
	drops, smooth := written["at"] && len(s.At) > 0, s.Form != "steps"
	switch {
	case written["plateau"] && drops:
		return "at and plateau contradict each other", "write one of the two"
	case written["form"] && smooth && (written["plateau"] || drops):
		return s.Form + " has no drops of the rate", "leave at and plateau out"
	case written["form"] && smooth:
		s.At, s.Plateau = []Time{}, nil
	case written["plateau"]:
		s.Form, s.At = "steps", []Time{}
	case written["at"]:
		s.Form, s.Plateau = "steps", nil
	}
	return "", ""
}

// settle keeps the newer of batches and moving averages, which have none.
func (b *BatchNorm) settle(written map[string]bool) (problem, hint string) {
	moving := b.Statistics == "moving"
	switch {
	case moving && written["statistics"] && written["batches"]:
		return "batches are of averaged statistics, and these are moving averages", "leave batches out, or write statistics: averaged"
	case moving && written["batches"]:
		b.Statistics = "averaged"
	case moving:
		b.Batches = 0
	case b.Batches == 0:
		b.Batches = paperTraining().BatchNorm.Batches
	}
	return "", ""
}

// checkText checks that a text is not empty, not too long, of one line, and one of the words that
// k allows.
func checkText(s string, k key) (problem, hint string) {
	switch {
	case k.orFile && IsFile(s):
	case k.oneOf != nil && !slices.Contains(k.oneOf, s):
		hint = didYouMean(s, k.oneOf)
		if k.orFile {
			hint = cmp.Or(hint, "or a file of weights: FILE"+weightsEnding)
		}
		return "expected one of " + strings.Join(k.oneOf, ", "), hint
	case strings.TrimSpace(s) == "":
		return "expected a text, not an empty one", ""
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }):
		return "expected a text of one line", ""
	case k.longest > 0 && len([]rune(s)) > k.longest:
		return fmt.Sprintf("expected at most %d characters", k.longest), ""
	case k.check != nil:
		return k.check(s)
	}
	return "", ""
}

// keyOf returns the key at path; for an element's path, that of its list.
func keyOf(path string) key {
	path, _, _ = strings.Cut(path, "[")
	return keys[path]
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// written returns the value of n in the form of complaints.
func written(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "{...}"
	case yaml.SequenceNode:
		return fmt.Sprintf("a list of %d", len(n.Content))
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
		if n.ShortTag() == "!!str" {
			return strconv.Quote(shorten(n.Value))
		}
	}
	return shorten(n.Value)
}
