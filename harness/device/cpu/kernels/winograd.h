// Winograd's convolution F(4x4, 3x3): the mathematics, and what winograd.c and
// gradweight.c share.
//
// Reference: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
// Networks", arXiv:1509.09308, 2015.
//
// A direct convolution makes 4x4 pixels of y from 6x6 pixels of x and 3x3 weights
// with 144 products for each pair of an input and an output channel. Convolution
// is a product of polynomials, and a polynomial is known by its values at enough
// points. So the tile d of x and the weights w are taken to values at six points
// in each direction, multiplied there, 36 products, and led back:
//
//	y = A' [ (G w G') * (B' d B) ] A        * element by element, ' transposed
//
// The transforms of x and y cost additions for each channel, not for each pair of
// channels; the 36 products, summed over the input channels, are 36 products of
// matrices (tiles x inputs) (inputs x outputs), where nearly all the time goes.
//
// The points are 0, infinity, a, -a, b, -b with a = 1/sqrt(2), b = sqrt(2). Rows
// and columns of transformed tiles come in this order, and position 6 i + j is row
// i, column j.
//
//	B' = 1   .   -5/2  .    1   .      A = 1   .   .    .      G = 1     .       .
//	     .   1   .     -5/2 .   1          .   .   .    1          .     .       1
//	     .   -2a -2    a    1   .          1   a   1/2  a/2        -2/3  -2a/3   -1/3
//	     .   2a  -2    -a   1   .          1   -a  1/2  -a/2       -2/3  2a/3    -1/3
//	     .   -a  -1/2  b    1   .          1   b   2    2b         1/6   b/6     1/3
//	     .   a   -1/2  -b   1   .          1   -b  2    -2b        1/6   -b/6    1/3
//
// The rows of a point and its negative differ in the sign of their odd powers
// alone, so each pair costs one even and one odd sum.
//
// The gradient of the loss by x is the same convolution, of dy with the weights
// turned round and inputs and outputs exchanged. The gradient by w follows from
// the formula above, summed over all tiles of all images:
//
//	dw = G' [ sum of (B' d B) * (A dy A') ] G
//
// The error. Direct sums round after each product. Here the transforms add and
// subtract numbers of the size of x, multiplied by up to 5/2 a row, and A' weighs
// the results with up to 2b; what cancels leaves its rounding behind. The size of
// the entries grows with the distance of the points from 1: with 0, +-1, +-2 of
// the paper the error is 4.7 times that of direct sums in float32, with points
// that lie at equal ratios about 1, as these, 2.3 times. All is float32 here.
//
// Tiles overlap by two pixels in x and not at all in y:
//
//	x, with a margin of zeros         y
//	+-----------------+               +---------+---------+
//	| 6x6 of tile 0   |               | 4x4 of  | 4x4 of  |
//	|        +--------|--------+      | tile 0  | tile 1  |
//	|        |        | tile 1 |      +---------+---------+
//	+--------|--------+        |
//	         +-----------------+
//
// At the right and lower edge of y the last tile is moved back and overlaps the
// one before. The transformed tiles of a group, GROUP of them, lie as
//
//	[position 36][input block][tile of the group][V inputs]
//
// with LINE bytes between positions so that they do not fall on the same lines of
// the cache. The transformed weights lie in the order of their use:
//
//	[16 outputs][position 36][input][16 outputs]
#include "vec.h"

#define A 0.70710678118654752440f
#define B 1.41421356237309504880f

enum {
	GROUP = 16,                         // tiles that are multiplied at a time
	POSITION = GROUP * 4 * OUTS + LINE, // bytes from position to position of the products
};

typedef struct winogradTask { // see winograd.go
	int64_t next, count, threads;
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
} winogradTask;

// PAIR gives e + r o and e - r o: the values at the points r and -r.
#define PAIR(e, o, r, plus, minus)  \
	({                              \
		vec e_ = (e), o_ = (o);     \
		plus = fma(o_, r, e_);      \
		minus = fnma(o_, r, e_);    \
	})

// spread is B' d for one column of a tile.
INLINE void spread(const vec d[6], vec to[6]) {
	to[0] = fnma(d[2], all(2.5f), d[4]) + d[0];
	to[1] = fnma(d[3], all(2.5f), d[5]) + d[1];
	PAIR(fma(d[2], all(-2), d[4]), fma(d[1], all(-2), d[3]), all(A), to[2], to[3]);
	PAIR(fma(d[2], all(-.5f), d[4]), fma(d[1], all(-.5f), d[3]), all(B), to[4], to[5]);
}

// tile is B' d B for the tile of x at p, V channels of it.
INLINE void tile(const char *p, int64_t row, char *to, int64_t position) {
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
			put(to + (6 * i + j) * position, r[j]);
	}
}

// lay copies blocks of images into padded ones, between margins that stay zero:
// no tile needs a test for the border.
INLINE void lay(const winogradTask *t, const char *from, char *to, int64_t blocks) {
	for (to += t->padRow + PIXEL; blocks > 0; blocks--, to += t->padBlock)
		for (int64_t i = 0; i < t->rows; i++)
#pragma clang loop unroll_count(2)
			for (int64_t j = 0; j < t->pixels; j++, from += PIXEL)
				put(to + i * t->padRow + j * PIXEL, at(from));
}
