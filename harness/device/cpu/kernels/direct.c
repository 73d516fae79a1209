// Direct convolutions of any size and stride, their gradients, and matrix products.
//
// A convolution with S x S taps, stride s and p zeros around x is
//
//	y[o][i][j] = sum over c, k, l of  w[o][c][k][l] x[c][s i + k - p][s j + l - p]
//
// so a pixel of y is the product of the weights, a matrix (inputs and taps) x outputs,
// with a window of x. In a block of V channels the pixels of a row are contiguous,
// each with its V channels. So the part of the window in one row of one block is a
// run of S V contiguous numbers. The weights of a run are in the same order, with 16
// outputs for each number. No window is copied, unlike im2col:
//
//	x:  row  s i - p      . . [ c0..c7 | c0..c7 | c0..c7 ] . .    a run: S = 3, V = 8
//	    row  s i - p + 1  . . [ c0..c7 | c0..c7 | c0..c7 ] . .
//	    row  s i - p + 2  . . [ c0..c7 | c0..c7 | c0..c7 ] . .
//	w:  [16 outputs][block of inputs][k][l][V inputs][16 outputs]
//
// With V = 16 the rows of float32 are laid out in half blocks of 8 channels, if S > 1, so that
// sums have the order of V = 8, and the same bits.
//
// A table holds the offset of each pixel's window in x and of the pixel in y, so that
// the loops do not depend on stride, size and shape of images. The first convolution
// has 3 channels in planes: they are interleaved first, and a run has S 3 numbers.
//
// The input gradient with stride s: only the taps that are a multiple of s away reach
// a pixel of dx, and these are the same for all pixels whose row and column have the
// same remainders modulo s. So it is s s convolutions of dy with stride 1, each with
// some of the taps, in reverse order:
//
//	columns of dx, S = 3, s = 2, p = 1    0    1    2    3    4
//	taps that reach them                  1   2,0   1   2,0   1
//
// The weight gradient is a matrix product over the pixels, of the numbers of a run,
// in the order above, and the outputs:
//
//	dw[number][o] = sum over images and pixels of  x[corner + number] dy[o][pixel]
//
// With AVX512-BF16, an instruction multiplies pairs of bfloat16 and adds both products. So the
// numbers of a run are taken in pairs, as they are stored; an odd number of planes is filled up
// with zeros. For the weight gradient (pairGradWeight) the pixels of a row of dy are taken in
// pairs, and x is laid out as the pairs of pixels that a tap multiplies with them:
//
//	x:  row i, tap l    [ c0 c0' | c1 c1' | ... ] . .    c: column 2 j s + l - p, c': s further
//
// If a row is odd, its last pair is the last two pixels, the first of them with zeros for x.
//
// Images are divided into chunks, each with its own sums, which sumRows (flat.c) adds
// in their order. So no bit depends on which thread computes which chunk.
//
// The error is that of a sequential sum in float32 with one rounding for each
// product: about sqrt(n) roundings for n products.
#include "vec.h"

typedef struct directPart { // a convolution with some of the taps
	int64_t weights, table;  // offsets: in w (bytes), in the table (pixels)
	int64_t pixels;          // pixels of y in a whole piece
	int64_t from, rows, run; // window: offset from the corner in bytes, rows, numbers (or pairs) in a row
} directPart;

typedef struct directTask { // see direct.go
	SHARED; // pieces: bands of rows of an image, or a few images; of the weight gradient: chunks of images
	char *x, *y, *w;
	const int32_t (*table)[2];
	char *scratch;
	int64_t threadScratch;
	int64_t images, group, bands, bandRows, rows;             // group: images of a piece; bandRows: its rows; rows: of an image of y
	int64_t xImage, xRow, xBlock, yImage, yRow, yBlock;       // strides in bytes; those of x after it is laid out
	int64_t blocks, outBlocks;                                // blocks of inputs; blocks of 16 outputs
	int64_t together;                                         // input blocks that are computed for all outputs before the next ones
	int64_t step;                                             // stride between the numbers (or pairs) of a run
	int64_t stored;                                           // bytes of a pixel of a block in x
	int64_t planes, plane;                                    // planes of x that are interleaved; bytes of a pixel of one
	int64_t height, line, width, skip, pixel, before, stride; // x before it is laid out: rows, bytes of a row; width pixels, every skip-th, are laid out
	int64_t laidRows, laidRow;                                // rows of a laid out band, and bytes of each; 0 if x is read in place
	int64_t taps, columns;                                    // of pairGradWeight: taps in a row of the window, pixels in a row of dy
	int64_t chunk;
	int64_t parts;
	directPart part[4];
} directTask;

