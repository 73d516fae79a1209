// The runs of a plan: their order, IDs and hashes; the resolved question as YAML.

package experiments

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"depthlab/experiments/dataset"
	"depthlab/nets"
)

// maxRuns is the largest number of runs of a plan.
const maxRuns = 1000

// resolveRuns lists the runs of a plan: for each seed the pairs, depth by depth with the plain net first,
// then the other nets; and all of them again with the recipe of each variant. So an interrupted
// sweep has complete comparisons. With vary, the question's own recipe is not trained, unless it
// is one of the combinations.
func resolveRuns(d *decoder, s Spec, recipe Recipe, variants []variantRecipe) []Run {
	if !d.sound("pairs.depths", "nets", "seeds") {
		return nil
	}
	names := netNames(d, s)
	recipes := len(variants)
	if len(s.Vary) == 0 {
		recipes++
	}
	switch {
	case len(names) == 0 && !d.bad[""]: // a misspelt key may have held them
		d.add(d.place("pairs.depths", "nets"), "no net to train", "write pairs: {depths: [20, 56]}, or nets: [resnet-20]")
	case len(s.Seeds) == 0:
		d.add(d.place("seeds"), "expected at least one seed", "write seeds: [0]")
	case len(names)*recipes*len(s.Seeds) > maxRuns:
		d.add(d.place("seeds", "pairs.depths", "nets"), fmt.Sprintf("%d nets, %d recipes and %d seeds make more than %d runs", len(names), recipes, len(s.Seeds), maxRuns), "")
		return nil
	}
	var runs []Run
	for _, seed := range s.Seeds {
		for _, name := range names {
			if len(s.Vary) == 0 {
				run := newRun(name, "", seed, s.Schedule.Warmup, recipe)
				run.Weights = initialWeights(d, run, d.place("init"))
				runs = append(runs, run)
			}
		}
		for _, v := range variants {
			for _, name := range names {
				if v.Extend != "" && extension(name, v.Extend) != nil {
					continue
				}
				run := newRun(name, v.Name, seed, v.Schedule.Warmup, v.recipe)
				run.Extend, run.Weights = v.Extend, initialWeights(d, run, v.init)
				runs = append(runs, run)
			}
		}
	}
	return runs
}

// newRun returns the run of a net, by its shortest name. It has the recipe's warm-up if it is deep
// enough.
func newRun(net, variant string, seed uint64, w *WarmupSpec, recipe Recipe) Run {
	run := Run{ID: runID(net, variant, seed), Net: net, Variant: variant, Seed: seed, Recipe: recipe}
	if w != nil && archOf(net).Depth < w.FromDepth {
		run.Schedule.Warmup = nil
	}
	return run
}

// Name returns net and seed as part of a file name: "resnet-20_B-seed0".
func (r Run) Name() string { return runID(r.Net, "", r.Seed) }

// Alike returns a key that is equal for runs that differ in ID and seed alone: they need the same
// time and memory.
func (r Run) Alike() string {
	r.ID, r.Seed = "", 0
	return fmt.Sprintf("%+v", r)
}

// Source returns the ID of the run that the run extends; "" for none.
func (r Run) Source() string {
	if r.Extend == "" {
		return ""
	}
	return runID(r.Extend, "", r.Seed)
}

// extension returns an error if the deep net is not an extension of the shallow one.
func extension(deep, shallow string) error {
	_, err := archOf(deep).Extension(archOf(shallow))
	return err
}

// Run returns a run with the plan's recipe of any net, by name. The plan need not contain it.
func (p *Plan) Run(net string, seed uint64) (Run, error) {
	arch, err := nets.ParseArch(net)
	if err != nil {
		return Run{}, err
	}
	return newRun(arch.String(), "", seed, p.spec.Schedule.Warmup, p.recipe), nil
}

// netNames lists the nets of the pairs and the other nets by their shortest names, and adds a
// complaint about a duplicate.
func netNames(d *decoder, s Spec) []string {
	var names []string
	from := map[string]string{}
	for _, depth := range s.Pairs.Depths {
		for _, kind := range []string{"plain", "resnet"} {
			name := fmt.Sprintf("%s-%d", kind, depth)
			names = append(names, name)
			from[name] = "pairs.depths"
		}
	}
	for i, written := range s.Nets {
		arch := archOf(written)
		path, name := fmt.Sprintf("nets[%d]", i), arch.String()
		if err := arch.CheckSize(cmp.Or(Input(s.Input).Side(), dataset.Of(s.Data).Size)); err != nil && d.sound("data") {
			d.add(d.place(path, "nets", "data"), err.Error(), "")
		}
		if other, twice := from[name]; twice {
			d.add(d.place(path, "nets", "pairs.depths"), name+" is trained already, by "+other, "leave it out of one of them")
		}
		from[name] = path
		names = append(names, name)
	}
	return names
}

