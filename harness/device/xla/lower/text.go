// StableHLO text: one method for each operation.

package lower

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// elem is an element type as MLIR writes it.
type elem string

const (
	f32  elem = "f32"
	bf16 elem = "bf16"
	i32  elem = "i32"
	u8   elem = "ui8"
	i1   elem = "i1"
)

// value is a tensor in the text: its name, type and extents.
type value struct {
	name string
	elem elem
	dims []int
}

func (v value) typ() string { return tensor(v.elem, v.dims) }

// tensor writes a type: tensor<2x3xf32>.
func tensor(t elem, dims []int) string {
	var b strings.Builder
	b.WriteString("tensor<")
	for _, d := range dims {
		fmt.Fprintf(&b, "%dx", d)
	}
	b.WriteString(string(t) + ">")
	return b.String()
}

func length(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// list writes extents as MLIR does: [1, 2].
func list(dims []int) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		s[i] = strconv.Itoa(d)
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func join[T any](vs []T, f func(T) string) string {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = f(v)
	}
	return strings.Join(s, ", ")
}

// text is the body of a function: one operation on each line, with its location, which XLA
// repeats in errors and in the compiled program.
type text struct {
	strings.Builder
	next  int    // number of the next value
	place string // location of the instruction being written: "layer1.0.conv1/conv 3x3 s1 p1 ->16"
}

// line writes one operation with one result.
func (b *text) line(t elem, dims []int, format string, args ...any) value {
	v := value{fmt.Sprintf("%%%d", b.next), t, dims}
	b.next++
	fmt.Fprintf(b, "    %s = stablehlo.%s", v.name, fmt.Sprintf(format, args...))
	b.end()
	return v
}

// end writes the location and ends the line.
func (b *text) end() {
	if b.place != "" {
		fmt.Fprintf(b, " loc(%q)", b.place)
	}
	b.WriteByte('\n')
}

// constant is a tensor of shape dims whose elements are all v.
func (b *text) constant(v float64, t elem, dims ...int) value {
	s := strconv.FormatInt(int64(v), 10)
	switch {
	case t == i1:
		s = strconv.FormatBool(v != 0)
	case math.IsInf(v, -1):
		s = "0xFF800000" // MLIR writes infinity by its bits
	case t == f32 || t == bf16:
		s = strconv.FormatFloat(v, 'e', -1, 32)
		if !strings.Contains(s, ".") {
			s = strings.Replace(s, "e", ".0e", 1)
		}
	}
	return b.line(t, dims, "constant dense<%s> : %s", s, tensor(t, dims))
}

// elementwise is an operation whose operands and result have the same type.
func (b *text) elementwise(op string, vs ...value) value {
	return b.line(vs[0].elem, vs[0].dims, "%s %s : %s", op, join(vs, func(v value) string { return v.name }), vs[0].typ())
}

func (b *text) add(x, y value) value { return b.elementwise("add", x, y) }
func (b *text) sub(x, y value) value { return b.elementwise("subtract", x, y) }
func (b *text) mul(x, y value) value { return b.elementwise("multiply", x, y) }
func (b *text) max(x, y value) value { return b.elementwise("maximum", x, y) }

// times multiplies by a constant.
func (b *text) times(x value, c float64) value { return b.mul(x, b.constant(c, x.elem, x.dims...)) }

// compare compares elements. how is EQ, NE, LT, LE, GT or GE.
func (b *text) compare(how string, x, y value) value {
	kind := "SIGNED"
	if x.elem == f32 || x.elem == bf16 {
		kind = "FLOAT"
	}
	return b.line(i1, x.dims, "compare %s, %s, %s, %s : (%s, %s) -> %s", how, x.name, y.name, kind, x.typ(), y.typ(), tensor(i1, x.dims))
}

// pick is StableHLO's select: x where p is true, else y.
func (b *text) pick(p, x, y value) value {
	return b.line(x.elem, x.dims, "select %s, %s, %s : %s, %s", p.name, x.name, y.name, p.typ(), x.typ())
}

func (b *text) convert(x value, t elem) value {
	if x.elem == t {
		return x
	}
	return b.line(t, x.dims, "convert %s : (%s) -> %s", x.name, x.typ(), tensor(t, x.dims))
}

func (b *text) reshape(x value, dims ...int) value {
	if slices.Equal(x.dims, dims) {
		return x
	}
	return b.line(x.elem, dims, "reshape %s : (%s) -> %s", x.name, x.typ(), tensor(x.elem, dims))
}

// flat reshapes x to a vector.
func (b *text) flat(x value) value { return b.reshape(x, length(x.dims)) }

// broadcast is broadcast_in_dim: axis i of x becomes axis axes[i] of the result.
func (b *text) broadcast(x value, dims []int, axes ...int) value {
	return b.line(x.elem, dims, "broadcast_in_dim %s, dims = %s : (%s) -> %s", x.name, list(axes), x.typ(), tensor(x.elem, dims))
}

