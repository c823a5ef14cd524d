#include "kernels/optimizer.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

/* Blocks are the same for any number of threads; of a sum, block i belongs to partial sum i modulo
 * PARTS, and each partial sum is made in order. */
enum { BLOCK = 4096, PARTS = 256, WORK = 4 };

static int64_t blocks_of(int64_t count)
{
    return (count + BLOCK - 1) / BLOCK;
}

static int64_t block_size(int64_t block, int64_t count)
{
    int64_t left = count - block * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

void optimizer_adamw(float *value, float *m, float *v, const float *gradient, int64_t count,
                     const struct adamw_coefficients *coefficients)
{
#pragma omp parallel for num_threads(cpu_team(omp_get_max_threads(), WORK *count))
    for (int64_t i = 0; i < blocks_of(count); i++) {
        int64_t at = i * BLOCK;
        simd()->optimizer->adamw(value + at, m + at, v + at, gradient + at, block_size(i, count),
                                 coefficients);
    }
}

double optimizer_square_sum(const float *x, int64_t count)
{
    double part[PARTS] = {0.0}, sum = 0.0;
#pragma omp parallel for num_threads(cpu_team(omp_get_max_threads(), count))
    for (int64_t k = 0; k < PARTS; k++)
        for (int64_t i = k; i < blocks_of(count); i += PARTS)
            part[k] += (double)simd()->optimizer->square_sum(x + i * BLOCK, block_size(i, count));
    for (int k = 0; k < PARTS; k++)
        sum += part[k];
    return sum;
}

void optimizer_average(float *average, const float *value, float share, int64_t count)
{
#pragma omp parallel for num_threads(cpu_team(omp_get_max_threads(), count))
    for (int64_t i = 0; i < blocks_of(count); i++)
        simd()->optimizer->average(average + i * BLOCK, value + i * BLOCK, share,
                                   block_size(i, count));
}

void optimizer_exchange(float *a, float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float value = a[i];
        a[i] = b[i];
        b[i] = value;
    }
}

static double square_sum(const float *const *x, const int64_t *count, int64_t arrays)
{
    double sum = 0.0;
    for (int64_t i = 0; i < arrays; i++)
        sum += optimizer_square_sum(x[i], count[i]);
    return sum;
}

const struct optimizer cpu_optimizer = {optimizer_adamw, square_sum, optimizer_average,
                                        optimizer_exchange};
