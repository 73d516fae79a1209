// The weight gradient of Winograd's convolution, dw = G' [ sum over the tiles of
// (B' d B) * (A dy A') ] G; winograd.h has the mathematics.
//
// The images are divided into chunks, each with its own sums, which are added in
// their order, so that no bit depends on which thread computes which chunk. Tiles at
// the edge reach into the padding of x and dy. The layout of the transformed tiles of
// a few images is
//
//	[position 36][block][tile][V channels]
//
// and with AVX512-BF16, whose instruction multiplies pairs of tiles,
//
//	[position 36][block][two tiles of an image][V channels][2]
//
// They are multiplied as matrices (inputs x tiles) (tiles x outputs), 16 inputs by 16
// outputs. The layout of the sums of a chunk is
//
//	[16 outputs][16 inputs][position 36][16 inputs][16 outputs]
#include "winograd.h"

typedef struct winogradSumTask { // see winograd.go; a piece is 16 inputs and 16 outputs
	SHARED;
	int64_t chunks;
	char *u, *dw;
	int64_t chunk, inBlocks;
} winogradSumTask;

enum {
	INS = 16,              // inputs that are multiplied together
	ROW = 4 * OUTS,        // bytes of the sums of one input
	SUMS = 36 * INS * ROW, // bytes of the sums of 16 inputs and 16 outputs
};

// expand is A y for one column of a tile of dy.
INLINE void expand(const vec y[4], vec to[6]) {
	to[0] = y[0];
	to[1] = y[3];
	BOTH(fma(y[2], all(.5f), y[0]), fma(y[3], all(.5f), y[1]), all(A), to[2], to[3]);
	BOTH(fma(y[2], all(2), y[0]), fma(y[3], all(2), y[1]), all(B), to[4], to[5]);
}

// expandTile is A dy A' for the tile of dy at p, V channels of it: the first or second factors at to.
INLINE void expandTile(const char *p, int64_t row, char *to, int64_t position, int second) {
	vec m[6][4];
	UNROLL for (int c = 0; c < 4; c++) {
		vec y[4], r[6];
		UNROLL for (int i = 0; i < 4; i++)
			y[i] = at(p + i * row + c * PIXEL);
		expand(y, r);
		UNROLL for (int i = 0; i < 6; i++)
			m[i][c] = r[i];
	}
	UNROLL for (int i = 0; i < 6; i++) {
		vec r[6];
		expand(m[i], r);
		UNROLL for (int j = 0; j < 6; j++)
			factor(to + (6 * i + j) * position, r[j], second);
	}
}

// ahead returns the address from which a pass over tiles prefetches the next images, one
// cache line for each tile: x in the first passes, then dy, then nothing (a step of 0).
INLINE const char *ahead(const winogradTask *t, int64_t image, int64_t tiles, int64_t pass, int64_t *step) {
	int64_t passesX = t->inBlocks * STORED / 4 * PAIR, passesY = t->outBlocks * OUT * STORED / 4 * PAIR;
	*step = pass < passesX + passesY ? LINE : 0;
	if (pass < passesX)
		return t->x + image * t->xImage + pass * tiles * LINE;
	return t->y + image * t->yImage + (pass - passesX) * tiles * *step;
}

// products adds the products of tiles to the sums of n inputs from first on; these n x OUT
// sums stay in registers. It prefetches from next on.
INLINE void products(int first, int n, const char *x, const char *dy, int64_t tileRow, int64_t tiles, char *sums, int fresh, const char *next, int64_t step) {
	vec s[ROWS][OUT];
	sums += first * ROW;
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int o = 0; o < OUT; o++)
			s[i][o] = fresh ? all(0) : at(sums + i * ROW + o * PIXEL);
#pragma clang loop unroll(disable)
	for (; tiles > 0; tiles--, x += PIXEL, dy += PIXEL, next += step) {
		vec w[OUT];
		__builtin_prefetch(next, 0, 2);
		UNROLL for (int o = 0; o < OUT; o++)
			w[o] = at(dy + o * tileRow);
		UNROLL for (int i = 0; i < n; i++)
			UNROLL for (int o = 0; o < OUT; o++)
				s[i][o] = mulAdd(x + (first + i) / V * tileRow + (first + i) % V * 4, w[o], s[i][o]);
	}
	UNROLL for (int i = 0; i < n; i++)
		UNROLL for (int o = 0; o < OUT; o++)
			put(sums + i * ROW + o * PIXEL, s[i][o]);
}

// steps is the number of tiles of an image, or of pairs of them.
INLINE int64_t steps(const winogradTask *t) { return (t->groups + PAIR - 1) / PAIR; }

// transformBlock transforms the tiles of a block of x, or of dy. If their number is odd, the last
// pair has zeros.
INLINE void transformBlock(const winogradTask *t, const char *padded, char *to, int64_t position, int gradient) {
	for (int64_t i = 0; i < t->groups; i += PAIR, to += PIXEL)
		UNROLL for (int k = 0; k < PAIR; k++) {
			if (i + k == t->groups)
				for (int p = 0; p < 36; p++)
					factor(to + p * position, all(0), k);
			else if (gradient)
				expandTile(padded + t->table[i + k][0], t->padRow, to, position, k);
			else
				tile(padded + t->table[i + k][0], t->padRow, to, position, k);
		}
}