enum {
	PIXELS = V == 16 ? 8 : ROWS, // pixels whose sums are in registers; each needs an address register, too
	NUMBERS = V == 16 ? 16 : 6,  // most numbers of a run that are multiplied together for the weight gradient
};

typedef float half __attribute__((vector_size(PIXEL / 2), aligned(4), may_alias));
typedef number halfStored __attribute__((vector_size(STORED / 2), aligned(NUMBER), may_alias));

// row lays out row i of x, or zeros if it is outside of x, with padding on both sides: as
// float32 if wide, else as it is stored.
INLINE void row(const directTask *t, const char *x, int64_t i, char *to, int wide) {
	int64_t left = t->before * t->pixel, end = left + t->width * t->pixel, c = 0;
	if (i < 0 || i >= t->height)
		left = end = t->laidRow;
	for (; c < left; c += 4)
		*(float *)(to + c) = 0;
	int64_t size = t->height * t->line, step = t->skip * t->plane;
	x += i * t->line;
	if (t->plane == NUMBER) // single channels
		for (; c < end; x += step) {
			for (int64_t p = 0; p < t->planes; p++, c += wide ? 4 : NUMBER)
				if (wide)
					*(float *)(to + c) = *(const number *)(x + p * size);
				else
					*(number *)(to + c) = *(const number *)(x + p * size);
			if (!wide && t->planes % PAIR)
				*(number *)(to + c) = 0, c += NUMBER;
		}
	else
		for (int64_t p = 0; p < t->planes && c < end; p++, x += size)
			for (int64_t j = 0; j < t->width; j++) {
				char *pixel = to + c + p * PIXEL + j * t->pixel;
				if (!wide)
					*(numbers *)pixel = *(const numbers *)(x + j * step);
				else if (V == 16 && t->pixel < PIXEL) // a half of a block
					*(half *)pixel = __builtin_convertvector(*(const halfStored *)(x + j * step), half);
				else
					put(pixel, load(x + j * step));
			}
	for (c = end; c < t->laidRow; c += 4)
		*(float *)(to + c) = 0;
}

#ifdef __AVX512BF16__
// inside returns the pixel of x in row i and a column, or zeros if it is outside.
INLINE words inside(const directTask *t, const char *x, int64_t i, int64_t column) {
	if (i < 0 || i >= t->height || column < 0 || column >= t->width)
		return (words){};
	x += i * t->line + column * t->skip * STORED;
	__builtin_prefetch(x + t->height * t->line); // for the next block
	return *(const words *)x;
}

// pairs lays out row i of x as pairs for each tap.
INLINE void pairs(const directTask *t, const char *x, int64_t i, char *to) {
	for (int64_t tap = 0; tap < t->taps; tap++)
		for (int64_t j = 0, column = tap - t->before; j < t->columns; j += 2, column += 2 * t->stride, to += PIXEL)
			if (j + 1 < t->columns)
				*(twice *)to = zip(inside(t, x, i, column), inside(t, x, i, column + t->stride));
			else
				*(twice *)to = zip((words){}, inside(t, x, i, column));
}
#endif

// piece is a band of rows of an image, or a few images; fewer at the end.
typedef struct piece {
	int64_t image, images, first, rows;
} piece;

INLINE piece cut(const directTask *t, int64_t image, int64_t end, int64_t first) {
	int64_t images = end - image, rows = t->rows - first;
	return (piece){image, images < t->group ? images : t->group, first, rows < t->bandRows ? rows : t->bandRows};
}

// pixelsOf returns the number of pixels of piece c, if a whole piece has pixels.
INLINE int64_t pixelsOf(const directTask *t, piece c, int64_t pixels) { return pixels * c.images / t->group * c.rows / t->bandRows; }