// slice takes elements [from, to) of each axis, every step-th.
func (b *text) slice(x value, from, to, step []int) value {
	dims, parts := make([]int, len(from)), make([]string, len(from))
	for i := range from {
		dims[i] = (to[i] - from[i] + step[i] - 1) / step[i]
		parts[i] = fmt.Sprintf("%d:%d:%d", from[i], to[i], step[i])
	}
	return b.line(x.elem, dims, "slice %s [%s] : (%s) -> %s", x.name, strings.Join(parts, ", "), x.typ(), tensor(x.elem, dims))
}

// row is x[i], for a scalar i of the program.
func (b *text) row(x, i value) value { return b.reshape(b.rows(x, i, 1), x.dims[1:]...) }

// rows is x[i : i+n].
func (b *text) rows(x, i value, n int) value {
	at, sizes := b.first(x, i), append([]int{n}, x.dims[1:]...)
	return b.line(x.elem, sizes, "dynamic_slice %s, %s, sizes = %s : (%s%s) -> %s",
		x.name, strings.Join(at, ", "), list(sizes), x.typ(), strings.Repeat(", tensor<i32>", len(at)), tensor(x.elem, sizes))
}

// setRow is x with x[i] replaced by v.
func (b *text) setRow(x, i, v value) value {
	at := b.first(x, i)
	v = b.reshape(v, append([]int{1}, x.dims[1:]...)...)
	return b.line(x.elem, x.dims, "dynamic_update_slice %s, %s, %s : (%s, %s%s) -> %s",
		x.name, v.name, strings.Join(at, ", "), x.typ(), v.typ(), strings.Repeat(", tensor<i32>", len(at)), x.typ())
}

// first names the start indices of x[i].
func (b *text) first(x, i value) []string {
	at := []string{i.name}
	if len(x.dims) > 1 {
		zero := b.constant(0, i32)
		for range x.dims[1:] {
			at = append(at, zero.name)
		}
	}
	return at
}

// window is x[at : at+n] of a vector, for a scalar at of the program.
func (b *text) window(x, at value, n int) value {
	return b.line(x.elem, []int{n}, "dynamic_slice %s, %s, sizes = [%d] : (%s, tensor<i32>) -> %s",
		x.name, at.name, n, x.typ(), tensor(x.elem, []int{n}))
}

// while repeats body, which returns the next values, as long as cond is true.
func (b *text) while(start []value, cond func(in []value) value, body func(in []value) []value) []value {
	name := fmt.Sprintf("%%%d", b.next)
	b.next++
	in, out := make([]value, len(start)), make([]value, len(start))
	var binds []string
	for i, v := range start {
		in[i] = value{fmt.Sprintf("%%c%d_%d", b.next-1, i), v.elem, v.dims}
		out[i] = value{fmt.Sprintf("%s#%d", name, i), v.elem, v.dims}
		binds = append(binds, in[i].name+" = "+v.name)
	}
	types := join(start, value.typ)
	fmt.Fprintf(b, "    %s:%d = stablehlo.while(%s) : %s cond {\n", name, len(start), strings.Join(binds, ", "), types)
	more := cond(in)
	fmt.Fprintf(b, "    stablehlo.return %s : %s\n    } do {\n", more.name, more.typ())
	next := body(in)
	fmt.Fprintf(b, "    stablehlo.return %s : %s\n    }\n", join(next, func(v value) string { return v.name }), types)
	return out
}

// barrier is x behind an optimization barrier: it is computed once, and not again inside
// the fusions that use it.
func (b *text) barrier(x value) value {
	return b.line(x.elem, x.dims, "optimization_barrier %s : %s", x.name, x.typ())
}

// after is x, available only when y is, so that what uses it waits for y.
func (b *text) after(x, y value) value {
	name := fmt.Sprintf("%%%d", b.next)
	b.next++
	fmt.Fprintf(b, "    %s:2 = stablehlo.optimization_barrier %s, %s : %s, %s", name, x.name, y.name, x.typ(), y.typ())
	b.end()
	return value{name + "#0", x.elem, x.dims}
}

// column is x[:, i] of a matrix, as a vector.
func (b *text) column(x value, i int) value {
	return b.reshape(b.slice(x, []int{0, i}, []int{x.dims[0], i + 1}, []int{1, 1}), x.dims[0])
}

// pad adds zeros before (low), after (high) and between the elements of each axis.
func (b *text) pad(x value, low, high, between []int) value {
	return b.padWith(0, x, low, high, between)
}

