// Winograd's convolution F(4x4, 3x3): the mathematics, and the functions that winograd.c
// and gradweight.c share.
//
// Reference: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
// Networks", arXiv:1509.09308, 2015.
//
// A direct convolution computes 4x4 pixels of y from 6x6 pixels of x and 3x3 weights
// with 144 products for each pair of an input and an output channel. Convolution is a
// product of polynomials, and a polynomial is determined by its values at enough
// points. So the tile d of x and the weights w are transformed to values at six points
// in each direction, multiplied there (36 products), and transformed back:
//
//	y = A' [ (G w G') * (B' d B) ] A        * is elementwise, ' is transposed
//
// The transforms of x and y cost additions for each channel, not for each pair of
// channels. The products, summed over the input channels, are 36 matrix products
// (tiles x inputs) (inputs x outputs), which take nearly all of the time.
//
// The points are 0, infinity, a, -a, b, -b with a = 1/sqrt(2), b = sqrt(2). Rows and
// columns of transformed tiles are in this order, and position 6 i + j is row i, column
// j.
//
//	B' = 1   .   -5/2  .    1   .      A = 1   .   .    .      G = 1     .       .
//	     .   1   .     -5/2 .   1          .   .   .    1          .     .       1
//	     .   -2a -2    a    1   .          1   a   1/2  a/2        -2/3  -2a/3   -1/3
//	     .   2a  -2    -a   1   .          1   -a  1/2  -a/2       -2/3  2a/3    -1/3
//	     .   -a  -1/2  b    1   .          1   b   2    2b         1/6   b/6     1/3
//	     .   a   -1/2  -b   1   .          1   -b  2    -2b        1/6   -b/6    1/3
//
// The rows of a point and its negative differ only in the sign of their odd powers, so
// each pair costs one even and one odd sum.
//
// The input gradient is the same convolution, of dy with reversed weights and with
// inputs and outputs exchanged. The weight gradient follows from the formula above,
// summed over all tiles of all images:
//
//	dw = G' [ sum of (B' d B) * (A dy A') ] G
//
// The error. A direct convolution rounds after each product. Here the transforms add
// and subtract numbers of the size of x, multiplied by up to 5/2 in each row, and A'
// multiplies the results by up to 2b. Where large numbers cancel, their rounding errors
// remain. The entries are larger the further the points are from 1: with the points 0,
// +-1, +-2 of Lavin and Gray the error is 4.7 times that of a direct convolution in
// float32, with these, whose ratios to 1 are equal, 2.3 times. Everything is float32
// here, except with AVX512-BF16, where the transformed tiles and weights are rounded to
// bfloat16 and multiplied in pairs, which is twice as fast; sums are float32. The gradient
// of a step then has 1.1 to 1.3 times the error of PyTorch's bfloat16 (cpu/README.md).
//
// Tiles overlap by two pixels in x and do not overlap in y:
//
//	x, with a margin of zeros         y
//	+-----------------+               +---------+---------+
//	| 6x6 of tile 0   |               | 4x4 of  | 4x4 of  |
//	|        +--------|--------+      | tile 0  | tile 1  |
//	|        |        | tile 1 |      +---------+---------+
//	+--------|--------+        |
//	         +-----------------+
//
// At the right and lower edge of y the last tile is moved back and overlaps the one
// before. The layout of the transformed tiles of a group is
//
//	[position 36][input block][tile of the group, GROUP][V inputs]
//
// with LINE bytes between positions, so that they do not map to the same cache sets. The
// transformed weights are in the order of their use, with LINE bytes between positions, too:
//
//	[16 outputs][position 36][input][16 outputs]
//
// and with AVX512-BF16, whose instruction multiplies pairs of inputs,
//
//	[16 outputs][position 36][two inputs][16 outputs][2]
#include "vec.h"

#define A 0.70710678118654752440f
#define B 1.41421356237309504880f

enum {
	GROUP = 16,                         // tiles that are multiplied together
	POSITION = GROUP * 4 * OUTS + LINE, // stride in bytes between positions of the products
	VALUES = PIXEL / PAIR,              // bytes of V numbers of a transformed tile
};

typedef struct winogradTask { // see winograd.go
	SHARED;
	char *x, *y, *weights;
	const int32_t (*table)[2];
	char *scratch;
	int64_t threadScratch;
	int64_t padded, transformed;
	int64_t xImage, yImage, yBlock;
	int64_t padRow, padBlock;
	int64_t inBlocks, outBlocks;
	int64_t rows, pixels;
	int64_t groups, position, yRow;
	int64_t images, group;
	int64_t chunk, tileRow, gradientPosition, paddedGradient;
	int64_t xPixel, xBlock, yPixel;
} winogradTask;

// weightsPosition is the stride in bytes between positions of the transformed weights.
INLINE int64_t weightsPosition(int64_t inBlocks) { return inBlocks * V / PAIR * 4 * OUTS + LINE; }

// BOTH sets plus = e + r o and minus = e - r o: the values at the points r and -r.
#define BOTH(e, o, r, plus, minus)  \
	({                              \
		vec e_ = (e), o_ = (o);     \
		plus = fma(o_, r, e_);      \
		minus = fnma(o_, r, e_);    \
	})

// spread is B' d for one column of a tile.
INLINE void spread(const vec d[6], vec to[6]) {
	to[0] = fnma(d[2], all(2.5f), d[4]) + d[0];
	to[1] = fnma(d[3], all(2.5f), d[5]) + d[1];
	BOTH(fma(d[2], all(-2), d[4]), fma(d[1], all(-2), d[3]), all(A), to[2], to[3]);
	BOTH(fma(d[2], all(-.5f), d[4]), fma(d[1], all(-.5f), d[3]), all(B), to[4], to[5]);
}

// tile is B' d B for the tile of x at p, V channels of it: the first or second factors at to.
INLINE void tile(const char *p, int64_t row, char *to, int64_t position, int second) {
	vec m[6][6];
	UNROLL for (int c = 0; c < 6; c++) {
		vec d[6], r[6];
		UNROLL for (int i = 0; i < 6; i++)
			d[i] = at(p + i * row + c * PIXEL);
		spread(d, r);
		UNROLL for (int i = 0; i < 6; i++)
			m[i][c] = r[i];
	}
	UNROLL for (int i = 0; i < 6; i++) {
		vec r[6];
		spread(m[i], r);
		UNROLL for (int j = 0; j < 6; j++)
			factor(to + (6 * i + j) * position, r[j], second);
	}
}

// lay copies blocks of images into padded ones; pixel and block are the strides of the first. The
// margins stay zero, so that tiles need no test for the border.
INLINE void lay(const winogradTask *t, const char *from, int64_t pixel, int64_t block, char *to, int64_t blocks) {
	for (to += t->padRow + PIXEL; blocks > 0; blocks--, from += block, to += t->padBlock) {
		const char *p = from;
		for (int64_t i = 0; i < t->rows; i++)
#pragma clang loop unroll_count(2)
			for (int64_t j = 0; j < t->pixels; j++, p += pixel)
				put(to + i * t->padRow + j * PIXEL, load(p));
	}
}
