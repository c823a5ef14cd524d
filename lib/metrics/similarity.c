#include "lib/metrics/similarity.h"

#include <math.h>
#include <stdlib.h>

enum { PRODUCTS = 5 }; /* a, b, a², b², a·b */
static const double sigma = 1.5, peak = INTENSITY_PEAK, k1 = 0.01, k2 = 0.03;

struct intensity volume_intensity(const struct array *volume)
{
    if (volume->dtype == DTYPE_U8)
        return (struct intensity){.scale = 1, .offset = 0};
    return (struct intensity){.scale = peak / 2, .offset = peak / 2};
}

double squared_error(const float *a, struct intensity intensity_a, const float *b,
                     struct intensity intensity_b, int64_t count)
{
    double sum = 0;
    double offset = intensity_a.offset - intensity_b.offset;
    for (int64_t i = 0; i < count; i++) {
        double difference =
            intensity_a.scale * (double)a[i] - intensity_b.scale * (double)b[i] + offset;
        sum += difference * difference;
    }
    return sum;
}

double psnr(double error_sum, int64_t count)
{
    if (count == 0)
        return NAN;
    return 10 * log10(peak * peak * (double)count / error_sum);
}

int ssim_begin(struct ssim *ssim, int64_t rows, int64_t columns, struct intensity a,
               struct intensity b, struct error *error)
{
    *ssim = (struct ssim){.rows = rows, .columns = columns, .a = a, .b = b};
    if (rows < SIMILARITY_WINDOW || columns < SIMILARITY_WINDOW)
        return error_set(error, "slices of %lldx%lld are smaller than SSIM's window of %dx%d",
                         (long long)rows, (long long)columns, SIMILARITY_WINDOW, SIMILARITY_WINDOW);
    ssim->map = calloc((size_t)(PRODUCTS * rows * columns), sizeof *ssim->map);
    ssim->row = calloc((size_t)(PRODUCTS * columns), sizeof *ssim->row);
    if (!ssim->map || !ssim->row) {
        ssim_end(ssim);
        return error_set(error, "no memory for a slice of %lldx%lld", (long long)rows,
                         (long long)columns);
    }
    return 0;
}

void ssim_end(struct ssim *ssim)
{
    free(ssim->map);
    free(ssim->row);
}

static void gaussian_weights(double weight[SIMILARITY_WINDOW])
{
    double sum = 0;
    for (int i = 0; i < SIMILARITY_WINDOW; i++) {
        double distance = i - SIMILARITY_WINDOW / 2;
        weight[i] = exp(-distance * distance / (2 * sigma * sigma));
        sum += weight[i];
    }
    for (int i = 0; i < SIMILARITY_WINDOW; i++)
        weight[i] /= sum;
}

static void multiply_row(const struct ssim *ssim, const float *a, const float *b, double *out)
{
    for (int64_t x = 0; x < ssim->columns; x++, out += PRODUCTS) {
        double p = ssim->a.scale * (double)a[x] + ssim->a.offset;
        double q = ssim->b.scale * (double)b[x] + ssim->b.offset;
        out[0] = p;
        out[1] = q;
        out[2] = p * p;
        out[3] = q * q;
        out[4] = p * q;
    }
}

/* out[j] = Σ weight[i]·in[j + i·step] for count elements. */
static void weigh(const double *weight, const double *in, int64_t step, double *out, int64_t count)
{
#pragma omp simd
    for (int64_t j = 0; j < count; j++) {
        double sum = 0;
        for (int i = 0; i < SIMILARITY_WINDOW; i++)
            sum += weight[i] * in[j + i * step];
        out[j] = sum;
    }
}

static double ssim_of_moments(const double moment[PRODUCTS])
{
    const double c1 = k1 * peak * k1 * peak, c2 = k2 * peak * k2 * peak;
    double a = moment[0], b = moment[1];
    double variance_a = moment[2] - a * a, variance_b = moment[3] - b * b;
    double covariance = moment[4] - a * b;
    return (2 * a * b + c1) * (2 * covariance + c2) /
           ((a * a + b * b + c1) * (variance_a + variance_b + c2));
}

double ssim_slice(struct ssim *ssim, const float *a, const float *b)
{
    double weight[SIMILARITY_WINDOW];
    gaussian_weights(weight);
    int64_t columns = ssim->columns - SIMILARITY_WINDOW + 1;
    int64_t rows = ssim->rows - SIMILARITY_WINDOW + 1;
    int64_t stride = columns * PRODUCTS;
    for (int64_t y = 0; y < ssim->rows; y++) {
        multiply_row(ssim, a + y * ssim->columns, b + y * ssim->columns, ssim->row);
        weigh(weight, ssim->row, PRODUCTS, ssim->map + y * stride, stride);
    }
    double total = 0;
    for (int64_t y = 0; y < rows; y++) {
        weigh(weight, ssim->map + y * stride, stride, ssim->row, stride);
        for (int64_t x = 0; x < columns; x++)
            total += ssim_of_moments(ssim->row + x * PRODUCTS);
    }
    return total / (double)(rows * columns);
}
