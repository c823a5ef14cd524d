#include "kernels/cpu/vector.h"
#include "kernels/optimizer.h"

static void adamw(float *value, float *m, float *v, const float *gradient, int64_t count,
                  const struct adamw_coefficients *c)
{
    const struct adamw_coefficients k = *c;
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++) {
        float g = k.scale * gradient[i];
        m[i] += k.beta1_rest * (g - m[i]);
        v[i] = k.beta2 * v[i] + k.beta2_rest * g * g;
        value[i] = k.keep * value[i] - k.rate * m[i] / (__builtin_sqrtf(v[i]) * k.root + k.epsilon);
    }
}

static float square_sum(const float *x, int64_t count)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

static void average(float *mean, const float *value, float share, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        mean[i] += share * (value[i] - mean[i]);
}

const struct optimizer_simd SIMD_NAME(optimizer_simd) = {adamw, square_sum, average};
