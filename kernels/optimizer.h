/* What an optimizer does to parameters: loops over f32 arrays in a backend's memory. Results do not
 * depend on the number of threads. */
#ifndef OCTPIPE_KERNELS_OPTIMIZER_H
#define OCTPIPE_KERNELS_OPTIMIZER_H

#include <stdint.h>

/* One update of AdamW (Loshchilov and Hutter, ICLR 2019), t = 1, 2, … counting updates:
 *   g = gradient·scale, m += (1 − β1)·(g − m), v = β2·v + (1 − β2)·g²
 *   value = keep·value − rate·m/(√v·root + ε)
 * with keep = 1 − lr·decay, rate = lr/(1 − β1^t), root = 1/√(1 − β2^t). */
struct adamw_coefficients {
    float scale, beta1_rest, beta2, beta2_rest; /* …_rest: 1 − β */
    float keep, rate, root, epsilon;
};
void optimizer_adamw(float *value, float *m, float *v, const float *gradient, int64_t count,
                     const struct adamw_coefficients *coefficients);

/* Σ x². */
double optimizer_square_sum(const float *x, int64_t count);

/* average += share·(value − average). */
void optimizer_average(float *average, const float *value, float share, int64_t count);

void optimizer_exchange(float *a, float *b, int64_t count);

/* The same of a backend; those above are the CPU's. Where it has a queue, they are put there, but
 * for square_sum, and the backend's next run reports what fails. */
struct optimizer {
    void (*adamw)(float *value, float *m, float *v, const float *gradient, int64_t count,
                  const struct adamw_coefficients *coefficients);
    /* Σ x² over all arrays; NaN where that fails. */
    double (*square_sum)(const float *const *x, const int64_t *count, int64_t arrays);
    void (*average)(float *average, const float *value, float share, int64_t count);
    void (*exchange)(float *a, float *b, int64_t count);
};

#endif
