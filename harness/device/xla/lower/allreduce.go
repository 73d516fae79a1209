// Emitter of all-reduce: sums over replicas.

package lower

import (
	"fmt"
	"strings"

	"depthlab/nets/kernel"
)

// allReduce sums vectors over the replicas. It concatenates them first. The gradients are
// one vector anyway, so on a GPU the step has only one more kernel than on one device: the
// call of NCCL. (With several operands, XLA concatenates and slices in 7 kernels.)
func allReduce(e *emitter, k kernel.AllReduce, in []value) []value {
	x := e.concat(0, in...)
	ids := make([]string, k.Replicas)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	sum := value{fmt.Sprintf("%%%d", e.next), x.elem, x.dims}
	e.next++
	fmt.Fprintf(e, "    %s = \"stablehlo.all_reduce\"(%s) <{replica_groups = dense<[[%s]]> : tensor<1x%dxi64>}> ({\n",
		sum.name, x.name, strings.Join(ids, ", "), k.Replicas)
	fmt.Fprintf(e, "      ^bb0(%%x: tensor<%[1]s>, %%y: tensor<%[1]s>):\n        %%z = stablehlo.add %%x, %%y : tensor<%[1]s>\n        stablehlo.return %%z : tensor<%[1]s>\n", x.elem)
	fmt.Fprintf(e, "      }) : (%s) -> %s", x.typ(), sum.typ())
	e.end()
	var out []value
	at := 0
	for _, v := range in {
		n := v.dims[0]
		out = append(out, e.slice(sum, []int{at}, []int{at + n}, []int{1}))
		at += n
	}
	return out
}
