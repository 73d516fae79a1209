// Package experiments reads the questions that the harness answers, from YAML
// files, and resolves them into runs. It trains nothing.
package experiments

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile bounds a question's file, in bytes.
const maxFile = 128 << 10

// Question is a loaded file.
type Question struct {
	Name  string   // of the file, without folder and ending: "plain_vs_res"
	File  string   // the path that was given to Load
	Text  string   // the question itself
	Plans []*Plan  // one for each profile, in the order of the file; never empty
	Old   []string // messages about words of older versions: "q.yaml: onednn is now called cpu"

	reader   Reader
	root     *decoder // of the file's keys outside its profiles
	base     Spec     // their values
	profiles profiles

	overridden map[string][]override // by profile
}

// Reader reads questions. Its functions look up what a question names outside its file. Their
// errors become complaints, "PROBLEM; HINT".
type Reader struct {
	Trained func(run string) (Trained, error)                          // a finished run, by the name of its folder in the store; nil: questions with continue are errors
	Weights func(file string, run Run) (sum string, err error)         // SHA-256 of a file of initial weights that fits the run's net; nil: files are not checked
	Count   func(data string) (train, test int, known bool, err error) // numbers of the user's own images, if they are found; nil: they are not looked for
}

// Trained is a finished run.
type Trained struct {
	Run     Run
	Weights string // SHA-256 of its weights
}

// Load reads a question that names no runs.
func Load(path string) (*Question, error) { return Reader{}.Load(path) }

// Parse reads a question that names no runs from the text of its file.
func Parse(file string, text []byte) (*Question, error) { return Reader{}.Parse(file, text) }

// Load reads the question in the file at path. The error is a *Complaints, with all errors in
// the file.
func (r Reader) Load(path string) (*Question, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	return r.Parse(path, text)
}

func unreadable(path string, err error) error {
	var inner *os.PathError
	reason := err
	if errors.As(err, &inner) {
		reason = inner.Err
	}
	return &Complaints{List: []Complaint{{File: path, Problem: "cannot be read: " + reason.Error()}}, cause: err}
}

// Parse reads a question from the text of its file. The path of the file is used for complaints,
// and for the name of the question. The error is a *Complaints.
func (r Reader) Parse(file string, text []byte) (*Question, error) {
	c := &collector{file: file}
	root := parseTree(c, text)
	if root == nil {
		return nil, c.err()
	}
	whole := fileSpec{Spec: paperSpec()}
	d := &decoder{collector: c, weights: r.Weights, count: r.Count, line: root.Line, from: map[string]place{}, bad: map[string]bool{}}
	d.mapping(root, "", reflect.ValueOf(&whole).Elem())
	if _, written := d.from["question"]; !written {
		c.add(place{line: root.Line, path: "question"}, "is missing", "the question in one sentence, such as question: Do deeper plain nets train worse?")
	}

	q := &Question{
		Name:     strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)),
		File:     file,
		Text:     whole.Question,
		reader:   r,
		root:     d,
		base:     whole.Spec,
		profiles: whole.Profiles,

		overridden: map[string][]override{},
	}
	if q.Name == "" || q.Name[0] == '.' || strings.ContainsAny(q.Name, "\\:\x00") {
		c.add(place{value: shorten(filepath.Base(file))}, "cannot be the name of a question's file", "results go into a folder of that name: use letters, digits, - and _")
	}
	if _, written := d.from["profiles"]; !written {
		q.profiles = profiles{{name: "default"}}
	}
	for _, p := range q.profiles {
		q.Plans = append(q.Plans, p.plan(q, d.below("", d.line), Changes{}))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	q.Old = c.old
	return q, nil
}

