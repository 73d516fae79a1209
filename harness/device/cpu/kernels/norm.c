// Batch norm (Ioffe & Szegedy 2015) in two passes over the images, fused with the
// addition of the shortcut, the rectifier and their gradients.
//
// Forward, for a channel with mean m and variance v over a group of images:
//
//	y = max(floor, (x - m) scale/sqrt(v + eps) + shift [+ add])
//
// floor is 0 with a rectifier and -infinity without. Backward, with dy set to 0
// where y is not above 0, n pixels, g = sum of dy and h = sum of dy (x - m):
//
//	dx = scale/sqrt(v + eps) (dy - g/n - (x - m) h/(n (v + eps)))
//
// The first pass of each direction sums over the pixels of each image, in float32. Go
// adds the sums of the images in float64, in their order, and computes coefficients for
// each group; so no sum depends on which thread computes which image. The second pass
// applies the coefficients. The forward sums are of differences to the first pixel of
// the image (shifted data), to avoid cancellation if the mean is large compared with the
// standard deviation.
//
// sums has two vectors for each image and block, coefficients a few for each group and
// block. Four partial sums hide the latency of additions; the last pixels, fewer than
// four, are added to the first partial sum.
#include "vec.h"

typedef struct normTask { // see fused.go
	SHARED; // images
	char *x, *y, *add, *dy, *dx, *dadd; // 0 if absent
	int64_t blocks;
	int64_t image, block, pixel;
	int64_t pixels;
	char *sums, *coefficients;
	int64_t group;
	float inverse, floor;
} normTask;

// most is the maximum, and b if a or b is NaN, so that NaN passes a rectifier.
INLINE vec most(vec a, vec b) { return (vec)(((mask)(a > b) & (mask)a) | (~(mask)(a > b) & (mask)b)); }

// where is x where y is above 0, else 0.
INLINE vec where(vec y, vec x) { return (vec)((mask)(y > all(0)) & (mask)x); }

INLINE vec sum4(const vec s[4]) { return (s[0] + s[1]) + (s[2] + s[3]); }

// IMAGES loops over the images n that this thread takes, and their blocks b; off is the
// offset of a block. PIXELS loops over the pixels of a block, four at a time; AT is the
// offset of a pixel, and k the index of the partial sum.
#define IMAGES \
	EACH(n)    \
		for (int64_t b = 0, off = n * t->image; b < t->blocks; b++, off += t->block)
#define PIXELS(...)                                                          \
	{                                                                        \
		int64_t pixel = t->pixel, i = off, end = off + t->pixels * pixel;    \
		for (; i + 3 * pixel < end; i += 4 * pixel)                          \
			UNROLL for (int k = 0; k < 4; k++) { __VA_ARGS__ }               \
		for (int k = 0; i < end; i += pixel) { __VA_ARGS__ }                 \
	}
#define AT (i + k * pixel)

// coefficients returns the coefficients of block b of image n, count vectors.
INLINE const char *coefficients(const normTask *t, int64_t n, int64_t b, int count) {
	return t->coefficients + (n / t->group * t->blocks + b) * count * PIXEL;
}

// keep writes the two sums of block b of image n.
INLINE void keep(const normTask *t, int64_t n, int64_t b, vec first, vec second) {
	char *to = t->sums + (n * t->blocks + b) * 2 * PIXEL;
	put(to, first);
	put(to + PIXEL, second);
}

// normStatistics computes the mean of each image, and the sum of squared deviations from
// it.
void normStatistics(normTask *t, int64_t thread) {
	IMAGES {
		const char *x = t->x;
		vec first = load(x + off), s[4] = {}, q[4] = {};
		PIXELS(
			vec d = load(x + AT) - first;
			s[k] += d;
			q[k] = fma(d, d, q[k]);
		)
		vec sum = sum4(s), mean = sum * all(t->inverse);
		keep(t, n, b, mean + first, fnma(sum, mean, sum4(q)));
	}
}

// apply is normApply. The coefficients are mean, scale and shift.
INLINE void apply(normTask *t, int64_t thread, int shortcut) {
	IMAGES {
		const char *c = coefficients(t, n, b, 3), *x = t->x, *add = t->add;
		char *y = t->y;
		vec mean = at(c), scale = at(c + PIXEL), shift = at(c + 2 * PIXEL), floor = all(t->floor);
		PIXELS(
			vec v = fma(load(x + AT) - mean, scale, shift);
			if (shortcut)
				v += load(add + AT);
			save(y + AT, most(floor, v));
		)
	}
}

// normApply: y = max(floor, (x - mean) scale + shift [+ add]).
void normApply(normTask *t, int64_t thread) { t->add ? apply(t, thread, 1) : apply(t, thread, 0); }

// gradSums is normGradSums, with or without its optional operands.
INLINE void gradSums(normTask *t, int64_t thread, int parts, int rectified, int store) {
	IMAGES {
		const char *x = t->x, *y = t->y, *dy = t->dy, *add = t->add;
		char *dadd = t->dadd;
		vec mean = at(coefficients(t, n, b, 1)), s[4] = {}, q[4] = {};
		PIXELS(
			vec d = load(dy + AT);
			if (parts)
				d += load(add + AT);
			if (rectified)
				d = where(load(y + AT), d);
			if (store)
				save(dadd + AT, d);
			s[k] += d;
			q[k] = fma(load(x + AT) - mean, d, q[k]);
		)
		keep(t, n, b, sum4(s), sum4(q));
	}
}

// normGradSums computes, for each image, the sums of d and of d (x - mean). d is dy, plus
// add if there is one, and 0 where y, if there is one, is not above 0. d is written to dadd
// if there is one.
void normGradSums(normTask *t, int64_t thread) {
	if (t->add)
		t->y ? t->dadd ? gradSums(t, thread, 1, 1, 1) : gradSums(t, thread, 1, 1, 0) : t->dadd ? gradSums(t, thread, 1, 0, 1) : gradSums(t, thread, 1, 0, 0);
	else
		t->y ? t->dadd ? gradSums(t, thread, 0, 1, 1) : gradSums(t, thread, 0, 1, 0) : t->dadd ? gradSums(t, thread, 0, 0, 1) : gradSums(t, thread, 0, 0, 0);
}

// gradApply is normGradApply. The coefficients are mean, scale, shift and slope.
INLINE void gradApply(normTask *t, int64_t thread, int rectified) {
	IMAGES {
		const char *c = coefficients(t, n, b, 4), *x = t->x, *y = t->y, *dy = t->dy;
		char *dx = t->dx;
		vec mean = at(c), scale = at(c + PIXEL), shift = at(c + 2 * PIXEL), slope = at(c + 3 * PIXEL);
		PIXELS(
			vec d = load(dy + AT);
			if (rectified)
				d = where(load(y + AT), d);
			save(dx + AT, fma(load(x + AT) - mean, slope, fma(d, scale, shift)));
		)
	}
}

// normGradApply: dx = d scale + shift + (x - mean) slope, where d is dy, and 0 where y, if
// there is one, is not above 0.
void normGradApply(normTask *t, int64_t thread) { t->y ? gradApply(t, thread, 1) : gradApply(t, thread, 0); }
