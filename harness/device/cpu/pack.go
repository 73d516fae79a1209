// Packed weights for the kernels in C.

package cpu

import (
	"math"
	"unsafe"

	"depthlab/nets/kernel"
)

// packing is the packed layout of a matrix of inputs, taps and outputs:
//
//	[block of 16 outputs][block of inputs][tap][input of the block][16 outputs]
//
// or, if pairs of bfloat16 are multiplied together, with two inputs for each output:
//
//	[block of 16 outputs][block of inputs][tap][pair of inputs of the block][16 outputs][2]
//
// The last block of outputs, and of inputs, is padded with zeros.
type packing struct {
	outs, ins, lanes int   // outputs, inputs, inputs of a block
	outStep, inStep  int   // strides of the unpacked matrix, in elements
	area             int   // taps of the unpacked matrix
	taps             []int // taps to pack, in order
	paired           bool  // as pairs of bfloat16
}

// by is the packing with pairs of numbers if pairs is 2.
func (p packing) by(pairs int64) packing {
	p.paired = pairs == 2
	return p
}

// weights is the packing of the weight (Out, ins, Size, Size) of a convolution, with all taps.
func weights(k kernel.Conv, ins, lanes int) packing {
	area := k.Size * k.Size
	p := packing{outs: k.Out, ins: ins, lanes: lanes, outStep: ins * area, inStep: area, area: area}
	for i := range area {
		p.taps = append(p.taps, i)
	}
	return p
}

// turned is the packing with inputs and outputs exchanged.
func (p packing) turned(lanes int) packing {
	p.outs, p.ins, p.outStep, p.inStep, p.lanes = p.ins, p.outs, p.inStep, p.outStep, lanes
	return p
}

// matrix is the packing of a (rows, columns) matrix. Its columns are the outputs if
// byColumns, else its rows.
func matrix(rows, columns int, byColumns bool) packing {
	if byColumns {
		return packing{outs: columns, ins: rows, lanes: rows, outStep: 1, inStep: columns, area: 1, taps: []int{0}}
	}
	return packing{outs: rows, ins: columns, lanes: columns, outStep: columns, inStep: 1, area: 1, taps: []int{0}}
}

// blocks is the number of blocks of outputs, piece the number of elements (or pairs) of each.
func (p packing) blocks() int { return (p.outs + channels - 1) / channels }
func (p packing) piece() int {
	ins := roundUp(p.ins, p.lanes)
	if p.paired {
		ins /= 2
	}
	return ins * len(p.taps) * channels
}

// bytes is the size of the packed matrix.
func (p packing) bytes() int64 { return int64(p.blocks()*p.piece()) * 4 }

// copy packs a block of outputs, or unpacks it if back. Packed elements are the bits of a float32,
// or of a pair.
func (p packing) copy(block int, packed []uint32, plain []float32, back bool) {
	first := block * channels
	n := min(channels, p.outs-first)
	to := packed[block*p.piece():][:p.piece()]
	step := 1
	if p.paired {
		step = 2
	}
	for in := 0; in < p.ins; in += p.lanes {
		for _, tap := range p.taps {
			for lane := 0; lane < p.lanes; lane += step {
				at := first*p.outStep + (in+lane)*p.inStep + tap
				row := to[:channels]
				to = to[channels:]
				switch {
				case back:
					for i := range row[:n] {
						plain[at] = math.Float32frombits(row[i])
						at += p.outStep
					}
					continue
				case !p.paired:
					for i := range row[:n] {
						row[i] = math.Float32bits(plain[at])
						at += p.outStep
					}
				default:
					second := in+lane+1 < p.ins
					for i := range row[:n] {
						row[i] = uint32(half(math.Float32bits(plain[at])))
						if second {
							row[i] |= uint32(half(math.Float32bits(plain[at+p.inStep]))) << 16
						}
						at += p.outStep
					}
				}
				clear(row[n:])
			}
		}
	}
}

// packed returns input i packed.
func packed(c *compiler, i int, p packing) (mem, error) {
	from, err := plainIn(c, i)
	if err != nil {
		return mem{}, err
	}
	to := c.space(p.bytes())
	repack(c, to, from, p, false)
	return to, nil
}

// unpack appends the unpacking of from to output i.
func unpack(c *compiler, i int, from mem, p packing) error {
	to, err := plainOut(c, i)
	if err != nil {
		return err
	}
	repack(c, from, to, p, true)
	return nil
}

// repack appends packing, or unpacking if back.
func repack(c *compiler, packed, other mem, p packing, back bool) {
	c.host(func() func() {
		a := slice[uint32](packed.block, packed.offset, p.blocks()*p.piece())
		b := floats(other, p.outs*p.ins*p.area)
		return c.d.each(p.blocks(), func(i int) { p.copy(i, a, b, back) })
	})
}

// space is memory for the current instruction.
func (c *compiler) space(bytes int64) mem {
	b := &block{size: bytes, first: c.at, last: c.at}
	c.work = append(c.work, b)
	return mem{block: b}
}

// floats is a view of n floats of m, once it has an address.
func floats(m mem, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(m.block.ptr, m.offset)), n)
}
