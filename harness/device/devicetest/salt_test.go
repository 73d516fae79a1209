// Search for salts with which no rectifier is near its kink.

package devicetest

import (
	"flag"
	"fmt"
	"testing"

	"depthlab/harness/device"
)

var search = flag.Int("search", 0, "try this many salts for each of the whole nets, and print the best")

// TestSalts checks nothing. With -search it looks for salts (see probe). It is needed
// after a change of wholeNets or cutNets, of their initial values or of the plan.
func TestSalts(t *testing.T) {
	find := func(what string, net func(salt string) *net, first func(n *net) device.Launch) {
		best, salt := 0.0, ""
		for i := range *search {
			n, nearest := net(fmt.Sprint(i)).probed()
			h := reference(t, n)
			h.train(first(n))
			h.train(n.plan(1, 2, 0.02))
			if *nearest > best {
				best, salt = *nearest, n.salt
			}
		}
		fmt.Printf("%s: salt %s, %.2g from a kink\n", what, salt, best)
	}
	for _, c := range wholeNets {
		find(fmt.Sprintf("%s batch %d group %d size %dx%d", c.name, c.batch, c.group, c.size, c.width), func(salt string) *net {
			return newWideNet(t, c.name, c.batch, c.group, c.size, c.width, salt)
		}, firstStep)
	}
	for _, c := range cutNets {
		find(c.name+" in micro-batches", func(salt string) *net { return newNet(t, c.name, 8, 2, 8, salt) }, func(n *net) device.Launch {
			return n.plan(0, 1, 0.02)
		})
	}
}
