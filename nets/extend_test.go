// Tests of net extension: shallow net plus inserted layers is exactly the deep net.

package nets

import (
	"fmt"
	"strings"
	"testing"
)

// The parameters of the shallow net and of the inserted layers together are those of the
// deep net.
func TestExtension(t *testing.T) {
	for _, c := range []struct{ deep, shallow string }{{"plain-14", "plain-8"}, {"plain-56", "plain-20"}, {"plain-34", "plain-18"}} {
		deep, shallow := parse(t, c.deep), parse(t, c.shallow)
		stages, err := deep.Extension(shallow)
		if err != nil {
			t.Fatal(err)
		}
		leaves := func(a Arch) map[string]string {
			params, _, err := a.Leaves(cifar)
			if err != nil {
				t.Fatal(err)
			}
			all := map[string]string{}
			for _, p := range params {
				all[p.Name] = fmt.Sprint(p.Node.Shape())
			}
			return all
		}
		want, got := leaves(deep), leaves(shallow)
		for _, stage := range stages {
			for _, l := range stage {
				got[l.Conv+".weight"] = fmt.Sprintf("(%d, %d, 3, 3)", l.Channels, l.Channels)
				got[l.Norm+".weight"], got[l.Norm+".bias"] = fmt.Sprintf("(%d)", l.Channels), fmt.Sprintf("(%d)", l.Channels)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s from %s: %d parameters of %d", deep, shallow, len(got), len(want))
		}
		for name, shape := range want {
			if got[name] != shape {
				t.Errorf("%s from %s: %s has shape %q, want %q", deep, shallow, name, got[name], shape)
			}
		}
	}
	for _, c := range []struct{ deep, shallow, says string }{
		{"resnet-14", "plain-8", "plain nets of two-layer blocks"},
		{"plain-14", "resnet-8", "plain nets of two-layer blocks"},
		{"plain-101", "plain-50", "plain nets of two-layer blocks"},
		{"plain-20", "plain-18", "another design"},
		{"plain-34/pool-pad1", "plain-18", "another design"},
		{"plain-8", "plain-14", "not deeper"},
		{"plain-8", "plain-8", "not deeper"},
	} {
		if _, err := parse(t, c.deep).Extension(parse(t, c.shallow)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s from %s: %v, want %q", c.deep, c.shallow, err, c.says)
		}
	}
}
