#include "kernels/cpu/kernel_taps.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution_map.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum {
    CONVERTED = 1 << 14, /* weights at a time */
    GATHERED = 432,      /* the same of a column, about: a block then stays in 27 kB of cache */
};

static int64_t weight_count(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

int64_t kernel_taps_floats(const struct operation *o)
{
    int64_t floats = 0;
    for (int part = 0; part < o->convolution.parts; part++)
        if (o->weight[2 * part].dtype != DTYPE_F32)
            floats += weight_count(&o->weight[2 * part]);
    return floats;
}

static void widen(const struct weight *w, float *to)
{
    int64_t all = weight_count(w);
#pragma omp parallel for num_threads(cpu_team(omp_get_max_threads(), all))
    for (int64_t i = 0; i < all; i += CONVERTED)
        weight_to_f32(w, i, all - i < CONVERTED ? all - i : CONVERTED, to + i);
}

struct kernel_taps kernel_taps_open(const struct operation *o, float factor, float *wide)
{
    const struct convolution *c = &o->convolution;
    struct kernel_taps kernel = {
        .taps = convolution_taps(c),
        .factor = factor,
    };
    for (int i = 0; i < c->parts; i++) {
        const struct weight *w = &o->weight[2 * i];
        struct kernel_part *part = &kernel.part[i];
        int64_t row = w->shape[1] * kernel.taps;
        part->outs = w->shape[c->transposed ? 1 : 0];
        part->out_step = c->transposed ? kernel.taps : row;
        part->in_step = c->transposed ? row : kernel.taps;
        part->weights = w->data;
        if (w->dtype != DTYPE_F32) {
            widen(w, wide);
            part->weights = wide;
            wide += weight_count(w);
        }
        part->weights += c->first_channel * part->in_step;
    }
    return kernel;
}

/* The part with an output channel; *out becomes its number there. */
static const struct kernel_part *part_of(const struct kernel_taps *k, int64_t *out)
{
    const struct kernel_part *part = k->part;
    for (; *out >= part->outs; part++)
        *out -= part->outs;
    return part;
}

/* The taps of a row and a column; *rows becomes how many rows from this one on lie one after
 * another. */
static const float *find(const struct kernel_taps *k, int64_t row, int64_t column, int64_t *rows)
{
    int64_t out = k->of_inputs ? row : column, in = k->of_inputs ? column : row;
    const struct kernel_part *part = part_of(k, &out);
    int64_t step = k->of_inputs ? part->out_step : part->in_step;
    if (step != k->taps)
        *rows = 1;
    else if (k->of_inputs && part->outs - out < *rows)
        *rows = part->outs - out;
    return part->weights + out * part->out_step + in * part->in_step;
}

/* Rows that do not follow on each other are short pieces of memory, so far apart that a processor
 * does not foresee the next: it is told of those some rows ahead. */
void kernel_taps_gather(const struct kernel_taps *k, int64_t column, int64_t columns, int64_t first,
                        int64_t count, int64_t width, float *to)
{
    const int64_t line = 64, ahead = 16 * (k->of_inputs ? k->part->out_step : k->part->in_step);
    int64_t bytes = columns * k->taps * (int64_t)sizeof *to;
    for (int64_t row = 0, rows; row < count; row += rows) {
        const float *from[KERNEL_VECTOR] = {NULL};
        rows = k->mirrored ? 1 : count - row;
        for (int64_t i = 0; i < columns; i++)
            from[i] = find(k, first + row, column + i, &rows);
        uintptr_t far = (uintptr_t)from[0] + (uintptr_t)ahead * sizeof *to;
        for (int64_t i = 0; rows == 1 && i < bytes; i += line)
            __builtin_prefetch((const void *)(far + (uintptr_t)i));
        float *block = to + row * k->taps * width;
        if (k->mirrored)
            simd()->convert->transpose(from, columns, k->taps, k->factor,
                                       block + (k->taps - 1) * width, width, -width);
        else
            simd()->convert->transpose(from, columns, rows * k->taps, k->factor, block, width,
                                       width);
    }
    for (int64_t i = 0; k->scale && i < count * k->taps; i++)
        for (int64_t j = 0; j < columns; j++)
            to[i * width + j] *= k->scale[column + j];
}

/* Rows that are packed together: whole pairs. */
static int64_t rows_together(int64_t taps)
{
    int64_t rows = GATHERED / taps / 2 * 2;
    return rows > 2 ? rows : 2;
}

int64_t kernel_taps_scratch(int64_t taps, int threads)
{
    return threads * rows_together(taps) * taps * KERNEL_VECTOR;
}

void kernel_packed_place(const struct kernel_packed *p, const float *from, int64_t step,
                         int64_t first, int64_t count, int64_t column, void *matrix)
{
    const struct convolution_simd *set = simd()->convolution;
    if (p->bf16)
        set->place_bf16(from, step, first, count, column, p->depth, p->columns, matrix);
    else
        set->place_f32(from, step, first, count, column, p->depth, p->columns, matrix);
}

void kernel_taps_pack(const struct kernel_taps *k, int64_t rows, int64_t columns,
                      const struct kernel_packed *packed, int threads, void *matrices,
                      float *scratch)
{
    int64_t together = rows_together(k->taps), step = k->taps * KERNEL_VECTOR;
    int team = cpu_team(threads, rows * columns * k->taps);
#pragma omp parallel for collapse(2) num_threads(team)
    for (int64_t column = 0; column < columns; column += KERNEL_VECTOR)
        for (int64_t first = 0; first < rows; first += together) {
            float *block = scratch + omp_get_thread_num() * together * step;
            int64_t count = rows - first < together ? rows - first : together;
            int64_t width = columns - column < KERNEL_VECTOR ? columns - column : KERNEL_VECTOR;
            kernel_taps_gather(k, column, width, first, count, KERNEL_VECTOR, block);
            for (int64_t tap = 0; tap < k->taps; tap++)
                kernel_packed_place(packed, block + tap * KERNEL_VECTOR, step, first, count, column,
                                    (char *)matrices + tap * packed->tap_bytes);
        }
}
