#include "lib/models/parameters.h"
#include "lib/engine/memory.h"
#include "lib/io/half.h"

#include <stdlib.h>
#include <string.h>

struct parameters *parameters_create(const struct backend *backend)
{
    struct parameters *parameters = calloc(1, sizeof *parameters);
    if (parameters)
        parameters->backend = backend;
    return parameters;
}

static void destroy(const struct backend *backend, struct parameter *p)
{
    if (!p)
        return;
    memory_destroy(backend, p->value, p->count);
    memory_destroy(backend, p->gradient, p->count);
    free(p->name);
    free(p);
}

void parameters_destroy(struct parameters *parameters)
{
    if (!parameters)
        return;
    for (int64_t i = 0; i < parameters->count; i++)
        destroy(parameters->backend, parameters->list[i]);
    free(parameters->list);
    free(parameters);
}

struct parameter *parameters_find(const struct parameters *parameters, const char *name)
{
    for (int64_t i = 0; i < parameters->count; i++)
        if (!strcmp(parameters->list[i]->name, name))
            return parameters->list[i];
    return NULL;
}

static void convert_values(const struct weight *weight, int64_t count, float *value)
{
    const uint16_t *half = weight->data;
    for (int64_t i = 0; i < count; i++) {
        if (weight->dtype == DTYPE_F16) {
            value[i] = half_to_f32(half[i]);
        } else {
            uint32_t bits = (uint32_t)half[i] << 16;
            memcpy(&value[i], &bits, sizeof bits);
        }
    }
}

static int read_values(const struct backend *backend, const struct weight *weight,
                       const struct parameter *p, struct error *error)
{
    if (weight->dtype == DTYPE_F32)
        return memory_write(backend, p->value, weight->data, p->count, error);
    float *value = malloc((size_t)p->count * sizeof *value);
    if (!value)
        return error_set(error, "out of memory");
    convert_values(weight, p->count, value);
    int status = memory_write(backend, p->value, value, p->count, error);
    free(value);
    return status;
}

struct parameter *parameters_add(struct parameters *parameters, const char *name,
                                 const struct weight *weight, struct error *error)
{
    const struct backend *backend = parameters->backend;
    struct parameter *p = calloc(1, sizeof *p);
    struct parameter **list =
        realloc(parameters->list, (size_t)(parameters->count + 1) * sizeof(struct parameter *));
    if (list)
        parameters->list = list;
    if (p) {
        p->name = strdup(name);
        p->rank = weight->rank;
        p->count = 1;
        for (int i = 0; i < weight->rank; i++)
            p->count *= p->shape[i] = weight->shape[i];
        p->value = memory_create(backend, p->count);
    }
    bool made = list && p && p->name && p->value;
    if (!made)
        error_set(error, "out of memory");
    if (!made || read_values(backend, weight, p, error)) {
        destroy(backend, p);
        return NULL;
    }
    return parameters->list[parameters->count++] = p;
}

int parameters_want_gradient(const struct parameters *parameters, struct parameter *p,
                             struct error *error)
{
    if (!p->gradient)
        p->gradient = memory_create(parameters->backend, p->count);
    return p->gradient ? 0 : error_set(error, "out of memory");
}

int64_t parameters_learning(const struct parameters *parameters)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < parameters->count; i++)
        if (parameters->list[i]->gradient)
            sum += parameters->list[i]->count;
    return sum;
}

void parameters_clear_gradients(struct parameters *parameters)
{
    for (int64_t i = 0; i < parameters->count; i++) {
        struct parameter *p = parameters->list[i];
        if (p->gradient)
            memory_clear(parameters->backend, p->gradient, p->count);
    }
}
