// Max pooling, global average pooling, and their gradients.
//
// Max pooling with windows of S x S pixels, stride s; the first begins B pixels before
// the image:
//
//	y[i][j] = max over k, l of  x[s i + k - B][s j + l - B]      inside the image
//
// Of equal values the first in row order counts. NaN is larger than all numbers, and of
// several NaN the last counts; this matters to the gradient only:
//
//	dx[p] = sum of dy[i][j] over the windows whose largest value is x[p]
//
// The gradient finds the largest value again from x. Windows may overlap, so a thread
// takes whole images, and adds the windows in row order. The average is the sum over the
// pixels times 1/n; its gradient is dy/n everywhere.
//
//	x:  . . . . .     windows of 3 x 3, stride 2, B = 1:
//	    . a . b .     a is the centre of one window and in no other,
//	    . . . . .     b too; the pixel between them is in both windows
#include "vec.h"

typedef struct poolTask { // see pool.go
	SHARED;           // images
	char *x, *y, *dx; // y is dy for gradients
	int64_t blocks, height, width, rows, columns;
	int64_t size, stride, before;
	float inverse; // 1 / pixels, of the average
} poolTask;

typedef struct span { // rows or columns of a window inside the image
	int64_t from, to;
} span;

INLINE span inside(const poolTask *t, int64_t i, int64_t length) {
	int64_t from = i * t->stride - t->before, to = from + t->size;
	return (span){from > 0 ? from : 0, to < length ? to : length};
}

INLINE vec choose(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

// largest returns the largest values of a window of a block, and in place the indices of
// their pixels.
INLINE vec largest(const poolTask *t, const char *x, span rows, span columns, mask *place) {
	int64_t first = rows.from * t->width + columns.from;
	vec value = load(x + first * STORED);
	*place = (int32_t)first - (mask){};
	for (int64_t i = rows.from; i < rows.to; i++)
		for (int64_t p = i * t->width + columns.from; p < i * t->width + columns.to; p++) {
			vec v = load(x + p * STORED);
			mask above = (v > value) | (v != v);
			value = choose(above, v, value);
			*place = (above & ((int32_t)p - (mask){})) | (~above & *place);
		}
	return value;
}

void maxPool(poolTask *t, int64_t thread) {
	int64_t plane = t->height * t->width * STORED;
	EACH(n) {
		char *y = t->y + n * t->blocks * t->rows * t->columns * STORED;
		for (int64_t b = n * t->blocks; b < (n + 1) * t->blocks; b++)
			for (int64_t i = 0; i < t->rows; i++)
				for (int64_t j = 0; j < t->columns; j++, y += STORED) {
					mask place;
					save(y, largest(t, t->x + b * plane, inside(t, i, t->height), inside(t, j, t->width), &place));
				}
	}
}

void maxPoolGrad(poolTask *t, int64_t thread) {
	int64_t plane = t->height * t->width * STORED;
	EACH(n) {
		const char *dy = t->y + n * t->blocks * t->rows * t->columns * STORED;
		for (int64_t b = n * t->blocks; b < (n + 1) * t->blocks; b++) {
			char *dx = t->dx + b * plane;
			for (int64_t p = 0; p < plane; p += STORED)
				save(dx + p, all(0));
			for (int64_t i = 0; i < t->rows; i++)
				for (int64_t j = 0; j < t->columns; j++, dy += STORED) {
					span rows = inside(t, i, t->height), columns = inside(t, j, t->width);
					mask place;
					largest(t, t->x + b * plane, rows, columns, &place);
					for (int64_t k = rows.from; k < rows.to; k++)
						for (int64_t p = k * t->width + columns.from; p < k * t->width + columns.to; p++)
							save(dx + p * STORED, load(dx + p * STORED) + choose(place == ((int32_t)p - (mask){}), load(dy), all(0)));
				}
		}
	}
}

void avgPool(poolTask *t, int64_t thread) {
	int64_t pixels = t->height * t->width;
	EACH(n)
		for (int64_t b = n * t->blocks; b < (n + 1) * t->blocks; b++) {
			const char *x = t->x + b * pixels * STORED;
			vec sum = {};
			for (int64_t p = 0; p < pixels; p++)
				sum += load(x + p * STORED);
			put(t->y + b * PIXEL, sum * all(t->inverse));
		}
}

void avgPoolGrad(poolTask *t, int64_t thread) {
	int64_t pixels = t->height * t->width;
	EACH(n)
		for (int64_t b = n * t->blocks; b < (n + 1) * t->blocks; b++) {
			vec d = at(t->y + b * PIXEL) / all(pixels);
			for (int64_t p = 0; p < pixels; p++)
				save(t->dx + (b * pixels + p) * STORED, d);
		}
}
