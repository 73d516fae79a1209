// Tests of how batch norm sums.

package lower

import (
	"strings"
	"testing"

	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
)

// If XLA sums sequentially, no batch norm sums a whole group of images in one reduction,
// neither forward nor backward.
func TestSequentialSums(t *testing.T) {
	a, err := nets.ParseArch("plain-8")
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, nets.Train, compile.Config{
		Config: nets.Config{Batch: 128, Channels: 3, Size: 32, Classes: 10, Group: 64, Eps: 1e-5},
		Images: 128, Pad: 4, Optimizer: kernel.SGD{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sequential bool
		want       int // of 7 batch norms, 3 have more than 32 pieces of 1024 pixels
	}{{false, 3 + 7}, {true, 0}} {
		m, err := Lower(p, Options{Sequential: c.sequential})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(m.Text, "across dimensions = [1, 2, 3]"); n != c.want {
			t.Errorf("sequential %v: %d sums of a whole group, want %d", c.sequential, n, c.want)
		}
	}
}
