package experiments

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"
)

// maxVariants bounds the variants of a question.
const maxVariants = 20

// variantSpec is another way to train all nets of a question, beside its own.
type variantSpec struct {
	Name   string `json:"name"`
	Extend string `json:"extend,omitempty"`
	Training
}

// variants are those of a file or a profile. They are read last, over what the
// profile at hand says.
type variants []variant

type variant struct {
	node *yaml.Node // nil once it is read
	path string     // where it stands: "profiles.preview.variants[0]"
	variantSpec
}

// MarshalJSON writes a variant that is read.
func (v variant) MarshalJSON() ([]byte, error) { return json.Marshal(v.variantSpec) }

var variantName = regexp.MustCompile(variantPattern)

const variantPattern = `^[a-z0-9][a-z0-9. -]{0,38}[a-z0-9]$`

// variants keeps the nodes of a list for readVariants.
func (d *decoder) variants(n *yaml.Node, path string, target *variants) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxVariants {
		d.refuse(path, n, fmt.Sprintf("expected a list of at most %d mappings", maxVariants), "such as [{name: no warm-up, schedule: {warmup: none}}]")
		return
	}
	list := make(variants, 0, len(n.Content))
	for i, node := range n.Content {
		list = append(list, variant{node: node, path: fmt.Sprintf("%s%s[%d]", d.prefix, path, i)})
	}
	*target = list
}

// readVariants reads the variants over the rest of s, and gives the recipe of
// each and where it stands.
func (d *decoder) readVariants(s *Spec) (recipes []Recipe, places []place) {
	read := make(variants, len(s.Variants))
	for i, v := range s.Variants {
		in := d.below(v.path+".", v.node.Line)
		in.inVariant = true
		own := *s
		one := variantSpec{Training: s.Training}
		in.mapping(v.node, "", reflect.ValueOf(&one).Elem())
		at := place{v.node.Line, v.path, ""}
		same := func(v variant) bool { return v.Name == one.Name }
		if one.Extend != "" && d.sound("pairs.depths", "nets") {
			one.Extend = archOf(one.Extend).String()
			d.extends(in.from["extend"], one.Extend, d.netNames(*s))
		}
		switch {
		case one.Name == "" && in.sound("name") && !in.bad[""]:
			d.add(at, "expected a name", "such as {name: no warm-up, schedule: {warmup: none}}")
		case one.Name != "" && slices.ContainsFunc(read[:i], same):
			d.add(in.from["name"], "stands in this list twice", "")
		}
		own.Training = one.Training
		recipes, places = append(recipes, in.resolve(&own)), append(places, at)
		one.Training = own.Training
		read[i] = variant{variantSpec: one}
	}
	s.Variants = read
	return recipes, places
}

// trainedTwice complains of variants, at places, that train no net in another
// way than the question itself or a variant before them.
func (d *decoder) trainedTwice(vs variants, runs []Run, places []place) {
	seen, used, changes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		variant := r.Variant
		r.ID, r.Variant = "", ""
		hash := r.Hash()
		used[variant] = true
		changes[variant] = changes[variant] || !seen[hash]
		seen[hash] = true
	}
	for i, v := range vs {
		if used[v.Name] && !changes[v.Name] {
			d.add(places[i], "trains every net as the question itself does, or a variant before it", "change something, or leave it out")
		}
	}
}

// checkVariant complains of a name that cannot be part of a file's name.
func checkVariant(name string) (problem, hint string) {
	if !variantName.MatchString(name) {
		return "expected a name of 2 to 40 small letters, digits, spaces, points and -", "it becomes part of the names of files"
	}
	return "", ""
}

// extends complains of a net to extend that is not trained, or that none of
// the nets extends.
func (d *decoder) extends(at place, shallow string, names []string) {
	if !slices.Contains(names, shallow) {
		d.add(at, "expected a net that the question trains", "write it into nets")
		return
	}
	var err error
	for _, name := range names {
		if err = extension(name, shallow); err == nil {
			return
		}
	}
	problem, hint := split(err.Error())
	d.add(at, "none of the nets extends it: "+problem, hint)
}
