// Vectors of V floats, and everything that depends on the CPU.
//
// A kernel is a C function that takes a task: a struct that Go fills in. Every
// thread of the team calls the function with the same task and its own number. It
// computes the pieces of its own share of the work, then what is left of the others'.
// Pieces are images, in order, in almost all kernels. So a thread mostly reads what it
// has written itself, which may still be in its caches; large CPUs have a last-level
// cache for every few cores. The bits of a piece do not depend on the thread that
// computes it, so results do not depend on the number of threads.
//
// Activations are stored in blocks of V channels. An image of 16 channels, 3 pixels
// wide and 2 high, with V = 8:
//
//	block 0, channels 0..7          block 1, channels 8..15
//	+--------+--------+--------+    +--------+--------+--------+
//	| pixel  | pixel  | pixel  |    | pixel  | pixel  | pixel  |
//	|  0,0   |  0,1   |  0,2   |    |  0,0   |  0,1   |  0,2   |    a pixel of a block
//	+--------+--------+--------+    +--------+--------+--------+    is one vector of V
//	|  1,0   |  1,1   |  1,2   |    |  1,0   |  1,1   |  1,2   |    channels
//	+--------+--------+--------+    +--------+--------+--------+
//
// Rows follow each other, then blocks, then images. All lengths and strides in
// tasks are in bytes.
//
// With BF16 the activations are bfloat16, the upper half of a float32: load and save convert.
// Everything else is float32, at and put.
//
// Rounding is as written here: the compiler may not fuse a product and a sum
// (-ffp-contract=off), and fma rounds once on every CPU. No kernel sums over the
// channels of a vector, so in float32 the bits are the same with AVX2 and AVX-512. With NEON
// direct convolutions sum their windows in another order (direct.c).
#include <stdint.h>

#if defined __AVX512F__ || defined WIDE // WIDE: for a test, two AVX2 registers for each vector
enum { V = 16, ROWS = 16 }; // floats of a vector, channels of a block; rows of sums in registers
#elif defined __AVX2__
enum { V = 8, ROWS = 6 };
#else
enum { V = 4, ROWS = 6 };
#endif
enum {
	OUTS = 16,      // output channels of a convolution that are computed together
	OUT = OUTS / V, // vectors of OUTS channels
	PIXEL = 4 * V,  // bytes of a pixel of a block
	// 16 rows of a matrix product are computed 16 at a time, or as 6 + 5 + 5: ROWS at
	// a time up to row WHOLE, then ROWS - 1.
	WHOLE = 16 - (ROWS - 16 % ROWS) % ROWS * (ROWS - 1),
	LINE = 64, // bytes of a cache line, and of 16 outputs
};

#ifdef BF16
typedef __bf16 number; // of an activation
#else
typedef float number;
#endif
enum {
	NUMBER = sizeof(number),
	STORED = NUMBER * V, // bytes of a pixel of a block of activations
};

typedef float vec __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef number numbers __attribute__((vector_size(STORED), aligned(NUMBER), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * V)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE vec all(float x) { return x - (vec){}; }
INLINE vec at(const void *p) { return *(const vec *)p; }
INLINE void put(void *p, vec v) { *(vec *)p = v; }
#ifdef BF16 // as integers, because clang does some operations on bfloat16 number by number
typedef uint16_t words __attribute__((vector_size(STORED), aligned(NUMBER), may_alias));
INLINE vec load(const void *p) { return (vec)(__builtin_convertvector(*(const words *)p, mask) << 16); }
#else
INLINE vec load(const void *p) { return at(p); }
#endif
#if defined BF16 && !defined __AVX512BF16__ // no instruction rounds to bfloat16
INLINE void save(void *p, vec v) { // to the nearest, and to an even number between two; NaN stays NaN
	mask bits = (mask)v, nearest = bits + 0x7fff + (bits >> 16 & 1), nan = v != v;
	*(words *)p = __builtin_convertvector(((nan & (bits | 0x400000)) | (~nan & nearest)) >> 16, words);
}
#else
INLINE void save(void *p, vec v) { *(numbers *)p = __builtin_convertvector(v, numbers); }
#endif
INLINE vec fma(vec a, vec b, vec c) { return __builtin_elementwise_fma(a, b, c); } // a b + c, rounded once
INLINE vec fnma(vec a, vec b, vec c) { return __builtin_elementwise_fma(-a, b, c); } // c - a b

// Matrix products. AVX512-BF16 multiplies pairs of bfloat16: an instruction adds two products to
// each sum, which is float32.
#if defined BF16 && defined __AVX512BF16__
enum { PAIR = 2 }; // numbers that are multiplied together
typedef uint16_t twice __attribute__((vector_size(PIXEL), aligned(NUMBER), may_alias));
typedef __bf16 factors __attribute__((vector_size(PIXEL)));
typedef int32_t pair __attribute__((vector_size(PIXEL)));

// zip returns the pairs of the numbers of a and b.
INLINE twice zip(words a, words b) {
	return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// mulAdd is the pair at x times the pairs w, plus sum.
INLINE vec mulAdd(const void *x, vec w, vec sum) {
	return (vec)__builtin_ia32_dpbf16ps_512(sum, (factors)w, (factors)(*(const int32_t *)x - (pair){}));
}

// factor stores v as the first or the second numbers of the pairs at p. The second come last.
INLINE void factor(void *p, vec v, int second) {
	if (!second)
		save(p, v);
	else
		*(twice *)p = zip(*(const words *)p, (words)__builtin_convertvector(v, numbers));
}
#else
enum { PAIR = 1 };
INLINE vec mulAdd(const void *x, vec w, vec sum) { return fma(all(*(const float *)x), w, sum); }
INLINE void factor(void *p, vec v, int second) { put(p, v); }
#endif

typedef struct share { // see team.go; a cache line
	int64_t next, end; // pieces that are left: from next to end - 1
	int64_t pad[6];
} share;

// SHARED is the head of a task: count pieces, in a share for each thread.
#define SHARED     \
	share *shares; \
	int64_t threads, count

// take returns the next piece of a thread's own share, then of the others'; -1 if none is left.
// helped is the number of shares that are done.
INLINE int64_t take(share *shares, int64_t threads, int64_t thread, int64_t *helped) {
	for (; *helped < threads; ++*helped) {
		share *s = shares + (thread + *helped) % threads;
		if (__atomic_load_n(&s->next, __ATOMIC_RELAXED) < s->end) {
			int64_t n = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
			if (n < s->end)
				return n;
		}
	}
	return -1;
}

// EACH loops over the pieces n that this thread takes.
#define EACH(n) for (int64_t n, helped = 0; (n = take(t->shares, t->threads, thread, &helped)) >= 0;)
