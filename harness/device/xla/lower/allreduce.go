package lower

import (
	"fmt"
	"strings"

	"depthlab/nets/kernel"
)

// allReduce adds up vectors over the replicas, all in one operation: on a GPU
// that is one call of NCCL, without a copy that puts them together first.
func (e *emitter) allReduce(k kernel.AllReduce, in []value) []value {
	result, types := fmt.Sprintf("%%%d", e.next), join(in, value.typ)
	e.next++
	ids := make([]string, k.Replicas)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	fmt.Fprintf(e, "    %s:%d = \"stablehlo.all_reduce\"(%s) <{replica_groups = dense<[[%s]]> : tensor<1x%dxi64>}> ({\n",
		result, len(in), join(in, func(v value) string { return v.name }), strings.Join(ids, ", "), k.Replicas)
	e.WriteString("      ^bb0(%x: tensor<f32>, %y: tensor<f32>):\n        %z = stablehlo.add %x, %y : tensor<f32>\n        stablehlo.return %z : tensor<f32>\n")
	fmt.Fprintf(e, "      }) : (%s) -> (%s)", types, types)
	e.end()
	out := make([]value, len(in))
	for i, v := range in {
		out[i] = value{fmt.Sprintf("%s#%d", result, i), v.elem, v.dims}
	}
	return out
}