func (b *text) padWith(v float64, x value, low, high, between []int) value {
	dims := make([]int, len(low))
	for i := range low {
		dims[i] = low[i] + high[i] + x.dims[i] + (x.dims[i]-1)*between[i]
	}
	fill := b.constant(v, x.elem)
	return b.line(x.elem, dims, "pad %s, %s, low = %s, high = %s, interior = %s : (%s, %s) -> %s",
		x.name, fill.name, list(low), list(high), list(between), x.typ(), fill.typ(), tensor(x.elem, dims))
}

func (b *text) concat(axis int, vs ...value) value {
	if len(vs) == 1 {
		return vs[0]
	}
	dims := slices.Clone(vs[0].dims)
	for _, v := range vs[1:] {
		dims[axis] += v.dims[axis]
	}
	return b.line(vs[0].elem, dims, "concatenate %s, dim = %d : (%s) -> %s",
		join(vs, func(v value) string { return v.name }), axis, join(vs, value.typ), tensor(vs[0].elem, dims))
}

func (b *text) iota(t elem, axis int, dims ...int) value {
	return b.line(t, dims, "iota dim = %d : %s", axis, tensor(t, dims))
}

// reduce reduces axes with op: add, maximum, and, or.
func (b *text) reduce(op string, x value, axes ...int) value {
	var dims []int
	for i, d := range x.dims {
		if !slices.Contains(axes, i) {
			dims = append(dims, d)
		}
	}
	first := 0.0
	switch op {
	case "maximum":
		first = math.Inf(-1)
	case "and":
		first = 1
	}
	start := b.constant(first, x.elem)
	return b.line(x.elem, dims, "reduce(%s init: %s) applies stablehlo.%s across dimensions = %s : (%s, %s) -> %s",
		x.name, start.name, op, list(axes), x.typ(), start.typ(), tensor(x.elem, dims))
}

// sums adds up x and y, which have the same type, over the same axes in one reduction. Two
// reductions would be two kernels.
func (b *text) sums(x, y value, axes ...int) (value, value) {
	var dims []int
	for i, d := range x.dims {
		if !slices.Contains(axes, i) {
			dims = append(dims, d)
		}
	}
	zero := b.constant(0, x.elem)
	result, out, scalar := fmt.Sprintf("%%%d", b.next), tensor(x.elem, dims), zero.typ()
	b.next++
	fmt.Fprintf(b, "    %s:2 = stablehlo.reduce(%s init: %s), (%s init: %s) across dimensions = %s : (%s, %s, %s, %s) -> (%s, %s)\n",
		result, x.name, zero.name, y.name, zero.name, list(axes), x.typ(), y.typ(), scalar, scalar, out, out)
	fmt.Fprintf(b, "      reducer(%%x: %s, %%u: %s) (%%y: %s, %%v: %s) {\n", scalar, scalar, scalar, scalar)
	fmt.Fprintf(b, "        %%xu = stablehlo.add %%x, %%u : %s\n        %%yv = stablehlo.add %%y, %%v : %s\n", scalar, scalar)
	fmt.Fprintf(b, "        stablehlo.return %%xu, %%yv : %s, %s\n      }", scalar, scalar)
	b.end()
	return value{result + "#0", x.elem, dims}, value{result + "#1", x.elem, dims}
}

// dot is the matrix product that contracts axisX of x with axisY of y, in float32.
func (b *text) dot(x, y value, axisX, axisY int) value {
	dims := []int{x.dims[1-axisX], y.dims[1-axisY]}
	return b.line(f32, dims, "dot_general %s, %s, contracting_dims = [%d] x [%d], precision = [HIGHEST, HIGHEST] : (%s, %s) -> %s",
		x.name, y.name, axisX, axisY, x.typ(), y.typ(), tensor(f32, dims))
}

// gather takes one slice of x for each index vector. The last axis of at holds the vectors,
// with one entry for each leading axis of x. An index out of range is clamped.
func (b *text) gather(x, at value) value {
	n, batch := at.dims[len(at.dims)-1], len(at.dims)-1
	rest := x.dims[n:]
	dims := append(slices.Clone(at.dims[:batch]), rest...)
	var offset, leading, sizes []int
	for i := range rest {
		offset = append(offset, batch+i)
	}
	for i := range n {
		leading, sizes = append(leading, i), append(sizes, 1)
	}
	sizes = append(sizes, rest...)
	v := value{fmt.Sprintf("%%%d", b.next), x.elem, dims}
	b.next++
	fmt.Fprintf(b, "    %s = \"stablehlo.gather\"(%s, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = %s, collapsed_slice_dims = %s, start_index_map = %s, index_vector_dim = %d>, slice_sizes = array<i64: %s>}> : (%s, %s) -> %s",
		v.name, x.name, at.name, list(offset), list(leading), list(leading), batch, strings.Trim(list(sizes), "[]"), x.typ(), at.typ(), v.typ())
	b.end()
	return v
}