// lay lays out the rows that a piece needs, with padding, and returns their address. If
// nothing must be laid out, it returns their address in x.
INLINE const char *lay(const directTask *t, piece c, char *to, int wide, int paired) {
	int64_t rows = t->laidRows - (t->bandRows - c.rows) * t->stride, from = c.image * t->blocks, end = from + c.images * t->blocks;
	if (!t->laidRow)
		return t->x + from * t->height * t->line + c.first * t->stride * t->xRow;
	char *start = to;
	for (int64_t n = from; n < end; n++, to += t->xBlock) {
		int64_t bytes = n * t->stored; // of the first pixels of all blocks before this one
		const char *x = t->x + bytes / t->plane * t->height * t->line + bytes % t->plane;
		for (int64_t i = 0; i < rows; i++) {
			int64_t from = (c.first * t->stride + i) * t->skip - t->before;
#ifdef __AVX512BF16__
			if (paired) {
				pairs(t, x, from, to + i * t->taps * t->xRow);
				continue;
			}
#endif
			row(t, x, from, to + i * t->xRow, wide);
		}
	}
	return start;
}

// window adds to y the products of PIXELS pixels with 16 outputs, over some blocks. It
// prefetches what the next pixels (ahead) will read.
INLINE void window(const directTask *t, const directPart *p, int64_t blocks, const char *x, const char *w, char *y, int fresh, const int32_t (*table)[2], const int32_t (*ahead)[2]) {
	vec sum[PIXELS][OUT];
	int64_t corner[PIXELS];
	UNROLL for (int i = 0; i < PIXELS; i++) {
		corner[i] = table[i][0];
		UNROLL for (int o = 0; o < OUT; o++)
			sum[i][o] = fresh ? all(0) : load(y + table[i][1] + o * t->yBlock);
	}
	for (int64_t b = 0; b < blocks; b++)
		for (int64_t r = 0; r < p->rows; r++) {
			const char *number = x + b * t->xBlock + r * t->xRow;
			if (ahead)
				for (int i = 0; i < PIXELS; i++)
					__builtin_prefetch(number + ahead[i][0]);
#pragma clang loop unroll(disable)
			for (int64_t k = p->run; k > 0; k--, number += t->step, w += 4 * OUTS) {
				vec v[OUT];
				UNROLL for (int o = 0; o < OUT; o++)
					v[o] = at(w + o * PIXEL);
				UNROLL for (int i = 0; i < PIXELS; i++)
					UNROLL for (int o = 0; o < OUT; o++)
						sum[i][o] = mulAdd(number + corner[i], v[o], sum[i][o]);
			}
		}
	UNROLL for (int i = 0; i < PIXELS; i++)
		UNROLL for (int o = 0; o < OUT; o++)
			save(y + table[i][1] + o * t->yBlock, sum[i][o]);
}

// convolve adds the products of the blocks from b on to all outputs of a part, PIXELS pixels
// at a time. If fewer than PIXELS pixels are left at the end, it computes the last PIXELS
// pixels again, with all blocks, in the pass over the last blocks. Pixels that are written
// twice get the same values.
INLINE void convolve(const directTask *t, const directPart *p, int64_t pixels, int64_t b, const char *x, char *y) {
	const int32_t(*table)[2] = t->table + p->table;
	int64_t blocks = t->blocks - b < t->together ? t->blocks - b : t->together;
	int64_t weights = p->rows * p->run * 4 * OUTS; // bytes of a block and 16 outputs
	const char *w = t->w + p->weights;
	for (int64_t o = 0; o < t->outBlocks; o++, y += OUT * t->yBlock, w += t->blocks * weights) {
		int64_t j = 0, from = b, n = blocks;
		for (; j < pixels; j += PIXELS) {
			if (j + PIXELS > pixels) {
				if (p->rows && b + blocks < t->blocks)
					break;
				j = pixels - PIXELS, from = 0, n = t->blocks;
			}
			const int32_t(*ahead)[2] = o == 0 && j + 2 * PIXELS <= pixels ? table + j + PIXELS : 0;
			window(t, p, n, x + from * t->xBlock, w + from * weights, y, from == 0, table + j, ahead);
		}
	}
}

