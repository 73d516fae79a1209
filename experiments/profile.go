// Profiles: a question for different machines; Plan and Choose.

package experiments

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"depthlab/experiments/dataset"
)

// maxProfiles is the largest number of profiles of a file.
const maxProfiles = 50

// Plan is a profile of a question, with every value resolved.
type Plan struct {
	Question     string   // the question itself: the title of figures
	Name         string   // of the file: "plain_vs_res"
	Profile      string   // "cifar10-cpu"; "default" in a file without profiles
	Folder       string   // name of the results' folder: the profile and the changes, "preview+optimizer.rate=0.05"
	Changes      []string // of the command line, in its form: "--set optimizer.rate=0.05"
	Says         string   // one line for the user; may be empty
	Needs        []string // words of Needs: those of the profile, and the data set unless it is generated
	Caveats      []string // of the profile; Run.Paper returns those of a recipe
	Figures      []string // words of Figures
	Measurements          // of the figures
	Runs         []Run    // in the order of training
	Varied       Varied   // the sweep; zero without vary
	Wrong        error    // why the command line's changes cannot be applied to this profile, a *Complaints; else nil

	spec     Spec
	recipe   Recipe
	adaptive []string // keys that Resolved leaves out
}

// Missing is a need of a profile that the machine does not meet.
type Missing struct {
	Profile string `json:"profile"`
	Need    string `json:"need"`
}

func (m Missing) String() string {
	what := dataset.Of(m.Need).Files + ", none were found"
	switch m.Need {
	case "gpu":
		what = "a GPU, none can be used"
	case "cpu":
		what = "a CPU with AVX2 and FMA, or a 64-bit ARM CPU, and this one is neither"
	}
	return m.Profile + ": needs " + what
}

// Choose returns the plan of the profile called name, or if name is "" that of the first profile
// whose needs are all in have. missing lists the unmet needs of the profiles before it; with a
// name, those of that profile, which is returned all the same. It is an error if there is no such
// profile, if none can run, or if the command line's changes cannot be applied to the chosen one.
func (q *Question) Choose(have map[string]bool, name string) (plan *Plan, missing []Missing, err error) {
	var names, reasons []string
	for _, p := range q.Plans {
		lacks := p.missing(have)
		if name == p.Profile {
			return p, lacks, p.Wrong
		}
		if name == "" && len(lacks) == 0 {
			return p, missing, p.Wrong
		}
		missing = append(missing, lacks...)
		names = append(names, p.Profile)
	}
	if name == "" {
		for _, m := range missing {
			reasons = append(reasons, m.String())
		}
		return nil, missing, fmt.Errorf("%s: no profile can run on this machine: %s", q.File, strings.Join(reasons, "; "))
	}
	err = fmt.Errorf("%s has no profile %q; it has %s", q.File, name, strings.Join(names, ", "))
	if hint := didYouMean(name, names); hint != "" {
		err = fmt.Errorf("%w (%s)", err, hint)
	}
	return nil, nil, err
}

// missing lists the needs that are not in have.
func (p *Plan) missing(have map[string]bool) (all []Missing) {
	for _, need := range p.Needs {
		if !have[need] {
			all = append(all, Missing{p.Profile, need})
		}
	}
	return all
}

// profiles are the profiles of a file, in its order.
type profiles []profileNode

// profileNode is a profile before it is read.
type profileNode struct {
	name string
	line int        // of the name
	body *yaml.Node // nil for a file without profiles
}

var profileName = regexp.MustCompile(profilePattern)

const profilePattern = `^[a-z0-9][a-z0-9_-]{0,39}$`

// decodeProfiles reads the names of the profiles and keeps their nodes for plan.
func decodeProfiles(d *decoder, n *yaml.Node, target *profiles) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		d.refuse("profiles", n, "expected a mapping of names to profiles", "without profiles leave the key out")
		return
	}
	if len(n.Content) > 2*maxProfiles {
		d.refuse("profiles", n, fmt.Sprintf("expected at most %d profiles", maxProfiles), "")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, body := n.Content[i], n.Content[i+1]
		at := place{line: name.Line, path: "profiles." + shorten(name.Value)}
		if !profileName.MatchString(name.Value) {
			d.add(at, "expected a name of lower-case letters, digits, - and _", cmp.Or(stray(name.Value), "it becomes the name of a folder"))
		}
		if body.Kind != yaml.MappingNode {
			at.value = written(body)
			d.add(at, "expected a mapping of keys to values", "a profile that changes nothing is written {needs: []}")
			continue
		}
		*target = append(*target, profileNode{name.Value, name.Line, body})
	}
}