// transform lays out images [begin, end) with padding, and transforms their tiles.
INLINE void transform(const winogradTask *t, int64_t begin, int64_t end, char *paddedX, char *paddedY, char *tx, char *ty) {
	int64_t yBlocks = t->outBlocks * OUT;
	for (int64_t image = begin; image < end; image++, tx += steps(t) * PIXEL, ty += steps(t) * PIXEL) {
		lay(t, t->x + image * t->xImage, t->xPixel, t->xBlock, paddedX, t->inBlocks);
		lay(t, t->y + image * t->yImage, t->yPixel, t->yBlock, paddedY, yBlocks);
		for (int64_t b = 0; b < t->inBlocks; b++)
			transformBlock(t, paddedX + b * t->padBlock, tx + b * t->tileRow, t->position, 0);
		for (int64_t b = 0; b < yBlocks; b++)
			transformBlock(t, paddedY + b * t->padBlock + t->padRow + PIXEL, ty + b * t->tileRow, t->gradientPosition, 1);
	}
}

// winogradGradWeight computes the sums of each chunk.
void winogradGradWeight(winogradTask *t, int64_t thread) {
	char *paddedX = t->scratch + t->threadScratch * thread, *paddedY = paddedX + t->padded;
	char *tx = paddedY + t->paddedGradient, *ty = tx + t->transformed;
	EACH(n) {
		int64_t first = n * t->images / t->count, end = (n + 1) * t->images / t->count, last;
		for (int64_t begin = first; begin < end; begin = last) {
			last = begin + t->group < end ? begin + t->group : end;
			transform(t, begin, last, paddedX, paddedY, tx, ty);
			int64_t tiles = (last - begin) * steps(t), pass = 0, step;
			char *sums = t->weights + n * t->chunk;
			for (int64_t o = 0; o < t->outBlocks; o++)
				for (int64_t i = 0; i < t->inBlocks / OUT; i++)
					for (int p = 0; p < 36; p++, sums += INS * ROW) {
						const char *x = tx + p * t->position + i * OUT * t->tileRow, *dy = ty + p * t->gradientPosition + o * OUT * t->tileRow;
						UNROLL for (int k = 0; k < WHOLE; k += ROWS, pass++) {
							const char *next = ahead(t, last, tiles, pass, &step);
							products(k, ROWS, x, dy, t->tileRow, tiles, sums, begin == first, next, step);
						}
						UNROLL for (int k = WHOLE; k < INS; k += ROWS - 1, pass++) {
							const char *next = ahead(t, last, tiles, pass, &step);
							products(k, ROWS - 1, x, dy, t->tileRow, tiles, sums, begin == first, next, step);
						}
					}
		}
	}
}

// gather is G' m for one column: from six points to three taps.
INLINE void gather(const vec m[6], vec w[3]) {
	vec p = m[2] + m[3], q = m[2] - m[3], r = m[4] + m[5], s = m[4] - m[5];
	w[0] = fma(r, all(1.f / 6), fma(p, all(-2.f / 3), m[0]));
	w[1] = fma(s, all(B / 6), q * all(-2.f / 3 * A));
	w[2] = fma(r, all(1.f / 3), fma(p, all(-1.f / 3), m[1]));
}

// addChunks adds the sums of all chunks to those of the first chunk, at u.
INLINE void addChunks(const winogradSumTask *t, char *u) {
	for (int64_t i = 0; i < SUMS; i += 4 * PIXEL) {
		vec s[4];
		UNROLL for (int k = 0; k < 4; k++)
			s[k] = at(u + i + k * PIXEL);
		for (int64_t c = 1; c < t->chunks; c++)
			UNROLL for (int k = 0; k < 4; k++)
				s[k] += at(u + c * t->chunk + i + k * PIXEL);
		UNROLL for (int k = 0; k < 4; k++)
			put(u + i + k * PIXEL, s[k]);
	}
}

// winogradGradSum adds the chunks and transforms positions back to taps. dw is (outputs, inputs, 3, 3).
void winogradGradSum(winogradSumTask *t, int64_t thread) {
	const int64_t tap = 4, in = 9 * tap, out = t->inBlocks * V * in; // strides of dw
	EACH(n) {
		char *u = t->u + n * SUMS;
		addChunks(t, u);
		int64_t ins = t->inBlocks / OUT;
		char *dw = t->dw + n / ins * OUTS * out + n % ins * INS * in;
		for (int i = 0; i < INS * OUT; i++) { // one input and V outputs
			const char *m = u + i % INS * ROW + i / INS * PIXEL;
			vec z[3][6];
			UNROLL for (int j = 0; j < 6; j++) {
				vec d[6], w[3];
				UNROLL for (int k = 0; k < 6; k++)
					d[k] = at(m + (6 * j + k) * INS * ROW);
				gather(d, w);
				UNROLL for (int k = 0; k < 3; k++)
					z[k][j] = w[k];
			}
			float taps[9][V];
			UNROLL for (int k = 0; k < 3; k++) {
				vec w[3];
				gather(z[k], w);
				UNROLL for (int j = 0; j < 3; j++)
					put(taps[3 * j + k], w[j]);
			}
			for (int o = 0; o < V; o++)
				UNROLL for (int k = 0; k < 9; k++)
					*(float *)(dw + (i / INS * V + o) * out + i % INS * in + k * tap) = taps[k][o];
		}
	}
}
