#include "lib/training/ema.h"
#include "lib/engine/memory.h"

#include <math.h>

int ema_create(struct ema *e, struct parameters *parameters, double decay, struct error *error)
{
    *e = (struct ema){.parameters = parameters, .backend = parameters->backend, .decay = decay};
    e->count = parameters_learning(parameters);
    e->average = memory_create(e->backend, e->count);
    if (!e->average)
        return error_set(error, "out of memory");
    int64_t at = 0;
    for (int64_t i = 0; i < parameters->count; i++) {
        const struct parameter *p = parameters->list[i];
        if (!p->gradient)
            continue;
        if (memory_write(e->backend, e->average + at, p->value, p->count, error)) {
            ema_destroy(e);
            return -1;
        }
        at += p->count;
    }
    return 0;
}

void ema_destroy(struct ema *e)
{
    if (e->backend)
        memory_destroy(e->backend, e->average, e->count);
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
        e->backend->optimizer->average(e->average + at, p->value, share, p->count);
        at += p->count;
    }
}

void ema_swap(struct ema *e)
{
    int64_t at = 0;
    for (int64_t i = 0; e->parameters && i < e->parameters->count; i++) {
        const struct parameter *p = e->parameters->list[i];
        if (!p->gradient)
            continue;
        e->backend->optimizer->exchange(p->value, e->average + at, p->count);
        at += p->count;
    }
}
