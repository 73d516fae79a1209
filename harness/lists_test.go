package harness

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/data"
)

var expected = regexp.MustCompile(`expected (.*)$`)

// namesIn are the data sets that an error lists: "expected a, b or c".
func namesIn(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		t.Fatal("a data set that does not exist is taken")
	}
	m := expected.FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("%v: it does not say what was expected", err)
	}
	return strings.Fields(strings.NewReplacer(",", "", " or ", " ").Replace(m[1]))
}

// The data sets that a question may name are those that can be outlined and
// loaded, with as many images.
func TestDataSetsAgree(t *testing.T) {
	t.Setenv("DEPTHLAB_DATA", "")
	t.Setenv("DEPTHLAB_IMAGENET", "")
	m := Machine{Root: t.TempDir()}
	load := func(name string) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := m.Load(ctx, name, data.FolderOptions{Size: 224})
		return err
	}
	_, err := data.Outline("nothing", 0)
	for what, names := range map[string][]string{"outlined": namesIn(t, err), "loaded": namesIn(t, load("nothing"))} {
		if slices.Sort(names); !slices.Equal(names, experiments.DataSets) {
			t.Errorf("a question may name %q, and %q can be %s", experiments.DataSets, names, what)
		}
	}
	for _, name := range experiments.DataSets {
		o, err := data.Outline(name, 224)
		if err != nil {
			t.Errorf("%s has no outline: %v", name, err)
			continue
		}
		var r experiments.Recipe
		if r.Data = name; r.TrainImages() != o.Train.N || o.Name != name {
			t.Errorf("%s has %d training images by its outline %s, and %d by a question", name, o.Train.N, o.Name, r.TrainImages())
		}
		if err := load(name); err != nil && expected.MatchString(err.Error()) {
			t.Errorf("%s cannot be loaded: %v", name, err)
		}
	}
}

// What a profile may need is what is looked for on a machine.
func TestNeedsAgree(t *testing.T) {
	have, _ := Machine{Root: t.TempDir()}.Have()
	looked := slices.Sorted(maps.Keys(have))
	if needs := slices.Sorted(slices.Values(experiments.Needs)); !slices.Equal(needs, looked) {
		t.Errorf("a profile may need %q, and a machine is asked for %q", needs, looked)
	}
}
