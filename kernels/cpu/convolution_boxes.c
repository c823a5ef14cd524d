#include "kernels/cpu/convolution_boxes.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum { ROWS = 2, TAPS = 3 };

bool convolution_boxes_mirror(const struct operation *forward, struct operation *mirror)
{
    const struct convolution *c = &forward->convolution;
    *mirror = (struct operation){
        .kind = OP_CONVOLUTION,
        .inputs = 1,
        .weights = 2,
        .input = {forward->output},
        .output = forward->input[0],
        .convolution = {.parts = 1},
    };
    struct shape *s = &mirror->input[0].shape;
    int64_t *extent[AXES] = {&s->d, &s->h, &s->w};
    mirror->weight[0] = (struct weight){
        .dtype = DTYPE_F32, .rank = WEIGHT_RANK, .shape = {forward->input[0].shape.c, s->c}};
    for (int a = 0; a < AXES; a++) {
        int pads[] = {c->pad_front[a], c->pad_back[a]}, up = c->upsampled[a];
        if (c->stride[a] != 1 || pads[0] >= c->kernel[a] || pads[1] >= c->kernel[a] ||
            (up && (c->kernel[a] != TAPS || pads[0] != 1 || pads[1] != 1)))
            return false;
        *extent[a] += up;
        mirror->weight[0].shape[2 + a] = mirror->convolution.kernel[a] = c->kernel[a];
        mirror->convolution.stride[a] = up ? 2 : 1;
        mirror->convolution.pad_front[a] = up ? 0 : c->kernel[a] - 1 - pads[0];
        mirror->convolution.pad_back[a] = up ? 0 : c->kernel[a] - 1 - pads[1];
    }
    return !c->transposed && c->padding == PADDING_ZERO && !check_convolution(mirror);
}

bool convolution_boxes_there(const struct operation *forward)
{
    const bool *up = forward->convolution.upsampled;
    return up[AXIS_D] || up[AXIS_H] || up[AXIS_W];
}

void convolution_boxes_create(struct convolution_boxes *b, const struct operation *forward,
                              struct tensor s, struct needs *needs)
{
    struct shape y = forward->output.shape;
    *b = (struct convolution_boxes){
        .dy = forward->output,
        .s = s,
        .row_floats = y.w * y.c,
        .threads = omp_get_max_threads(),
    };
    for (int a = 0; a < AXES; a++)
        b->summed[a] = forward->convolution.upsampled[a];
    b->at = cpu_reserve(&needs->workspace, shape_count(s.shape), dtype_size(s.dtype));
    b->rows_at = cpu_reserve(&needs->workspace, b->threads * ROWS * b->row_floats, sizeof(float));
}

/* Positions of dy whose sum is position j of s: *first … *end − 1. */
static void positions(const struct convolution_boxes *b, int axis, int64_t j, int64_t extent,
                      int64_t *first, int64_t *end)
{
    *first = b->summed[axis] && j > 0 ? j - 1 : j;
    *end = j < extent ? j + 1 : extent;
}

/* A row of s from the sum of rows of dy. */
static void write_row(const struct convolution_boxes *b, const float *sum, float *pairs, void *to)
{
    int64_t c = b->s.shape.c, count = b->row_floats, size = dtype_size(b->s.dtype);
    char *out = to;
    bool bf16 = b->s.dtype == DTYPE_BF16;
    if (!b->summed[AXIS_W]) {
        pairs = (float *)(uintptr_t)sum;
    } else {
        simd()->elementwise->add(sum, sum + c, 1.0f, pairs, count - c);
        const float *edges[] = {sum, sum + count - c};
        for (int i = 0; i < 2; i++) {
            void *edge = out + i * count * size;
            if (bf16)
                f32_to_bf16(edges[i], edge, c);
            else
                memcpy(edge, edges[i], (size_t)(c * size));
        }
        out += c * size;
        count -= c;
    }
    if (bf16)
        f32_to_bf16(pairs, (uint16_t *)(void *)out, count);
    else
        memcpy(out, pairs, (size_t)(count * size));
}

/* Row y of slice z of sample n. */
static void sum_row(const struct convolution_boxes *b, const void *dy, int64_t n, int64_t z,
                    int64_t y, float *memory, void *to)
{
    struct shape in = b->dy.shape;
    int64_t depth[2], height[2];
    float *sum = memory, *row = memory + b->row_floats;
    bool first = true;
    positions(b, AXIS_D, z, in.d, &depth[0], &depth[1]);
    positions(b, AXIS_H, y, in.h, &height[0], &height[1]);
    for (int64_t i = depth[0]; i < depth[1]; i++)
        for (int64_t k = height[0]; k < height[1]; k++) {
            int64_t at = ((n * in.d + i) * in.h + k) * b->row_floats;
            float *target = first ? sum : row;
            const float *values = activation_to_f32(dy, b->dy.dtype, at, b->row_floats, target);
            if (!first)
                simd()->elementwise->add(sum, values, 1.0f, sum, b->row_floats);
            else if (values != sum)
                memcpy(sum, values, (size_t)b->row_floats * sizeof *sum);
            first = false;
        }
    write_row(b, sum, row, to);
}

void convolution_boxes_run(const struct convolution_boxes *b, const void *dy, void *workspace)
{
    struct shape s = b->s.shape;
    int64_t row_bytes = s.w * s.c * dtype_size(b->s.dtype);
    char *to = (char *)workspace + b->at;
    float *memory = (float *)(void *)((char *)workspace + b->rows_at) +
                    omp_get_thread_num() * ROWS * b->row_floats;
#pragma omp for
    for (int64_t i = 0; i < s.n * s.d * s.h; i++)
        sum_row(b, dy, i / s.h / s.d, i / s.h % s.d, i % s.h, memory, to + i * row_bytes);
}
