// Variants: other recipes for all nets of a question.

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

// variantSpec is another recipe for all nets of a question, in addition to the question's own.
type variantSpec struct {
	Name   string `json:"name"`
	Extend string `json:"extend,omitempty"`
	Training
}

// variants are the variants of a file or a profile. They are read last, after the profile.
type variants []variant

type variant struct {
	node *yaml.Node // nil after it was read
	path string     // in the file: "profiles.preview.variants[0]"
	variantSpec
}

// MarshalJSON writes a variant that readVariants has read.
func (v variant) MarshalJSON() ([]byte, error) { return json.Marshal(v.variantSpec) }

var variantName = regexp.MustCompile(variantPattern)

const variantPattern = `^[a-z0-9][a-z0-9. -]{0,38}[a-z0-9]$`

// decodeVariants keeps the nodes of a list for readVariants.
func decodeVariants(d *decoder, n *yaml.Node, path string, target *variants) {
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

// variantRecipe is a variant after reading and resolving.
type variantRecipe struct {
	variantSpec
	recipe Recipe
	at     place
	init   place    // of the key init
	values []string // of the keys of vary; nil for a variant of the list variants
}

// readVariants reads each variant with s as its default, and resolves it.
func readVariants(d *decoder, s *Spec) (all []variantRecipe) {
	if len(s.Vary) > 0 {
		if len(s.Variants) > 0 {
			d.add(s.Vary[0].at, "vary and variants contradict each other", "write one of the two; variants: [] and vary: {} remove those of the top of the file")
			return nil
		}
		return readVary(d, s)
	}
	read := variants{}
	for _, v := range s.Variants {
		in := d.below(v.path+".", v.node.Line)
		in.inVariant = true
		own := *s
		one := variantRecipe{variantSpec: variantSpec{Training: s.Training}, at: place{v.node.Line, v.path, ""}}
		in.mapping(v.node, "", reflect.ValueOf(&one.variantSpec).Elem())
		if one.Extend != "" && d.sound("pairs.depths", "nets") {
			one.Extend = archOf(one.Extend).String()
			if d.isOnly && !isExtended(d, *s, one.Extend) {
				continue // --only left out the nets of this variant
			}
			checkExtends(d, in.from["extend"], one.Extend, netNames(d, *s))
		}
		same := func(v variant) bool { return v.Name == one.Name }
		switch {
		case one.Name == "" && in.sound("name") && !in.bad[""]:
			d.add(one.at, "expected a name", "such as {name: no warm-up, schedule: {warmup: none}}")
		case one.Name != "" && slices.ContainsFunc(read, same):
			d.add(in.from["name"], "is in this list twice", "")
		}
		own.Training = one.Training
		one.recipe, one.init = resolve(in, &own), in.place("init")
		one.Training = own.Training
		all = append(all, one)
		read = append(read, variant{variantSpec: one.variantSpec})
	}
	s.Variants = read
	return all
}

// checkTrainedTwice adds complaints about variants whose runs are all the same as those of the
// question itself or of a variant before them.
func checkTrainedTwice(d *decoder, variants []variantRecipe, runs []Run) {
	seen, used, changes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		variant := r.Variant
		r.ID, r.Variant = "", ""
		hash := r.Hash()
		used[variant] = true
		changes[variant] = changes[variant] || !seen[hash]
		seen[hash] = true
	}
	for _, v := range variants {
		if used[v.Name] && !changes[v.Name] {
			at := v.at
			if v.values != nil {
				at.value = v.Name
			}
			d.add(at, "trains every net as the question itself does, or a variant before it", "change something, or leave it out")
		}
	}
}

// checkVariant checks that a variant's name can be part of a file's name.
func checkVariant(name string) (problem, hint string) {
	if !variantName.MatchString(name) {
		return "expected a name of 2 to 40 lower-case letters, digits, spaces, points and -", "it becomes part of the names of files"
	}
	return "", ""
}

// checkExtends adds a complaint if the net to extend is not trained, or if none of the nets is an
// extension of it.
func checkExtends(d *decoder, at place, shallow string, names []string) {
	if !slices.Contains(names, shallow) {
		hint := "write it into nets"
		if d.isOnly {
			hint = "add it to " + onlyPrefix
		}
		d.add(at, "expected a net that the question trains", hint)
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

// isExtended reports whether one of the nets extends the shallow one.
func isExtended(d *decoder, s Spec, shallow string) bool {
	return slices.ContainsFunc(netNames(d, s), func(name string) bool { return extension(name, shallow) == nil })
}
