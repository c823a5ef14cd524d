#include "kernels/cpu/convolution_fold.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/convolution_boxes.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

bool convolution_fold_mirror(const struct operation *forward, struct operation *mirror)
{
    struct operation padded = *forward;
    struct convolution *c = &padded.convolution;
    struct shape *s = &padded.input[0].shape;
    int64_t *extent[AXES] = {&s->d, &s->h, &s->w};
    if (c->padding != PADDING_REPLICATE)
        return false;
    for (int a = 0; a < AXES; a++) {
        if (c->upsampled[a] || c->pad_front[a] < 0 || c->pad_back[a] < 0)
            return false;
        *extent[a] += c->pad_front[a] + c->pad_back[a];
        c->pad_front[a] = c->pad_back[a] = 0;
    }
    c->padding = PADDING_ZERO;
    padded.input[0].dtype = DTYPE_F32;
    return convolution_boxes_mirror(&padded, mirror);
}

void convolution_fold_create(struct convolution_fold *f, const struct operation *forward,
                             struct tensor padded, struct needs *needs)
{
    *f = (struct convolution_fold){
        .dx = forward->input[0],
        .padded = padded,
        .threads = omp_get_max_threads(),
    };
    for (int a = 0; a < AXES; a++)
        f->front[a] = forward->convolution.pad_front[a];
    f->at = cpu_reserve(&needs->workspace, shape_count(padded.shape), dtype_size(padded.dtype));
}

/* Positions first … end−1 of the padded map that stand for position i of `extent`. */
static void positions(int64_t i, int64_t extent, int64_t front, int64_t padded, int64_t *first,
                      int64_t *end)
{
    *first = i == 0 ? 0 : i + front;
    *end = i == extent - 1 ? padded : i + front + 1;
}

static void add(float *to, const float *from, int64_t count)
{
    simd()->elementwise->add(to, from, 1.0f, to, count);
}

/* Fold what stands for row y of slice z of sample n of dx onto one row of the padded map, and in it
 * the ends onto the first and the last position; returns that first position. */
static float *fold_row(const struct convolution_fold *f, int64_t n, int64_t z, int64_t y,
                       float *padded)
{
    struct shape s = f->padded.shape, dx = f->dx.shape;
    int64_t depth[2], height[2], row = s.w * s.c, front = f->front[AXIS_W];
    positions(z, dx.d, f->front[AXIS_D], s.d, &depth[0], &depth[1]);
    positions(y, dx.h, f->front[AXIS_H], s.h, &height[0], &height[1]);
    float *sum = padded + ((n * s.d + depth[0]) * s.h + height[0]) * row;
    for (int64_t i = depth[0]; i < depth[1]; i++)
        for (int64_t k = height[0]; k < height[1]; k++)
            if (i > depth[0] || k > height[0])
                add(sum, padded + ((n * s.d + i) * s.h + k) * row, row);
    float *first = sum + front * s.c, *last = first + (dx.w - 1) * s.c;
    for (int64_t i = 0; i < front; i++)
        add(first, sum + i * s.c, s.c);
    for (float *behind = last + s.c; behind < sum + row; behind += s.c)
        add(last, behind, s.c);
    return first;
}

static void write_row(const struct convolution_fold *f, const float *row, const char *added,
                      char *dx)
{
    static const float no_bias[COLUMNS];
    int64_t c = f->dx.shape.c, size = dtype_size(f->dx.dtype);
    for (int64_t column = 0; column < c; column += COLUMNS)
        simd()->convolution->finish(&(struct convolution_sums){
            .sums = row + column,
            .bias = no_bias,
            .residual = added ? added + column * size : NULL,
            .output = dx + column * size,
            .dtype = f->dx.dtype,
            .sum_step = c,
            .step = c,
            .pixels = f->dx.shape.w,
            .channels = convolution_at_most(c - column, COLUMNS),
            .beta = 1,
        });
}

void convolution_fold_run(const struct convolution_fold *f, const void *added, void *dx,
                          void *workspace)
{
    struct shape s = f->dx.shape;
    int64_t row_bytes = s.w * s.c * dtype_size(f->dx.dtype);
    float *padded = (float *)(void *)((char *)workspace + f->at);
#pragma omp parallel for num_threads(cpu_team(f->threads, shape_count(s)))
    for (int64_t i = 0; i < s.n * s.d * s.h; i++) {
        const float *row = fold_row(f, i / s.h / s.d, i / s.h % s.d, i % s.h, padded);
        write_row(f, row, added ? (const char *)added + i * row_bytes : NULL,
                  (char *)dx + i * row_bytes);
    }
}
