/* What the tests of schedules and samplers share. */
#ifndef TESTS_UNIT_DIFFUSION_H
#define TESTS_UNIT_DIFFUSION_H

#include "lib/diffusion/sampler.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline struct schedule make_schedule(const char *name, int64_t timesteps,
                                            enum parameterization p)
{
    struct schedule schedule;
    struct error error = {""};
    if (schedule_create(&schedule, name, timesteps, p, &error) < 0)
        fail_msg("%s", error.text);
    return schedule;
}

static inline struct sampler *make_sampler(const struct sampler_settings *settings,
                                           const struct schedule *schedule, int64_t count)
{
    struct sampler *sampler = NULL;
    struct error error = {""};
    if (sampler_create(&sampler, settings, schedule, count, &error) < 0)
        fail_msg("%s", error.text);
    return sampler;
}

static inline void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.17g is not %.17g to %g", value, expected, tolerance);
}

static inline void assert_contains(const struct error *error, const char *text)
{
    if (!strstr(error->text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, error->text);
}

static inline void open_golden(struct safetensors *file, const char *path)
{
    struct error error;
    if (safetensors_open(file, path, &error) < 0)
        fail_msg("%s", error.text);
}

/* The data of a tensor that must have this type and count. */
static inline const void *golden_data(const struct safetensors *file, enum dtype dtype,
                                      int64_t count, const char *format, ...)
{
    char name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    const struct safetensor *tensor = golden_tensor(file, name);
    assert_int_equal(tensor->dtype, dtype);
    assert_int_equal(tensor->bytes, count * dtype_size(dtype));
    return tensor->data;
}

#endif
