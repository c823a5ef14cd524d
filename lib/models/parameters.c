#include "lib/models/parameters.h"
#include "lib/io/half.h"

#include <stdlib.h>
#include <string.h>

struct parameters *parameters_create(void)
{
    return calloc(1, sizeof(struct parameters));
}

static void destroy(struct parameter *p)
{
    if (!p)
        return;
    free(p->name);
    free(p->value);
    free(p->gradient);
    free(p);
}

void parameters_destroy(struct parameters *parameters)
{
    if (!parameters)
        return;
    for (int64_t i = 0; i < parameters->count; i++)
        destroy(parameters->list[i]);
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

static void read_values(const struct weight *weight, int64_t count, float *value)
{
    const uint16_t *half = weight->data;
    for (int64_t i = 0; i < count; i++) {
        if (weight->dtype == DTYPE_F32) {
            value[i] = ((const float *)weight->data)[i];
        } else if (weight->dtype == DTYPE_F16) {
            value[i] = half_to_f32(half[i]);
        } else {
            uint32_t bits = (uint32_t)half[i] << 16;
            memcpy(&value[i], &bits, sizeof bits);
        }
    }
}

struct parameter *parameters_add(struct parameters *parameters, const char *name,
                                 const struct weight *weight, struct error *error)
{
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
        p->value = malloc((size_t)p->count * sizeof *p->value);
    }
    if (!list || !p || !p->name || !p->value) {
        destroy(p);
        error_set(error, "out of memory");
        return NULL;
    }
    read_values(weight, p->count, p->value);
    return parameters->list[parameters->count++] = p;
}

int parameter_want_gradient(struct parameter *p, struct error *error)
{
    if (!p->gradient)
        p->gradient = calloc((size_t)p->count, sizeof *p->gradient);
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
            memset(p->gradient, 0, (size_t)p->count * sizeof *p->gradient);
    }
}
