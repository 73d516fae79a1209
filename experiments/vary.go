// Sweeps: keys of the recipe with a list of values each.

package experiments

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxCombinations = 100 // of the values of varied keys
	longestVaried   = 80  // characters of a combination's name
)

// vary holds the keys of the recipe that a question varies, in the order of its file.
type vary []variedKey

type variedKey struct {
	key    string // "optimizer.rate"
	values []*yaml.Node
	at     place // of vary in the file
}

// Varied describes the sweep of a question: the varied keys of the recipe and, by the name of each
// variant, its values of these keys.
type Varied struct {
	Keys   []string
	Values map[string][]string
}

// MarshalJSON writes the keys in their order.
func (v vary) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, k := range v {
		if i > 0 {
			out.WriteByte(',')
		}
		var values []json.RawMessage
		for _, n := range k.values {
			values = append(values, rawJSON(n))
		}
		key, err := json.Marshal(k.key)
		if err != nil {
			return nil, err
		}
		list, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s:%s", key, list)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// rawJSON writes a value as JSON. Numbers have a canonical form: 1e-1 and 0.1 are equal.
func rawJSON(n *yaml.Node) json.RawMessage {
	if n.Kind == yaml.SequenceNode {
		var all [][]byte
		for _, element := range n.Content {
			all = append(all, rawJSON(element))
		}
		return slices.Concat([]byte("["), bytes.Join(all, []byte(",")), []byte("]"))
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		if x, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64); err == nil && json.Valid([]byte(numberText(x))) {
			return []byte(numberText(x))
		}
	case "!!bool":
		return []byte(strings.ToLower(n.Value))
	}
	text, err := json.Marshal(n.Value)
	if err != nil {
		panic("experiments: a text cannot be written as JSON")
	}
	return text
}

// numberText writes a number in its shortest exact form, such as 0.0001 or 1e-05.
func numberText(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// decodeVary reads the keys and keeps their values for readVary, which reads them after the profile.
func decodeVary(d *decoder, n *yaml.Node, path string, target *vary) {
	const such = "such as {optimizer.rate: [0.1, 0.03]}"
	if n.Kind != yaml.MappingNode {
		d.refuse(path, n, "expected a mapping of keys to lists of values", such)
		return
	}
	var read vary
	combinations := 1
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, list := n.Content[i], n.Content[i+1]
		full := path + "." + shorten(name.Value)
		if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
			d.refuse(full, list, "expected a list of values", such)
			return
		}
		seen := map[string]int{}
		for j, value := range list.Content {
			element := fmt.Sprintf("%s[%d]", full, j)
			if !isValue(value) {
				d.refuse(element, value, "expected a value, or a list of values", "write variants for what takes more than that")
				return
			}
			first, twice := seen[string(rawJSON(value))]
			if twice {
				d.refuse(element, value, "is in this list twice", fmt.Sprintf("the first is %s[%d]", full, first))
				return
			}
			seen[string(rawJSON(value))] = j
		}
		read = append(read, variedKey{name.Value, list.Content, place{n.Line, d.prefix + path, written(n)}})
		if combinations *= len(list.Content); combinations > maxCombinations {
			d.refuse(path, n, fmt.Sprintf("expected at most %d combinations of values", maxCombinations), "")
			return
		}
	}
	*target = read
}

// isValue reports whether n is a scalar, or a list of scalars that is not empty.
func isValue(n *yaml.Node) bool {
	if n.Kind == yaml.SequenceNode {
		return len(n.Content) > 0 && !slices.ContainsFunc(n.Content, func(e *yaml.Node) bool { return e.Kind != yaml.ScalarNode })
	}
	return n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null"
}

// readVary returns a variant for each combination of values.
func readVary(d *decoder, s *Spec) (all []variantRecipe) {
	at := s.Vary[0].at
	for choice := range combinations(s.Vary) {
		in := d.below(at.path+".", at.line)
		in.inVariant = true
		tree := &yaml.Node{Kind: yaml.MappingNode}
		one := variantRecipe{at: at}
		for i, k := range s.Vary {
			value := k.values[choice[i]]
			if !insert(tree, strings.Split(k.key, "."), value) {
				d.add(at, k.key+" is varied twice, or as a part of another key", "leave one of the two out")
				return nil
			}
			one.values = append(one.values, valueText(value, ", "))
		}
		one.Name = s.Vary.name(choice)
		if len(one.Name) > longestVaried {
			d.add(at, fmt.Sprintf("the name %q has more than %d characters", one.Name, longestVaried), "write variants, with names of your own")
			return nil
		}
		if slices.ContainsFunc(all, func(other variantRecipe) bool { return other.Name == one.Name }) {
			d.add(at, fmt.Sprintf("two combinations have the name %q", one.Name), "write variants, with names of your own")
			return nil
		}
		own := *s
		in.mapping(tree, "", reflect.ValueOf(&own.Training).Elem())
		one.recipe, one.init = resolve(in, &own), in.place("init")
		one.Training = own.Training
		all = append(all, one)
	}
	return all
}

// combinations yields every choice of one value for each key, as indices; the last key varies
// fastest.
func combinations(v vary) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		choice := make([]int, len(v))
		for {
			if !yield(choice) {
				return
			}
			i := len(v) - 1
			for ; i >= 0; i-- {
				if choice[i]++; choice[i] < len(v[i].values) {
					break
				}
				choice[i] = 0
			}
			if i < 0 {
				return
			}
		}
	}
}

// name returns the name of a combination: "rate 0.03 decay 0.0001".
func (v vary) name(choice []int) string {
	var words []string
	for i, k := range v {
		short := k.key[strings.LastIndexByte(k.key, '.')+1:]
		if slices.ContainsFunc(v, func(other variedKey) bool { return other.key != k.key && strings.HasSuffix(other.key, "."+short) }) {
			short = k.key
		}
		words = append(words, short, valueText(k.values[choice[i]], " "))
	}
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return ' '
	}
	return strings.Join(strings.Fields(strings.Map(plain, strings.Join(words, " "))), " ")
}

// valueText writes a value without quotes and brackets; comma separates the elements of a list.
func valueText(n *yaml.Node, comma string) string {
	if n.Kind == yaml.SequenceNode {
		var all []string
		for _, element := range n.Content {
			all = append(all, valueText(element, comma))
		}
		return strings.Join(all, comma)
	}
	return strings.Trim(string(rawJSON(n)), `"`)
}

// addValueFigure adds the figure of a sweep, or a complaint about that figure without a sweep.
func addValueFigure(d *decoder, s *Spec) {
	const figure = "final_error_vs_value"
	asked := slices.Contains(s.Figures, figure)
	switch {
	case len(s.Vary) > 0 && !asked:
		s.Figures = append(slices.Clone(s.Figures), figure)
	case len(s.Vary) == 0 && asked && d.sound("vary", "figures"):
		d.add(d.place("figures"), figure+" draws errors over the values of vary, which is missing", "write vary: {optimizer.rate: [0.1, 0.03]}; the figure comes with it")
	}
}

// varied returns the values that the variants have of the varied keys.
func varied(v vary, variants []variantRecipe) (out Varied) {
	for _, k := range v {
		out.Keys = append(out.Keys, k.key)
	}
	for _, one := range variants {
		if len(one.values) > 0 {
			if out.Values == nil {
				out.Values = map[string][]string{}
			}
			out.Values[one.Name] = one.values
		}
	}
	return out
}
