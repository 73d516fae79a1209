// Resizing of photos. It computes the same bits as the plain loops in resize.go.
//
// A photo is resized along one axis, then along the other. Output pixel i of an axis is a
// weighted sum of neighbouring input pixels from offset[i] on, its taps:
//
//	out[i] = round(sum over j of weight[i][j] in[offset[i] + j])
//
// The weights are those of Pillow's antialiased bilinear filter (taps in resize.go), in units
// of 2^-14. So everything is done in integers: a product of a level (0 to 255) and a weight (0
// to 2^14) has 22 bits, and the order of sums does not matter. The error comes from rounding
// the weights, at most 255/2^15 levels for each tap, and from rounding to whole levels after
// each axis, as in Pillow.
//
// Pixels have 4 bytes, red, green, blue and one that is not used:
//
//	row 0   R G B X  R G B X  R G B X        across: sums of neighbours in a row
//	row 1   R G B X  R G B X  R G B X        down:   sums of bytes below each other
//
// The number of taps is even. Two are taken together: dot multiplies pairs of 16-bit numbers
// and adds the two products. Vectors have lanes of 16 bytes, and every function does the same
// in each lane; AVX2 has two, NEON has one.
#include <stdint.h>

#ifdef __AVX2__
enum { V = 32 };                             // bytes of a vector
#define LANES(list, i) list(i), list(i + 16) // what a shuffle picks in each lane
#else
#include <arm_neon.h>
enum { V = 16 };
#define LANES(list, i) list(i)
#endif
enum { BITS = 14, HALF = 1 << (BITS - 1) };