// runID returns the ID of a run: "resnet-20_B-seed0", "resnet-110-no_warm-up-seed0". It must never
// change for the same net, variant and seed, since it is part of file names.
func runID(net, variant string, seed uint64) string {
	if variant != "" {
		variant = "-" + strings.ReplaceAll(variant, " ", "_")
	}
	return strings.ReplaceAll(net, "/", "_") + variant + "-seed" + strconv.FormatUint(seed, 10)
}

// Hash returns the SHA-256 of all that determines the run's weights, in hexadecimal digits: net,
// recipe and seed. Precision "auto" must be resolved first. The caller adds the hash of the data and
// of the run that this one extends.
func (r Run) Hash() string {
	text, err := json.Marshal(r.essential())
	if err != nil {
		panic("experiments: a run cannot be written as JSON")
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// essential returns the run without what does not determine its weights: its ID, and how often it is
// tested, logged and saved. But if the learning rate depends on an error, the interval of that error
// remains.
func (r Run) essential() Run {
	s := r.Schedule
	r.ID, r.Variant, r.SaveEvery, r.Keep = "", "", 0, Keep{}
	if r.Weights != "" { // the weights count, not the name of their run or file
		r.Continue = ""
		if IsFile(r.Init) {
			r.Init = ""
		}
	}
	if s.Plateau == nil || s.Plateau.Of != "test_error" {
		r.EvalEvery = 0
	}
	if (s.Plateau == nil || s.Plateau.Of != "train_error") && (s.Warmup == nil || s.Warmup.Until == 0) {
		r.LogEvery = 0
	}
	return r
}

// Resolved writes a file with this profile only, all defaults filled in and times in steps. Load
// reads it to the same runs. So with vary times have the units of the file, and defaults that depend
// on varied values are left out.
func (q *Question) Resolved(profile string) ([]byte, error) {
	plan, _, err := q.Choose(nil, profile)
	if err != nil {
		return nil, err
	}
	var file any = struct {
		Question string `json:"question"`
		Spec
		Profiles map[string]any `json:"profiles"`
	}{q.Text, plan.spec, plan.profileText()}
	if plan.spec.Continue != nil {
		file = q.continuedText(plan)
	}
	text, err := asYAML(file, plan.adaptive)
	if err != nil {
		return nil, fmt.Errorf("%s, profile %s: %w", q.File, profile, err)
	}
	except := ""
	if len(plan.adaptive) > 0 {
		except = fmt.Sprintf(", except those of %s, which may differ between runs", strings.Join(plan.adaptive, ", "))
	}
	head := fmt.Sprintf("# %s, profile %s, with all defaults filled in%s.\n", q.Name, strings.Join(append([]string{plan.Profile}, plan.Changes...), " "), except)
	return append([]byte(head), text...), nil
}

// profileText returns the keys of a plan's profile that are not part of the Spec.
func (p *Plan) profileText() map[string]any {
	return map[string]any{
		p.Profile: struct {
			Says    string   `json:"says,omitempty"`
			Needs   []string `json:"needs"`
			Caveats []string `json:"caveats,omitempty"`
		}{p.Says, p.Needs, p.Caveats},
	}
}

// asYAML writes v, without the values at some paths, as YAML, with its JSON names, in the order of its
// fields.
func asYAML(v any, without []string) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil { // JSON is YAML
		return nil, err
	}
	for _, path := range without {
		remove(tree.Content[0], path)
	}
	plainStyle(&tree)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&tree); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

// remove removes the value at a path from a mapping.
func remove(n *yaml.Node, path string) {
	key, rest, deeper := strings.Cut(path, ".")
	i := 0
	for i < len(n.Content) && n.Content[i].Value != key {
		i += 2
	}
	switch {
	case i >= len(n.Content):
	case deeper:
		remove(n.Content[i+1], rest)
	default:
		n.Content = slices.Delete(n.Content, i, i+2)
	}
}

// plainStyle drops the braces and quotes of JSON, except the brackets of lists.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.SequenceNode {
		n.Style = yaml.FlowStyle
	}
	for _, child := range n.Content {
		plainStyle(child)
	}
}
