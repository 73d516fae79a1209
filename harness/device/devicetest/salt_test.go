package devicetest

import (
	"flag"
	"fmt"
	"testing"
)

var search = flag.Int("search", 0, "try this many salts for each of the whole nets, and print the best")

// TestSalts looks for salts: see probe. A change of wholeNets, of the values
// that they start from or of the plan needs it.
func TestSalts(t *testing.T) {
	if *search == 0 {
		t.Skip("for -search")
	}
	for _, c := range wholeNets {
		best, salt := 0.0, ""
		for i := range *search {
			n, nearest := newNet(t, c.name, c.batch, c.group, c.size, fmt.Sprint(i)).probed()
			h := reference(t, n)
			h.train(firstStep(n))
			h.train(n.plan(1, 2, 0.02))
			if *nearest > best {
				best, salt = *nearest, n.salt
			}
		}
		fmt.Printf("%s batch %d group %d size %d: salt %s, %.2g from a kink\n", c.name, c.batch, c.group, c.size, salt, best)
	}
}