// direct computes a convolution, piece by piece.
void direct(directTask *t, int64_t thread) {
	char *scratch = t->scratch + t->threadScratch * thread;
	EACH(n) {
		piece c = cut(t, n / t->bands * t->group, t->images, n % t->bands * t->bandRows);
		const char *x = lay(t, c, scratch, PAIR == 1, 0);
		char *y = t->y + c.image * t->yImage + c.first * t->yRow;
		for (int64_t b = 0; b < t->blocks; b += t->together)
			for (int64_t i = 0; i < t->parts; i++)
				if (b == 0 || t->part[i].rows) // a part without taps writes zeros, once
					convolve(t, &t->part[i], pixelsOf(t, c, t->part[i].pixels), b, x + t->part[i].from, y);
	}
}

// products adds to sums the products of n numbers with 16 outputs, over the pixels, or over
// pairs of them.
INLINE void products(int n, const directTask *t, const char *x, const char *dy, int64_t pixels, char *sums, int fresh, int paired) {
	vec s[NUMBERS][OUT];
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int o = 0; o < OUT; o++)
			s[i][o] = fresh ? all(0) : at(sums + i * 4 * OUTS + o * PIXEL);
	const int32_t(*table)[2] = t->table;
	int64_t yBlock = t->yBlock;
#pragma clang loop unroll(disable)
	for (; pixels > 0; pixels--, table++) {
		const char *number = x + (*table)[0], *d = dy + (*table)[1];
#ifdef __AVX512BF16__
		if (paired) {
			vec v = (vec)zip(*(const words *)d, *(const words *)(d + STORED));
			__builtin_prefetch(d + yBlock); // for the next outputs
			UNROLL for (int i = 0; i < n; i++)
				s[i][0] = mulAdd(number + 4 * i, v, s[i][0]);
			continue;
		}
#endif
		vec v[OUT];
		UNROLL for (int o = 0; o < OUT; o++)
			v[o] = load(d + o * yBlock);
		UNROLL for (int i = 0; i < n; i++)
			UNROLL for (int o = 0; o < OUT; o++)
				s[i][o] = fma(all(*(const float *)(number + 4 * i)), v[o], s[i][o]);
	}
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int o = 0; o < OUT; o++)
			put(sums + i * 4 * OUTS + o * PIXEL, s[i][o]);
}

// runs calls products for all numbers of all runs, in groups of at most NUMBERS whose sizes
// differ by at most one. Runs have at least 3 numbers, and so have the groups.
INLINE void runs(const directTask *t, const char *x, const char *dy, int64_t pixels, char *sums, int fresh, int paired) {
	int64_t run = t->part->run, groups = (run + NUMBERS - 1) / NUMBERS;
	for (int64_t b = 0; b < t->blocks; b++)
		for (int64_t r = 0; r < t->part->rows; r++) {
			const char *from = x + b * t->xBlock + r * t->xRow;
			for (int64_t g = 0; g < groups; g++) {
				int64_t n = run * (g + 1) / groups - run * g / groups;
				UNROLL for (int i = paired ? NUMBERS : 3; i <= NUMBERS; i++)
					if (n == i)
						products(i, t, from, dy, pixels, sums, fresh, paired);
				from += 4 * n, sums += n * 4 * OUTS;
			}
		}
}

// gradWeight is directGradWeight or pairGradWeight.
INLINE void gradWeight(directTask *t, int64_t thread, int paired) {
	char *scratch = t->scratch + t->threadScratch * thread;
	int64_t weights = t->blocks * t->part->rows * t->part->run * 4 * OUTS;
	EACH(n) {
		int64_t begin = n * t->images / t->count, end = (n + 1) * t->images / t->count;
		for (int64_t image = begin; image < end; image += t->group)
			for (int64_t first = 0; first < t->rows; first += t->bandRows) {
				piece c = cut(t, image, end, first);
				const char *x = lay(t, c, scratch, 1, paired), *dy = t->y + image * t->yImage + first * t->yRow;
				for (int64_t o = 0; o < t->outBlocks; o++)
					runs(t, x, dy + o * OUT * t->yBlock, pixelsOf(t, c, t->part->pixels), t->w + n * t->chunk + o * weights, image == begin && first == 0, paired);
			}
	}
}

// directGradWeight computes the sums of each chunk, w: [block of 16 outputs][block][row of
// the window][number of the run][16 outputs].
void directGradWeight(directTask *t, int64_t thread) { gradWeight(t, thread, 0); }

#ifdef __AVX512BF16__
void pairGradWeight(directTask *t, int64_t thread) { gradWeight(t, thread, 1); }
#endif