#define VECTOR(bytes) __attribute__((vector_size(bytes), aligned(1), may_alias))
typedef uint8_t u8 VECTOR(V), lane VECTOR(16);
typedef int16_t i16 VECTOR(V);
typedef int32_t i32 VECTOR(V), pixel __attribute__((aligned(1), may_alias)), pair __attribute__((aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define AT(type, p) (*(type *)(p))
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__) // elements of a from 0 on, of b from V on

// dot adds the products of neighbours. words and bytes convert a, then b, in each lane, and
// stop at the smallest and the largest number.
#ifdef __AVX2__
INLINE i32 dot(u8 a, i16 b) { return __builtin_ia32_pmaddwd256((i16)a, b); }
INLINE i16 words(i32 a, i32 b) { return __builtin_ia32_packssdw256(a, b); }
INLINE u8 bytes(i16 a, i16 b) { return (u8)__builtin_ia32_packuswb256(a, b); }
#else
INLINE i32 dot(u8 a, i16 b) {
	return vpaddq_s32(vmull_s16(vget_low_s16((i16)a), vget_low_s16(b)), vmull_high_s16((i16)a, b));
}
INLINE i16 words(i32 a, i32 b) { return vqmovn_high_s32(vqmovn_s32(a), b); }
INLINE u8 bytes(i16 a, i16 b) { return vqmovun_high_s16(vqmovun_s16(a), b); }
#endif

INLINE i32 all(int32_t x) { return (i32){} + x; }
INLINE i16 weights(const int16_t *w) { return (i16)all(AT(const pair, w)); } // two, for dot
INLINE u8 levels(i32 a, i32 b, i32 c, i32 d) { return bytes(words(a >> BITS, b >> BITS), words(c >> BITS, d >> BITS)); }

// Elements of a and b by turns, from the first or the second half of each lane.
#define BY1(i) i, i + V
#define BY4(i) i, i + 1, i + 2, i + 3, i + V, i + 1 + V, i + 2 + V, i + 3 + V
#define TURNS1(i) BY1(i), BY1(i + 1), BY1(i + 2), BY1(i + 3), BY1(i + 4), BY1(i + 5), BY1(i + 6), BY1(i + 7)
#define TURNS4(i) BY4(i), BY4(i + 4)
INLINE u8 first1(u8 a, u8 b) { return PICK(a, b, LANES(TURNS1, 0)); }
INLINE u8 second1(u8 a, u8 b) { return PICK(a, b, LANES(TURNS1, 8)); }
INLINE u8 first4(u8 a, u8 b) { return PICK(a, b, LANES(TURNS4, 0)); }
INLINE u8 second4(u8 a, u8 b) { return PICK(a, b, LANES(TURNS4, 8)); }

// load reads lanes that are pitch bytes apart.
INLINE u8 load(const uint8_t *p, int64_t pitch) {
	u8 v = {};
	for (int i = 0; i < V / 16; i++)
		AT(lane, (uint8_t *)&v + 16 * i) = AT(const lane, p + i * pitch);
	return v;
}

struct acrossTask {
	uint8_t *dst;          // rows
	const uint8_t *src;    // rows, from pixel left on, pitch bytes apart
	const int32_t *offset; // of each output pixel
	const int16_t *weight; // taps for each output pixel
	int64_t rows, pitch, pixels, taps, left;
};

// Two pixels as pairs of 16-bit numbers: R R G G B B X X.
#define PAIRS(i) i, V, i + 4, V, i + 1, V, i + 5, V, i + 2, V, i + 6, V, i + 3, V, i + 7, V

// across computes pixels as weighted sums of neighbours in a row. Each lane has another row,
// or the same if there is only one more. It reads up to 8 bytes after the taps of a pixel.
void across(const struct acrossTask *task) {
	struct acrossTask t = *task;
	for (int64_t y = 0; y < t.rows; y += V / 16) {
		int64_t next = y + 1 < t.rows;
		const int16_t *w = t.weight;
		for (int64_t i = 0; i < t.pixels; i++) {
			const uint8_t *from = t.src + y * t.pitch + 4 * (t.offset[i] - t.left);
			i32 sum = all(HALF);
			int64_t j = 0;
			do {
				u8 two = load(from, next * t.pitch);
				sum += dot(PICK(two, (u8){}, LANES(PAIRS, 0)), weights(w));
				from += 8, w += 2;
			} while ((j += 2) < t.taps);
			i32 out = (i32)levels(sum, sum, sum, sum);
			for (int k = 0; k < V / 16; k++)
				AT(pixel, t.dst + 4 * ((y + k * next) * t.pixels + i)) = out[4 * k];
		}
	}
}

struct downTask {
	uint8_t *dst;
	const uint8_t *src; // rows, pitch bytes apart
	const int16_t *weight;
	int64_t bytes, taps, pitch;
};

// down computes a row as a weighted sum of rows. It reads and writes whole vectors, up to 31
// bytes after a row.
void down(const struct downTask *task) {
	struct downTask t = *task;
	for (int64_t i = 0; i < t.bytes; i += V) {
		const uint8_t *from = t.src + i;
		i32 s0 = all(HALF), s1 = s0, s2 = s0, s3 = s0;
		int64_t j = 0;
		do {
			u8 a = AT(const u8, from), b = AT(const u8, from + t.pitch), low = first1(a, b), high = second1(a, b), zero = {};
			i16 w = weights(t.weight + j);
			s0 += dot(first1(low, zero), w);
			s1 += dot(second1(low, zero), w);
			s2 += dot(first1(high, zero), w);
			s3 += dot(second1(high, zero), w);
			from += 2 * t.pitch;
		} while ((j += 2) < t.taps);
		AT(u8, t.dst + i) = levels(s0, s1, s2, s3);
	}
}

struct splitTask {
	uint8_t *red, *green, *blue;
	const uint8_t *src; // pixels
	int64_t pixels;     // at least V
	uint8_t add[3], subtract[3];
};

INLINE u8 shifted(u8 v, uint8_t add, uint8_t subtract) {
	return __builtin_elementwise_sub_sat(__builtin_elementwise_add_sat(v, (u8){} + add), (u8){} + subtract);
}

// Four pixels as R R R R G G G G B B B B X X X X.
#define EVERY4(i) i, i + 4, i + 8, i + 12
#define COLOURS(i) EVERY4(i), EVERY4(i + 1), EVERY4(i + 2), EVERY4(i + 3)
INLINE u8 colours(const uint8_t *p) {
	u8 v = load(p, 64);
	return PICK(v, v, LANES(COLOURS, 0));
}

// split splits a row of pixels into rows of red, green and blue, with a shift for each. Lanes
// have 16 pixels; the last vectors may overlap.
void split(const struct splitTask *task) {
	struct splitTask t = *task;
	for (int64_t i = 0; i < t.pixels; i += V) {
		int64_t at = i < t.pixels - V ? i : t.pixels - V;
		const uint8_t *p = t.src + 4 * at;
		u8 a = colours(p), b = colours(p + 16), c = colours(p + 32), d = colours(p + 48);
		u8 even = first4(a, c), odd = first4(b, d);
		AT(u8, t.red + at) = shifted(first4(even, odd), t.add[0], t.subtract[0]);
		AT(u8, t.green + at) = shifted(second4(even, odd), t.add[1], t.subtract[1]);
		AT(u8, t.blue + at) = shifted(first4(second4(a, c), second4(b, d)), t.add[2], t.subtract[2]);
	}
}
