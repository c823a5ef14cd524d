#include "kernels/cpu/vector.h"

static void add(const float *a, const float *b, float factor, float *out, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        out[i] = a[i] + factor * b[i];
}

static void scale(const float *a, float factor, float *out, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        out[i] = factor * a[i];
}

static void leaky_relu(const float *gate, const float *a, float slope, float *out, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        out[i] = gate[i] > 0.0f ? a[i] : slope * a[i];
}

static float product(const float *a, const float *b, const float *c, int64_t count)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * (b[i] - c[i]);
    return sum;
}

/* A term of a loss and its derivative; t is not read where the loss has no target. */
INLINE float term(enum loss_kind kind, float x, float t)
{
    float distance = x - t, above = x > -1.0f ? 1.0f + x : 0.0f, below = x < 1.0f ? 1.0f - x : 0.0f;
    switch (kind) {
    case LOSS_L1:
        return distance < 0.0f ? -distance : distance;
    case LOSS_L2:
        return distance * distance;
    case LOSS_MEAN:
        return x;
    case LOSS_HINGE_REAL:
        return below;
    default:
        return above;
    }
}

INLINE float term_slope(enum loss_kind kind, float x, float t)
{
    switch (kind) {
    case LOSS_L1:
        return (x > t ? 1.0f : 0.0f) - (x < t ? 1.0f : 0.0f);
    case LOSS_L2:
        return 2.0f * (x - t);
    case LOSS_MEAN:
        return 1.0f;
    case LOSS_HINGE_REAL:
        return x < 1.0f ? -1.0f : 0.0f;
    default:
        return x > -1.0f ? 1.0f : 0.0f;
    }
}

INLINE float sum_terms(enum loss_kind kind, const float *x, const float *t, int64_t count)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += term(kind, x[i], t[i]);
    return sum;
}

INLINE void write_slopes(enum loss_kind kind, const float *x, const float *t, float factor,
                         float *out, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        out[i] = factor * term_slope(kind, x[i], t[i]);
}

/* Each kind becomes a loop of its own. */
#define EACH_KIND(f, ...)                                                                          \
    switch (kind) {                                                                                \
    case LOSS_L1:                                                                                  \
        return f(LOSS_L1, __VA_ARGS__);                                                            \
    case LOSS_L2:                                                                                  \
        return f(LOSS_L2, __VA_ARGS__);                                                            \
    case LOSS_MEAN:                                                                                \
        return f(LOSS_MEAN, __VA_ARGS__);                                                          \
    case LOSS_HINGE_REAL:                                                                          \
        return f(LOSS_HINGE_REAL, __VA_ARGS__);                                                    \
    default:                                                                                       \
        return f(LOSS_HINGE_FAKE, __VA_ARGS__);                                                    \
    }

static float loss(enum loss_kind kind, const float *x, const float *t, int64_t count)
{
    EACH_KIND(sum_terms, x, t, count)
}

static void loss_slope(enum loss_kind kind, const float *x, const float *t, float factor,
                       float *out, int64_t count)
{
    EACH_KIND(write_slopes, x, t, factor, out, count)
}

const struct elementwise_simd SIMD_NAME(elementwise_simd) = {
    .add = add,
    .scale = scale,
    .leaky_relu = leaky_relu,
    .product = product,
    .loss = loss,
    .loss_slope = loss_slope,
};
