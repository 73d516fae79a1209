// Elementwise kernels on flat arrays: the sum of several rows, and the update of the
// parameters. The CPU's peak: multiply-adds on registers. And the entry of oneDNN's threads.
//
// Rows are added from the first to the last. The update is gradient descent with
// momentum (nets/kernel, SGD), with learning rate r, momentum m, weight decay d and
// velocity v:
//
//	Caffe (the authors)     v = m v + r (g + d w)      w = w - v
//	PyTorch                 v = m v + (g + d w)        w = w - r v
//	Nesterov (PyTorch)      v = m v + (g + d w)        w = w - r ((g + d w) + m v)
//
// Every product and every sum is rounded as in the definition, so the bits are equal.
#include "vec.h"

typedef struct flatTask { // see flat.go
	SHARED; // pieces of PIECE bytes
	char *to, *from;
	int64_t bytes, rows, row; // bytes of a row, number of rows, stride between rows
} flatTask;

typedef struct sgdTask { // see flat.go
	SHARED; // pieces of PIECE bytes
	char *w, *g, *v;
	int64_t bytes;
	float rate, momentum, decay;
	int32_t form; // kernel.MomentumForm
} sgdTask;

typedef struct peakTask { // see peak.go
	SHARED;   // pieces of PRODUCTS vectors
	char *to; // a vector for each piece
} peakTask;

typedef struct entryTask { // see own.go
	int64_t threads; // that have begun
	void (*kernel)(char *task, int64_t thread);
	char *task;
} entryTask;

enum { PIECE = 16 << 10, CHAINS = 12, PRODUCTS = 100000 * CHAINS };

// PIECES loops over the vectors of the pieces that this thread takes. i is the offset of
// a vector, left the number of bytes from there to the end of the row.
#define PIECES \
	EACH(n)    \
		for (int64_t i = n * PIECE, end = i + PIECE, left; i < end && (left = t->bytes - i) > 0; i += STORED)

// from reads a vector, or fewer numbers at the end of the row; into writes them.
INLINE vec from(const char *p, int64_t left) {
	if (left >= STORED)
		return load(p);
	vec v = {};
	for (int c = 0; c < left / NUMBER; c++)
		v[c] = ((const number *)p)[c];
	return v;
}

INLINE void into(char *p, vec v, int64_t left) {
	number part[V];
	if (left >= STORED)
		save(p, v);
	else {
		save(part, v);
		for (int c = 0; c < left / NUMBER; c++)
			((number *)p)[c] = part[c];
	}
}

// sumRows sums rows. The result may overwrite the first row.
void sumRows(flatTask *t, int64_t thread) {
	PIECES {
		vec s = from(t->from + i, left);
		for (int64_t r = 1; r < t->rows; r++)
			s += from(t->from + r * t->row + i, left);
		into(t->to + i, s, left);
	}
}

// sgd updates w and v.
void sgd(sgdTask *t, int64_t thread) {
	enum { CAFFE, PYTORCH, NESTEROV };
	vec rate = all(t->rate), momentum = all(t->momentum), decay = all(t->decay);
	PIECES {
		vec w = from(t->w + i, left), d = from(t->g + i, left) + decay * w, v = momentum * from(t->v + i, left);
		v += t->form == CAFFE ? rate * d : d;
		into(t->v + i, v, left);
		vec by = t->form == CAFFE ? v : t->form == PYTORCH ? rate * v : rate * (d + momentum * v);
		into(t->w + i, w - by, left);
	}
}

// peak computes multiply-adds in CHAINS registers, enough to hide their latency.
void peak(peakTask *t, int64_t thread) {
	EACH(n) {
		vec s[CHAINS] = {}, x = all(1.0f / (n + 2));
#pragma clang loop unroll(disable)
		for (int64_t i = 0; i < PRODUCTS; i += CHAINS)
			UNROLL for (int k = 0; k < CHAINS; k++)
				s[k] = fma(s[k], x, x);
		UNROLL for (int k = 1; k < CHAINS; k++)
			s[0] += s[k];
		put(t->to + n * PIXEL, s[0]);
	}
}

// entry calls a kernel on a thread of oneDNN's team, which does not say which one it is.
void entry(entryTask *t) { t->kernel(t->task, __atomic_fetch_add(&t->threads, 1, __ATOMIC_RELAXED)); }
