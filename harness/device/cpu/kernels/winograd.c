// Winograd's convolution, and the transform of its weights. winograd.h has the
// mathematics.
#include "winograd.h"

typedef struct winogradWeightsTask { // see winograd.go; a piece is V inputs and 16 outputs
	SHARED;
	int64_t inBlocks;
	char *w, *u;
	int64_t out, in, tap; // strides of w between outputs, inputs, taps
} winogradWeightsTask;

// back is A' m for one column: from six points to four pixels.
INLINE void back(const vec m[6], vec y[4]) {
	vec p = m[2] + m[3], q = (m[2] - m[3]) * all(A), r = m[4] + m[5], s = (m[4] - m[5]) * all(B);
	y[0] = m[0] + p + r;
	y[1] = q + s;
	y[2] = fma(r, all(2), p * all(.5f));
	y[3] = fma(s, all(2), fma(q, all(.5f), m[1]));
}

// untile is A' m A for the products of one tile, V channels of them.
INLINE void untile(const char *m, char *y, int64_t row) {
	vec z[4][6];
	UNROLL for (int c = 0; c < 6; c++) {
		vec d[6], r[4];
		UNROLL for (int i = 0; i < 6; i++)
			d[i] = at(m + (6 * i + c) * POSITION);
		back(d, r);
		UNROLL for (int i = 0; i < 4; i++)
			z[i][c] = r[i];
	}
	UNROLL for (int i = 0; i < 4; i++, y += row) {
		vec r[4];
		back(z[i], r);
		UNROLL for (int j = 0; j < 4; j++)
			save(y + j * STORED, r[j]);
	}
}

// multiply multiplies n tiles, all inputs at one position, by the weights u of 16
// outputs. The n x OUT sums stay in registers.
INLINE void multiply(int n, const char *x, const char *u, int64_t inBlocks, char *to) {
	vec sum[ROWS][OUT] = {};
	for (; inBlocks > 0; inBlocks--, x += (GROUP - 1) * VALUES)
#pragma clang loop unroll(disable)
		for (int c = 0; c < V; c += PAIR, x += 4, u += 4 * OUTS) {
			vec w[OUT];
			UNROLL for (int o = 0; o < OUT; o++)
				w[o] = at(u + o * PIXEL);
			UNROLL for (int t = 0; t < n; t++)
				UNROLL for (int o = 0; o < OUT; o++)
					sum[t][o] = mulAdd(x + t * VALUES, w[o], sum[t][o]);
		}
	UNROLL for (int t = 0; t < n; t++)
		UNROLL for (int o = 0; o < OUT; o++)
			put(to + t * 4 * OUTS + o * PIXEL, sum[t][o]);
}

// multiplyGroup calls multiply for the GROUP tiles of a group.
INLINE void multiplyGroup(const char *x, const char *u, int64_t inBlocks, char *to) {
	for (int i = 0; i < WHOLE; i += ROWS)
		multiply(ROWS, x + i * VALUES, u, inBlocks, to + i * 4 * OUTS);
	for (int i = WHOLE; i < GROUP; i += ROWS - 1)
		multiply(ROWS - 1, x + i * VALUES, u, inBlocks, to + i * 4 * OUTS);
}

// nearer prefetches the pixels of y that tiles [from, to) will write.
INLINE void nearer(const winogradTask *t, const char *y, const int32_t (*table)[2], int from, int to) {
	for (int i = from; i < to; i++)
		for (int k = 0; k < OUT; k++)
			for (int r = 0; r < 4; r++)
				for (int j = 0; j < 4 * STORED; j += LINE)
					__builtin_prefetch(y + k * t->yBlock + table[i][1] + r * t->yRow + j, 1);
}

// winograd computes a convolution. A thread takes a few images at a time, whose tiles fill
// groups. The last piece may overlap the one before; its images are written twice, with the
// same values.
void winograd(winogradTask *t, int64_t thread) {
	char *padded = t->scratch + t->threadScratch * thread;
	char *transformed = padded + t->padded, *products = transformed + t->transformed;
	EACH(n) {
		int64_t image = n * t->group;
		if (image > t->images - t->group)
			image = t->images - t->group;
		lay(t, t->x + image * t->xImage, STORED, t->xBlock, padded, t->inBlocks * t->group);
		char *y = t->y + image * t->yImage;
		const int32_t(*table)[2] = t->table;
		for (int64_t g = 0; g < t->groups; g++, table += GROUP) {
			char *to = transformed;
			for (int64_t b = 0; b < t->inBlocks; b++)
				for (int i = 0; i < GROUP; i++, to += VALUES)
					tile(padded + b * t->padBlock + table[i][0], t->padRow, to, t->position, 0);
			const char *u = t->weights;
			for (int64_t o = 0; o < t->outBlocks; o++) {
				char *yo = y + o * OUT * t->yBlock;
				for (int p = 0; p < 36; p++, u += weightsPosition(t->inBlocks)) {
					if (p < 32)
						nearer(t, yo, table, p * GROUP / 32, (p + 1) * GROUP / 32);
					multiplyGroup(transformed + p * t->position, u, t->inBlocks, products + p * POSITION);
				}
				for (int i = 0; i < GROUP; i++)
					for (int k = 0; k < OUT; k++)
						untile(products + i * 4 * OUTS + k * PIXEL, yo + k * t->yBlock + table[i][1], t->yRow);
			}
		}
	}
}

// weight is G w for one column of the weights.
INLINE void weight(const vec w[3], vec u[6]) {
	u[0] = w[0];
	u[1] = w[2];
	vec e = fma(w[2], all(-1.f / 3), w[0] * all(-2.f / 3)), f = fma(w[2], all(1.f / 3), w[0] * all(1.f / 6));
	BOTH(e, w[1], all(-2.f / 3 * A), u[2], u[3]);
	BOTH(f, w[1], all(B / 6), u[4], u[5]);
}

// winogradWeights is G w G'. It gathers the taps of one input as vectors of outputs first.
void winogradWeights(winogradWeightsTask *t, int64_t thread) {
	const int64_t position = weightsPosition(t->inBlocks);
	EACH(n) {
		int64_t out = n / t->inBlocks, in = n % t->inBlocks * V;
		const char *w = t->w + out * OUTS * t->out + in * t->in;
		char *u = t->u + out * 36 * position + in / PAIR * 4 * OUTS;
		for (int i = 0; i < V * OUT; i++) {
			float taps[9][V];
			for (int o = 0; o < V; o++)
				UNROLL for (int k = 0; k < 9; k++)
					taps[k][o] = *(const float *)(w + i / OUT * t->in + (i % OUT * V + o) * t->out + k * t->tap);
			vec m[6][3];
			UNROLL for (int k = 0; k < 3; k++) {
				vec d[3] = {at(taps[k]), at(taps[3 + k]), at(taps[6 + k])}, r[6];
				weight(d, r);
				UNROLL for (int j = 0; j < 6; j++)
					m[j][k] = r[j];
			}
			UNROLL for (int k = 0; k < 6; k++) {
				vec r[6];
				weight(m[k], r);
				UNROLL for (int j = 0; j < 6; j++)
					factor(u + i / PAIR * PIXEL + (6 * k + j) * position, r[j], i % PAIR);
			}
		}
	}
}
