// Vectors of V floats, and all that differs from one CPU to another.
//
// A kernel is a C function that takes a task: a struct that Go fills in. Every
// thread of the team calls the function with the same task and takes pieces of
// the work from a counter in it until none is left. Which thread computes a piece
// changes no bit of it, so results do not depend on the number of threads.
//
// Activations lie in blocks of V channels. An image of 16 channels, 3 pixels wide
// and 2 high, with V = 8:
//
//	block 0, channels 0..7          block 1, channels 8..15
//	+--------+--------+--------+    +--------+--------+--------+
//	| pixel  | pixel  | pixel  |    | pixel  | pixel  | pixel  |
//	|  0,0   |  0,1   |  0,2   |    |  0,0   |  0,1   |  0,2   |    a pixel of a block
//	+--------+--------+--------+    +--------+--------+--------+    is one vector of V
//	|  1,0   |  1,1   |  1,2   |    |  1,0   |  1,1   |  1,2   |    channels
//	+--------+--------+--------+    +--------+--------+--------+
//
// Rows follow each other, then blocks, then images. All lengths and strides in the
// tasks are in bytes.
//
// Only the rounding that is written here takes place: the compiler may not join a
// product and a sum by itself (-ffp-contract=off), and fma rounds once on every
// CPU. So the width of the vectors changes no bit either, except where a sum runs
// over the channels of a vector, which no kernel does.
#include <stdint.h>

#if defined __AVX512F__ || defined WIDE // a test: two vectors of AVX2 for each
enum { V = 16, ROWS = 16 }; // floats of a vector, channels of a block; rows of sums in registers
#elif defined __AVX2__
enum { V = 8, ROWS = 6 };
#else
enum { V = 4, ROWS = 6 };
#endif
enum {
	OUTS = 16,      // outputs of a convolution that are computed together,
	OUT = OUTS / V, // in this many vectors
	PIXEL = 4 * V,  // bytes of a pixel of a block
	// 16 rows of a product of matrices are taken 16 at a time, or 6 + 5 + 5: ROWS up
	// to WHOLE, then one fewer.
	WHOLE = 16 - (ROWS - 16 % ROWS) % ROWS * (ROWS - 1),
	LINE = 64, // bytes of a line of the cache, and of 16 outputs
};

typedef float vec __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * V)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE vec all(float x) { return x - (vec){}; }
INLINE vec at(const void *p) { return *(const vec *)p; }
INLINE void put(void *p, vec v) { *(vec *)p = v; }
INLINE vec fma(vec a, vec b, vec c) { return __builtin_elementwise_fma(a, b, c); } // a b + c, rounded once
INLINE vec fnma(vec a, vec b, vec c) { return __builtin_elementwise_fma(-a, b, c); } // c - a b

// take gives the next number of a counter that the threads share.
INLINE int64_t take(int64_t *n) { return __atomic_fetch_add(n, 1, __ATOMIC_RELAXED); }
