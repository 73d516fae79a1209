// Changes of a question by the command line: --set, --only and --name.

package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"depthlab/nets"
)

// Changes are applied to a question after its file was read. They override the file and its
// profiles.
type Changes struct {
	Set  []string // "optimizer.rate=0.05": a key of the file, and its value in YAML
	Only []string // names of nets: the question's other nets are not trained
	Name string   // name of the changes in the results' folder; "" for a name made of the changes

	tree *yaml.Node // Set as one mapping, in the form of a file
}

// Prefixes of the paths of values that are not from the file.
const (
	setPrefix  = "--set "
	onlyPrefix = "--only"
	namePrefix = "--name"
)

// onCommandLine reports whether a path is of the command line.
func onCommandLine(path string) bool {
	return strings.HasPrefix(path, setPrefix) || path == onlyPrefix || path == namePrefix
}

// texts returns the changes as on the command line: "--set optimizer.rate=0.05".
func (c Changes) texts() (all []string) {
	for _, s := range c.Set {
		all = append(all, setPrefix+s)
	}
	if len(c.Only) > 0 {
		all = append(all, onlyPrefix+" "+strings.Join(c.Only, ","))
	}
	return all
}

// Change returns the question with changes in all its profiles. If they cannot be applied to a
// profile, its plan has the reason in Wrong. The error, a *Complaints, is of changes that are
// wrong for every profile.
func (q *Question) Change(c Changes) (*Question, error) {
	if len(c.Set) == 0 && len(c.Only) == 0 && c.Name == "" {
		return q, nil
	}
	all := &collector{file: q.File}
	c.Set = slices.Sorted(slices.Values(c.Set)) // the question does not depend on their order
	c.tree = all.settings(c.Set)
	all.name(c.Name)
	if err := all.err(); err != nil {
		return nil, err
	}
	changed := *q
	changed.Plans = nil
	for _, p := range q.profiles {
		root := q.root.below("", q.root.line)
		root.collector = &collector{file: q.File}
		plan := p.plan(q, root, c)
		plan.Wrong = root.err()
		changed.Plans = append(changed.Plans, plan)
	}
	return &changed, nil
}

// settings combines texts such as "optimizer.rate=0.05" in one mapping.
func (c *collector) settings(texts []string) *yaml.Node {
	tree := &yaml.Node{Kind: yaml.MappingNode}
	for _, text := range texts {
		path, value, found := strings.Cut(text, "=")
		at := place{path: setPrefix + shorten(path), value: shorten(value)}
		if !found || path == "" {
			at.value = ""
			c.add(at, "expected KEY=VALUE", "such as "+setPrefix+"optimizer.rate=0.05")
			continue
		}
		n, err := parseValue(value)
		if err != nil {
			c.add(at, "is not valid YAML: "+err.Error(), "put quotes around special characters")
			continue
		}
		c.checkForm(n, at.path)
		if !insert(tree, keysIn(path), n) {
			c.add(at, "is set twice", "leave one of the two out")
		}
	}
	return tree
}

// parseValue parses a value in YAML, in one line.
func parseValue(text string) (n *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // yaml.v3 may panic
			err = fmt.Errorf("%v", r)
		}
	}()
	if strings.ContainsAny(text, "\n\r") {
		return nil, fmt.Errorf("expected one line")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("%s", yamlLine.ReplaceAllString(err.Error(), ""))
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	}
	forget(doc.Content[0])
	return doc.Content[0], nil
}

// forget clears the line numbers of nodes that are not from a file.
func forget(n *yaml.Node) {
	n.Line = 0
	for _, child := range n.Content {
		forget(child)
	}
}

// keysIn splits a path at its points. A key of vary is itself a path.
func keysIn(path string) []string {
	if first, rest, found := strings.Cut(path, "."); found && first == "vary" {
		return []string{first, rest}
	}
	return strings.Split(path, ".")
}

// insert adds a value under its path to a mapping. It returns false if the path, or a part of
// it, has a value already.
func insert(tree *yaml.Node, path []string, n *yaml.Node) bool {
	at, key := valueOf(tree, path[0]), scalar(path[0])
	key.Line = n.Line
	switch {
	case at == nil && len(path) == 1:
		tree.Content = append(tree.Content, key, n)
		return true
	case at == nil:
		at = &yaml.Node{Kind: yaml.MappingNode, Line: n.Line}
		tree.Content = append(tree.Content, key, at)
	case len(path) == 1 || at.Kind != yaml.MappingNode:
		return false
	}
	return insert(at, path[1:], n)
}

