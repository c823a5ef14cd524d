#include "kernels/cpu/vector.h"

/* Independent sums, so that an addition need not wait for the one before. */
enum { CHAINS = 4 };

static float dot(const float *a, const float *b, int64_t count)
{
    vector sum[CHAINS] = {0};
    int64_t i = 0;
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
        for (int k = 0; k < CHAINS; k++)
            sum[k] += load(a + i + k * LANES) * load(b + i + k * LANES);
    for (; i < count; i += LANES)
        sum[0] += load(a + i) * load(b + i);
    return lane_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static void silu(const float *from, float *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = silu_f32(from[i]);
}

static void silu_gradient(const float *x, float *gradient, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        gradient[i] *= silu_slope_f32(x[i]);
}

const struct linear_simd SIMD_NAME(linear_simd) = {dot, silu, silu_gradient};
