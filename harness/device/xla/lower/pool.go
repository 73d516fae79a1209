// Emitters of max pooling and its gradient.

package lower

import (
	"fmt"
	"math"

	"depthlab/nets/kernel"
)

// maxPool does not use StableHLO's maximum, because on CPUs XLA's maximum loses NaN.
func maxPool(e *emitter, k kernel.MaxPool, in []value) []value {
	x := paddedInput(e, k, in[0])
	y := []int{x.dims[0], (x.dims[1]-k.Size)/k.Stride + 1, (x.dims[2]-k.Size)/k.Stride + 1, x.dims[3]}
	least := e.constant(math.Inf(-1), f32)
	return []value{windows(e, "reduce_window", k, []value{x, least}, y, `        %g = stablehlo.compare GE, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
        %n = stablehlo.compare NE, %a, %a, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
        %k = stablehlo.or %g, %n : tensor<i1>
        %m = stablehlo.select %k, %a, %b : tensor<i1>, tensor<f32>
        stablehlo.return %m : tensor<f32>
`)}
}

// maxPoolGrad gives the gradient of a window to its largest element, to the first of equal
// ones, and to the last NaN if there is one.
func maxPoolGrad(e *emitter, k kernel.MaxPoolGrad, in []value) []value {
	x, zero := paddedInput(e, k.MaxPool, in[0]), e.constant(0, f32)
	dx := windows(e, "select_and_scatter", k.MaxPool, []value{x, e.convert(in[1], f32), zero}, x.dims,
		`        %s = stablehlo.compare LT, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
        %n = stablehlo.compare NE, %b, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
        %t = stablehlo.or %s, %n : tensor<i1>
        %k = stablehlo.not %t : tensor<i1>
        stablehlo.return %k : tensor<i1>
`, "        %u = stablehlo.add %a, %b : tensor<f32>\n        stablehlo.return %u : tensor<f32>\n")
	from, to := []int{0, k.Before, k.Before, 0}, []int{x.dims[0], x.dims[1] - k.After, x.dims[2] - k.After, x.dims[3]}
	return []value{e.slice(dx, from, to, []int{1, 1, 1, 1})}
}

// paddedInput pads x with -Inf, in float32. The windows' own padding is not used, because XLA
// scatters wrongly if it is on one side only.
func paddedInput(e *emitter, k kernel.MaxPool, x value) value {
	return e.padWith(math.Inf(-1), e.convert(x, f32), []int{0, k.Before, k.Before, 0}, []int{0, k.After, k.After, 0}, []int{0, 0, 0, 0})
}

// windows writes an operation over the windows of a pool. Each region is the body of a
// function of two scalars, %a and %b.
func windows(e *emitter, op string, k kernel.MaxPool, in []value, dims []int, regions ...string) value {
	v := value{fmt.Sprintf("%%%d", e.next), f32, dims}
	e.next++
	fmt.Fprintf(e, "    %s = \"stablehlo.%s\"(%s) <{window_dimensions = array<i64: 1, %d, %d, 1>, window_strides = array<i64: 1, %d, %d, 1>}> (",
		v.name, op, join(in, func(v value) string { return v.name }), k.Size, k.Size, k.Stride, k.Stride)
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