// applyChanges applies the changes of the command line to spec, after file and profile.
func applyChanges(d *decoder, spec *profileSpec, c Changes) {
	if c.tree != nil {
		set := d.below(setPrefix, 0)
		set.mapping(c.tree, "", reflect.ValueOf(&spec.Spec).Elem())
		d.from, d.bad = set.from, set.bad
	}
	if len(c.Only) > 0 && spec.Continue != nil {
		d.add(place{path: onlyPrefix}, "chooses among the nets of a question, and this one continues runs", "leave it out, or name the runs in continue.run")
		return
	}
	if len(c.Only) > 0 && d.sound("pairs.depths", "nets") {
		keepOnly(d, &spec.Spec, c.Only)
	}
}

// keepOnly keeps those of a question's nets that are named.
func keepOnly(d *decoder, s *Spec, names []string) {
	trained := netNames(d, *s)
	var wanted []string
	for _, name := range names {
		at := place{path: onlyPrefix, value: strconv.Quote(shorten(name))}
		arch, err := nets.ParseArch(name)
		if err == nil && slices.Contains(trained, arch.String()) {
			wanted = append(wanted, arch.String())
			continue
		}
		problem, hint := checkNet(name)
		if problem == "" {
			problem = "is not one of the question's nets, which are " + strings.Join(trained, ", ")
		}
		if near := didYouMean(name, trained); near != "" {
			hint = near
		}
		d.add(at, problem, hint)
	}
	if len(wanted) < len(names) {
		d.bad["nets"] = true
		return
	}
	d.isOnly = true
	s.Pairs.Depths = []int{}
	s.Nets = slices.DeleteFunc(trained, func(name string) bool { return !slices.Contains(wanted, name) })
	at := place{path: onlyPrefix, value: shorten(strings.Join(names, ","))}
	for path := range d.from {
		if path == "pairs.depths" || path == "nets" || strings.HasPrefix(path, "nets[") {
			d.from[path] = at
		}
	}
}

var givenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._,=-]{0,59}$`)

// name adds a complaint about a name that cannot be part of a folder's name.
func (c *collector) name(name string) {
	if name != "" && !givenName.MatchString(name) {
		c.add(place{path: namePrefix, value: shorten(name)}, "expected at most 60 letters, digits and . _ , = -, a letter or digit first", "it becomes part of the name of a folder")
	}
}

// longestFolder bounds the name of a folder of results, in characters.
const longestFolder = 120

// folder returns the name of the folder for the results of a profile with the changes:
// "preview+optimizer.rate=0.05". Without Name, different changes have different names.
func (c Changes) folder(profile string) string {
	if c.Name != "" {
		return profile + "+" + c.Name
	}
	name, exact := profile, true
	for _, text := range c.texts() {
		text, _ = strings.CutPrefix(text, setPrefix)
		safe, same := safeName(strings.Replace(text, onlyPrefix+" ", "only=", 1))
		name += "+" + safe
		exact = exact && same && !strings.HasPrefix(text, "init=") // paths may differ in a / or _ only
	}
	if exact && len(name) <= longestFolder {
		return name
	}
	sum := sha256.Sum256([]byte(strings.Join(c.texts(), "\n")))
	tail := "-" + hex.EncodeToString(sum[:4])
	return name[:min(len(name), longestFolder-len(tail))] + tail
}

// safeName writes a setting in characters that are safe in every file system and shell. exact
// says that no other sensible setting has the same name: brackets, braces, and blanks after
// commas can be dropped.
func safeName(text string) (safe string, exact bool) {
	exact = true
	for _, r := range strings.NewReplacer("[", "", "]", "", "{", "", "}", "", ": ", "=", ", ", ",", "/", "_", " ", "_", "%", "percent").Replace(text) {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._,=-", r) {
			safe += string(r)
			continue
		}
		safe += "-"
		exact = false
	}
	return safe, exact
}
