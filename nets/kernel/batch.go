// Batch selection: gathers, crops, flips and normalises the images of a step.

package kernel

import "fmt"

// Batch selects images of the resident data set and augments them:
//
//	images uint8 (D,C,H',W'), labels int32 (D), rows int32 (N,4),
//	mean (C,H',W'), scale (C), fill (C) -> input (N,C,H,W), label int32 (N)
//	and, with Noise, noise int32 (N)
//
// If the batch is cut into micro-batches, the outputs are one micro-batch: Images rows,
// starting at row First.
//
// A row is the image's index, the top and left of the crop in the image padded by Pad on
// each side, and random bits. If the lowest bit is 1, the image is flipped left-right. All
// of the bits are the noise, which Dropout makes masks from. A pixel inside the image
// becomes (pixel - mean) * scale, a pixel of the padding fill. Index -1 marks an empty
// slot: its input is zeros and its label -1.
type Batch struct {
	H, W          int // rows and columns of the crop
	Pad           int
	First, Images int // First row and number of rows of a micro-batch; Images 0 means all rows
	Noise         bool
}

// The indices of Batch's operands.
const (
	BatchImages = iota
	BatchLabels
	BatchRows
	BatchMean
	BatchScale
	BatchFill
)

func (k Batch) String() string {
	s := fmt.Sprintf("batch %dx%d p%d", k.H, k.W, k.Pad)
	if k.Images > 0 {
		s += fmt.Sprintf(" rows %d-%d", k.First, k.First+k.Images-1)
	}
	if k.Noise {
		s += " +noise"
	}
	return s
}

// images is N of the outputs, given the shape of rows.
func (k Batch) images(rows Shape) int {
	if k.Images > 0 {
		return k.Images
	}
	return rows[0]
}

func (k Batch) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4, 1, 2, 3, 1, 1); err != nil {
		return nil, err
	}
	images, c := in[0], in[0][1]
	switch {
	case in[1][0] != images[0], in[2][1] != 4, !in[3].Equal(images[1:]), in[4][0] != c, in[5][0] != c:
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	case k.First < 0 || k.First+k.Images > in[2][0]:
		return nil, fmt.Errorf("%s: there are %d rows", k, in[2][0])
	case k.H > images[2]+2*k.Pad || k.W > images[3]+2*k.Pad:
		return nil, fmt.Errorf("%s: the crop is larger than the padded image of %v", k, images)
	}
	n := k.images(in[2])
	return []Shape{{n, c, k.H, k.W}, {n}, {n}}[:len(k.Types())], nil
}

// Types: labels and noise are int32.
func (k Batch) Types() []DType {
	if k.Noise {
		return []DType{Float32, Int32, Int32}
	}
	return []DType{Float32, Int32}
}

func (k Batch) Cost(in []Shape) (flops, bytes int64) {
	n := int64(k.images(in[2]) * in[0][1] * k.H * k.W)
	return 2 * n, 5 * n
}

// Ref supports float32 only: it is not differentiated, so no gradient check needs
// float64.
func (k Batch) Ref(out, in []Tensor) {
	images, labels, rows := in[0], in[1], in[2].I32[k.First*4:]
	mean, scale, fill := in[3].F32, in[4].F32, in[5].F32
	C, H, W := images.Shape[1], images.Shape[2], images.Shape[3]
	x, label := out[0].F32, out[1].I32
	parallel(len(label), func(n int) {
		row := rows[n*4:][:4]
		if k.Noise {
			out[2].I32[n] = row[3]
		}
		if row[0] < 0 {
			label[n] = -1
			clear(x[n*C*k.H*k.W:][:C*k.H*k.W])
			return
		}
		d := int(row[0])
		label[n] = labels.I32[d]
		for c := range C {
			for h := range k.H {
				iy := h + int(row[1]) - k.Pad
				dst := x[((n*C+c)*k.H+h)*k.W:][:k.W]
				for w := range dst {
					ix := w
					if row[3]&1 != 0 {
						ix = k.W - 1 - w
					}
					ix += int(row[2]) - k.Pad
					if iy < 0 || iy >= H || ix < 0 || ix >= W {
						dst[w] = fill[c]
						continue
					}
					at := (c*H+iy)*W + ix
					dst[w] = (float32(images.U8[d*C*H*W+at]) - mean[at]) * scale[c]
				}
			}
		}
	})
}
