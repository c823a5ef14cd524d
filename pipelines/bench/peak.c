#include "pipelines/bench/peak.h"
#include "kernels/operation.h"

#include <omp.h>
#include <string.h>
#include <time.h>

/* Bytes of each of the two arrays of a copy, far beyond any cache. */
static const int64_t copy_bytes = (int64_t)1 << 29;

enum { MEASUREMENTS = 8 };
static const double measurement_seconds = 0.1;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Seconds in which every thread runs the loop. */
static double run(float (*loop)(int64_t), int64_t rounds)
{
    float sum = 0;
    double start = now();
#pragma omp parallel reduction(+ : sum)
    sum += loop(rounds);
    double seconds = now() - start;
    volatile float used = sum; /* or there would be nothing to compute */
    (void)used;
    return seconds;
}

static double products(float (*loop)(int64_t), int64_t round)
{
    int64_t rounds = 1 << 10;
    double best;
    while ((best = run(loop, rounds)) < measurement_seconds)
        rounds *= 2;
    for (int i = 1; i < MEASUREMENTS; i++) {
        double seconds = run(loop, rounds);
        best = seconds < best ? seconds : best;
    }
    return (double)round * (double)rounds * omp_get_max_threads() / best * 1e-9;
}

/* Seconds in which the threads copy their parts. */
static double copy(char *to, const char *from)
{
    double start = now();
#pragma omp parallel
    {
        int64_t part = copy_bytes / omp_get_num_threads(), at = omp_get_thread_num() * part;
        memcpy(to + at, from + at, (size_t)part);
    }
    return now() - start;
}

static double copy_rate(void)
{
    const struct backend *backend = backend_cpu();
    char *from = backend->allocate((size_t)copy_bytes), *to = backend->allocate((size_t)copy_bytes);
    double best = 0;
    if (from && to) {
        copy(from, to); /* so that what is read later has pages */
        best = copy(to, from);
        for (int i = 1; i < MEASUREMENTS; i++) {
            double seconds = copy(to, from);
            best = seconds < best ? seconds : best;
        }
    }
    if (from)
        backend->release(from, (size_t)copy_bytes);
    if (to)
        backend->release(to, (size_t)copy_bytes);
    return best ? 2.0 * (double)copy_bytes / best * 1e-9 : 0;
}

static const struct peak_simd *loops(void)
{
#ifndef SIMD_ONLY_PORTABLE
    if (!strcmp(cpu_instruction_set(), "avx512"))
        return &peak_simd_avx512;
    if (!strcmp(cpu_instruction_set(), "avx2"))
        return &peak_simd_avx2;
#endif
    return &peak_simd_portable;
}

struct peak peak_measure(void)
{
    const struct peak_simd *simd = loops();
    bool bf16 = simd->bf16 && cpu_has_bf16();
    return (struct peak){
        .fp32 = products(simd->fp32, simd->fp32_round),
        .bf16 = bf16 ? products(simd->bf16, simd->bf16_round) : 0,
        .copy = copy_rate(),
    };
}
