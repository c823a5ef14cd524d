#include "lib/metrics/similarity.h"

#include <math.h>
#include <stdlib.h>

enum { PRODUCTS = 5 }; /* a, b, a², b², a·b */
static const double sigma = 1.5, peak = INTENSITY_PEAK, k1 = 0.01, k2 = 0.03;
static const double exponent[SIMILARITY_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

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

int ssim_begin(struct ssim *ssim, int scales, int64_t rows, int64_t columns, struct intensity a,
               struct intensity b, struct error *error)
{
    int64_t least = (int64_t)SIMILARITY_WINDOW << (scales - 1);
    size_t pixels = (size_t)(rows * columns);
    *ssim = (struct ssim){.scales = scales, .rows = rows, .columns = columns, .a = a, .b = b};
    if (rows < least || columns < least)
        return error_set(error, "slices of %lldx%lld are smaller than SSIM's window%s of %lldx%lld",
                         (long long)rows, (long long)columns,
                         scales > 1 ? " at the last scale" : "", (long long)least,
                         (long long)least);
    ssim->gray[0] = calloc(pixels, sizeof *ssim->gray[0]);
    ssim->gray[1] = calloc(pixels, sizeof *ssim->gray[1]);
    ssim->product = calloc(PRODUCTS * pixels, sizeof *ssim->product);
    ssim->map = calloc(PRODUCTS * pixels, sizeof *ssim->map);
    ssim->sum = calloc(2 * (size_t)rows, sizeof *ssim->sum);
    if (ssim->gray[0] && ssim->gray[1] && ssim->product && ssim->map && ssim->sum)
        return 0;
    ssim_end(ssim);
    return error_set(error, "no memory for a slice of %lldx%lld", (long long)rows,
                     (long long)columns);
}

void ssim_end(struct ssim *ssim)
{
    free(ssim->gray[0]);
    free(ssim->gray[1]);
    free(ssim->product);
    free(ssim->map);
    free(ssim->sum);
    *ssim = (struct ssim){0};
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

static void to_grays(struct intensity intensity, const float *slice, double *gray, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        gray[i] = intensity.scale * (double)slice[i] + intensity.offset;
}

/* Means of 2×2 pixels, in place: (rows, columns) → (rows/2, columns/2). */
static void halve(double *gray, int64_t rows, int64_t columns)
{
    double *to = gray;
    for (int64_t y = 0; y + 1 < rows; y += 2) {
        const double *upper = gray + y * columns, *lower = upper + columns;
        for (int64_t x = 0; x + 1 < columns; x += 2)
            *to++ = (upper[x] + upper[x + 1] + lower[x] + lower[x + 1]) / 4;
    }
}

static void multiply_row(const double *a, const double *b, double *out, int64_t count)
{
    for (int64_t x = 0; x < count; x++, out += PRODUCTS) {
        out[0] = a[x];
        out[1] = b[x];
        out[2] = a[x] * a[x];
        out[3] = b[x] * b[x];
        out[4] = a[x] * b[x];
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

/* Add a place's SSIM and its contrast-structure term to sum[0] and sum[1]. */
static void add_place(const double moment[PRODUCTS], double sum[2])
{
    const double c1 = k1 * peak * k1 * peak, c2 = k2 * peak * k2 * peak;
    double a = moment[0], b = moment[1];
    double variance_a = moment[2] - a * a, variance_b = moment[3] - b * b;
    double covariance = moment[4] - a * b;
    double structure = (2 * covariance + c2) / (variance_a + variance_b + c2);
    sum[0] += (2 * a * b + c1) / (a * a + b * b + c1) * structure;
    sum[1] += structure;
}

/* Means of SSIM and of the contrast-structure term of the grays (rows, columns). */
static void compare(struct ssim *ssim, int64_t rows, int64_t columns, double mean[2])
{
    double weight[SIMILARITY_WINDOW];
    int64_t inner = columns - SIMILARITY_WINDOW + 1, stride = inner * PRODUCTS;
    int64_t places = rows - SIMILARITY_WINDOW + 1;
    gaussian_weights(weight);
#pragma omp parallel for schedule(static)
    for (int64_t y = 0; y < rows; y++) {
        double *row = ssim->product + y * columns * PRODUCTS;
        multiply_row(ssim->gray[0] + y * columns, ssim->gray[1] + y * columns, row, columns);
        weigh(weight, row, PRODUCTS, ssim->map + y * stride, stride);
    }
#pragma omp parallel for schedule(static)
    for (int64_t y = 0; y < places; y++) {
        double *row = ssim->product + y * columns * PRODUCTS, sum[2] = {0, 0};
        weigh(weight, ssim->map + y * stride, stride, row, stride);
        for (int64_t x = 0; x < inner; x++)
            add_place(row + x * PRODUCTS, sum);
        ssim->sum[2 * y] = sum[0];
        ssim->sum[2 * y + 1] = sum[1];
    }
    mean[0] = mean[1] = 0;
    for (int64_t y = 0; y < 2 * places; y++)
        mean[y % 2] += ssim->sum[y] / (double)(places * inner);
}

/* All five are taken as they were published, though they add up to 1.0001. */
static double sum_of_exponents(int scales)
{
    double sum = 0;
    for (int scale = 0; scale < scales; scale++)
        sum += exponent[scale];
    return scales == SIMILARITY_SCALES ? 1 : sum;
}

double ssim_slice(struct ssim *ssim, const float *a, const float *b)
{
    int64_t rows = ssim->rows, columns = ssim->columns;
    double mean[2], product = 1, exponents = sum_of_exponents(ssim->scales);
    to_grays(ssim->a, a, ssim->gray[0], rows * columns);
    to_grays(ssim->b, b, ssim->gray[1], rows * columns);
    for (int scale = 0; scale < ssim->scales - 1; scale++) {
        compare(ssim, rows, columns, mean);
        product *= pow(fmax(mean[1], 0), exponent[scale] / exponents);
        halve(ssim->gray[0], rows, columns);
        halve(ssim->gray[1], rows, columns);
        rows /= 2;
        columns /= 2;
    }
    compare(ssim, rows, columns, mean);
    if (ssim->scales == 1)
        return mean[0];
    return product * pow(fmax(mean[0], 0), exponent[ssim->scales - 1] / exponents);
}
