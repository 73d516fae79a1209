package lower

import (
	"fmt"
	"math"

	"depthlab/nets/kernel"
)

func (e *emitter) maxPool(k kernel.MaxPool, in []value) []value {
	x := in[0]
	y := []int{x.dims[0], 0, 0, x.dims[3]}
	for i := 1; i <= 2; i++ {
		y[i] = (x.dims[i]+k.Before+k.After-k.Size)/k.Stride + 1
	}
	least := e.constant(math.Inf(-1), f32)
	return []value{e.windows("reduce_window", k, []value{e.convert(x, f32), least}, y, "        %m = stablehlo.maximum %a, %b : tensor<f32>\n        stablehlo.return %m : tensor<f32>\n")}
}

// maxPoolGrad keeps of two elements the first, unless the second is larger, or
// NaN; what is kept gets the gradient of its window.
func (e *emitter) maxPoolGrad(k kernel.MaxPoolGrad, in []value) []value {
	zero := e.constant(0, f32)
	return []value{e.windows("select_and_scatter", k.MaxPool, []value{e.convert(in[0], f32), e.convert(in[1], f32), zero}, in[0].dims,
		`        %s = stablehlo.compare LT, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
        %n = stablehlo.compare NE, %b, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
        %t = stablehlo.or %s, %n : tensor<i1>
        %k = stablehlo.not %t : tensor<i1>
        stablehlo.return %k : tensor<i1>
`, "        %u = stablehlo.add %a, %b : tensor<f32>\n        stablehlo.return %u : tensor<f32>\n")}
}

// windows writes an operation over the windows of a pool, with its regions on
// two scalars a and b.
func (e *emitter) windows(op string, k kernel.MaxPool, in []value, dims []int, regions ...string) value {
	v := value{fmt.Sprintf("%%%d", e.next), f32, dims}
	e.next++
	fmt.Fprintf(e, "    %s = \"stablehlo.%s\"(%s) <{padding = dense<[[0, 0], [%d, %d], [%d, %d], [0, 0]]> : tensor<4x2xi64>, window_dimensions = array<i64: 1, %d, %d, 1>, window_strides = array<i64: 1, %d, %d, 1>}> (",
		v.name, op, join(in, func(v value) string { return v.name }), k.Before, k.After, k.Before, k.After, k.Size, k.Size, k.Stride, k.Stride)
	for i, r := range regions {
		if i > 0 {
			e.WriteString(", ")
		}
		fmt.Fprintf(e, "{\n      ^bb0(%%a: tensor<f32>, %%b: tensor<f32>):\n%s      }", r)
	}
	fmt.Fprintf(e, ") : (%s) -> %s", join(in, value.typ), v.typ())
	e.end()
	return v
}