// lineage lists the profiles that p is like, directly or through others, the furthest first, and
// p at the end. After a complaint it is nil.
func (c *collector) lineage(p profileNode, all profiles) profiles {
	line := profiles{p}
	for p.body != nil {
		n := valueOf(p.body, "like")
		if n == nil {
			break
		}
		var names, through []string
		for _, other := range all {
			if other.name != p.name {
				names = append(names, other.name)
			}
		}
		for _, one := range line {
			through = append(through, one.name)
		}
		at := place{n.Line, "profiles." + p.name + ".like", written(n)}
		i := slices.IndexFunc(all, func(other profileNode) bool { return other.name == n.Value })
		switch {
		case n.Kind != yaml.ScalarNode || i < 0:
			c.add(at, "expected another profile of this file", cmp.Or(didYouMean(n.Value, names), "one of "+strings.Join(names, ", ")))
			return nil
		case slices.Contains(through, n.Value):
			c.add(at, "is like itself: "+strings.Join(append([]string{n.Value}, through...), ", "), "one of them must not use like")
			return nil
		}
		p = all[i]
		line = slices.Insert(line, 0, p)
	}
	return line
}

// valueOf returns the value of a key in a mapping; nil if there is none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// plan reads the profile, whose values override the file's, applies the changes of the command
// line, which override both, and resolves the result.
func (p profileNode) plan(q *Question, d *decoder, change Changes) *Plan {
	spec := profileSpec{Spec: q.base}
	line := d.lineage(p, q.profiles)
	if line == nil {
		return &Plan{Profile: p.name}
	}
	for _, one := range line {
		if one.body != nil {
			d = d.below("profiles."+one.name+".", one.line)
			d.mapping(one.body, "", reflect.ValueOf(&spec).Elem())
		}
	}
	q.overridden[p.name] = overridden(q.base, spec.Spec, q.root.from)
	plan := &Plan{
		Question: q.Text,
		Name:     q.Name,
		Profile:  p.name,
		Folder:   change.folder(p.name),
		Changes:  change.texts(),
		Says:     spec.Says,
		Caveats:  spec.Caveats,
	}
	applyChanges(d, &spec, change)
	if spec.Continue != nil {
		continueRuns(d, plan, &spec.Spec, q.reader.Trained)
	} else {
		beginPlan(d, plan, &spec.Spec)
	}
	checkNeeds(d, plan, spec)
	checkMeasurable(d, plan, &spec.Spec)
	spec.Measurements.only(spec.Figures)
	plan.Figures, plan.Measurements, plan.spec = spec.Figures, spec.Measurements, spec.Spec
	return plan
}

// beginPlan sets the plan's runs to those of the nets of s.
func beginPlan(d *decoder, plan *Plan, s *Spec) {
	addValueFigure(d, s)
	recipes := readVariants(d, s)
	asked := s.Training
	plan.recipe = resolve(d, s)
	if len(s.Vary) > 0 { // an epoch has another number of steps with another batch
		s.Schedule, s.Log, s.Evaluate, s.Save, s.Keep = asked.Schedule, asked.Log, asked.Evaluate, asked.Save, asked.Keep
	}
	plan.adaptive = adaptive(d, s)
	plan.Runs = resolveRuns(d, *s, plan.recipe, recipes)
	if len(d.collector.list) == 0 { // a variant lacks its wrong values, and may look like another
		checkTrainedTwice(d, recipes, plan.Runs)
	}
	plan.Varied = varied(s.Vary, recipes)
}

// checkNeeds sets the needs of a plan: those of its profile, and its data set unless that is generated.
func checkNeeds(d *decoder, plan *Plan, spec profileSpec) {
	plan.Needs = append([]string{}, spec.Needs...)
	if spec.Continue != nil || onCommandLine(d.from["data"].path) { // its data is not the profile's
		plan.Needs = slices.DeleteFunc(plan.Needs, func(need string) bool { return dataset.Of(need).Name != "" })
	}
	if !dataset.Of(spec.Data).Made() && !slices.Contains(plan.Needs, spec.Data) {
		plan.Needs = append(plan.Needs, spec.Data)
	}
	for _, need := range plan.Needs {
		if dataset.Of(need).Name != "" && need != spec.Data && d.sound("data", "needs") {
			d.add(d.place("needs"), "needs "+need+", but its data is "+spec.Data, "leave "+need+" out, or write data: "+need)
		}
	}
}
