#include "lib/training/ema.h"
#include "kernels/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int ema_create(struct ema *e, struct parameters *parameters, double decay, struct error *error)
{
    *e = (struct ema){.parameters = parameters, .decay = decay};
    e->average = malloc(((size_t)parameters_learning(parameters) + 1) * sizeof *e->average);
    if (!e->average)
        return error_set(error, "out of memory");
    int64_t at = 0;
    for (int64_t i = 0; i < parameters->count; i++) {
        const struct parameter *p = parameters->list[i];
        if (!p->gradient)
            continue;
        memcpy(e->average + at, p->value, (size_t)p->count * sizeof *p->value);
        at += p->count;
    }
    return 0;
}

void ema_destroy(struct ema *e)
{
    free(e->average);
    *e = (struct ema){0};
}

double ema_decay(double decay, int64_t n)
{
    return fmin(decay, (1.0 + (double)n) / (10.0 + (double)n));
}

void ema_update(struct ema *e)
{
    int64_t at = 0;
    if (!e->parameters)
        return;
    float share = (float)(1.0 - ema_decay(e->decay, ++e->updates));
    for (int64_t i = 0; i < e->parameters->count; i++) {
        const struct parameter *p = e->parameters->list[i];
        if (!p->gradient)
            continue;
        optimizer_average(e->average + at, p->value, share, p->count);
        at += p->count;
    }
}

void ema_swap(struct ema *e)
{
    int64_t at = 0;
    for (int64_t i = 0; e->parameters && i < e->parameters->count; i++) {
        struct parameter *p = e->parameters->list[i];
        for (int64_t k = 0; p->gradient && k < p->count; k++, at++) {
            float value = p->value[k];
            p->value[k] = e->average[at];
            e->average[at] = value;
        }
    }
}