// parseTree parses the document of a file and checks its form: one mapping, without aliases, tags
// and duplicate keys. It returns nil if the tree cannot be read at all.
func parseTree(c *collector, text []byte) (root *yaml.Node) {
	defer func() {
		if r := recover(); r != nil { // yaml.v3 may panic on a damaged file
			c.add(place{}, fmt.Sprintf("is not valid YAML: %v", r), "")
			root = nil
		}
	}()
	if len(text) > maxFile {
		c.add(place{}, fmt.Sprintf("is larger than %d KiB", maxFile>>10), "a question is a page or two")
		return nil
	}
	var doc, next yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(text))
	if err := in.Decode(&doc); err == io.EOF {
		c.add(place{}, "is empty", "a question needs at least: question, and pairs or nets")
		return nil
	} else if err != nil {
		c.notYAML(text, err)
		return nil
	}
	if err := in.Decode(&next); err == nil {
		c.add(place{line: next.Line}, "expected one document, but a second one begins here", "remove the line ---")
	} else if err != io.EOF {
		c.notYAML(text, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].ShortTag() == "!!null" {
		c.add(place{}, "is empty", "a question needs at least: question, and pairs or nets")
		return nil
	}
	root = doc.Content[0]
	if root.Kind != yaml.MappingNode {
		c.add(place{line: root.Line, value: written(root)}, "expected a mapping of keys to values", "start with question: ...")
		return nil
	}
	before := len(c.list)
	c.checkForm(root, "")
	for _, one := range c.list[before:] {
		if one.Problem == noAliases {
			return nil // the values of aliases are missing from the tree
		}
	}
	return root
}

const noAliases = "anchors, aliases and merge keys are not allowed"

var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// notYAML adds an error of the parser as a complaint.
func (c *collector) notYAML(text []byte, err error) {
	at := place{}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		at.line, _ = strconv.Atoi(m[1])
	}
	hint := strayLine(text, at.line)
	switch {
	case !utf8.Valid(text), bytes.IndexByte(text, 0) >= 0:
		hint = "the file is not UTF-8: save it as that"
	case strings.Contains(err.Error(), "cannot start any token"):
		hint = "indent with spaces, not tabs, and put quotes around texts with special characters"
	}
	c.add(at, "is not valid YAML: "+yamlLine.ReplaceAllString(err.Error(), ""), hint)
}

// checkForm adds complaints about aliases, tags and duplicate keys anywhere in n. A duplicate key
// keeps its first value.
func (c *collector) checkForm(n *yaml.Node, path string) {
	at := place{n.Line, path, ""}
	if n.Kind == yaml.AliasNode {
		at.value = "*" + shorten(n.Value)
		c.add(at, noAliases, "write the value out")
		return
	}
	if n.Anchor != "" {
		at.value = "&" + shorten(n.Anchor)
		c.add(at, noAliases, "write the value out")
	}
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!str", "!!int", "!!float", "!!timestamp", "!!map", "!!seq", "!!merge":
	default:
		at.value = shorten(n.Tag)
		c.add(at, "YAML tags are not allowed", "leave the tag out")
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, element := range n.Content {
			c.checkForm(element, fmt.Sprintf("%s[%d]", path, i))
		}
	case yaml.MappingNode:
		c.checkKeys(n, path)
	}
}

func (c *collector) checkKeys(n *yaml.Node, path string) {
	lines := map[string]int{}
	var once []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := join(path, shorten(name.Value))
		switch line, twice := lines[name.Value]; {
		case name.Kind != yaml.ScalarNode:
			c.checkForm(name, path)
			c.add(place{name.Line, path, ""}, "expected a name as the key", "")
		case name.ShortTag() == "!!merge":
			c.add(place{name.Line, full, ""}, noAliases, "write the keys out")
		case name.Anchor != "":
			c.checkForm(name, full)
		case twice:
			c.add(place{name.Line, full, written(value)}, "the key is given a second time", fmt.Sprintf("it was first given in line %d", line))
			c.checkForm(value, full)
		default:
			lines[name.Value] = name.Line
			once = append(once, name, value)
			c.checkForm(value, full)
		}
	}
	n.Content = once
}
