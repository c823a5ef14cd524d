#include "lib/training/adamw.h"
#include "lib/engine/memory.h"

#include <math.h>
#include <stdlib.h>

/* What is added to a norm before it divides (as in PyTorch's clip_grad_norm_). */
static const double least_norm = 1e-6;

int adamw_create(struct adamw *a, const struct parameters *parameters,
                 const struct adamw_settings *settings, struct error *error)
{
    const struct backend *backend = parameters->backend;
    *a = (struct adamw){.parameters = parameters, .backend = backend, .settings = *settings};
    a->count = parameters_learning(parameters);
    a->m = memory_create(backend, a->count);
    a->v = memory_create(backend, a->count);
    a->gradient = calloc((size_t)parameters->count + 1, sizeof *a->gradient);
    a->length = calloc((size_t)parameters->count + 1, sizeof *a->length);
    if (!a->m || !a->v || !a->gradient || !a->length) {
        adamw_destroy(a);
        return error_set(error, "out of memory");
    }
    for (int64_t i = 0; i < parameters->count; i++) {
        const struct parameter *p = parameters->list[i];
        if (p->gradient) {
            a->gradient[a->lengths] = p->gradient;
            a->length[a->lengths++] = p->count;
        }
    }
    return 0;
}

void adamw_destroy(struct adamw *a)
{
    if (a->backend) {
        memory_destroy(a->backend, a->m, a->count);
        memory_destroy(a->backend, a->v, a->count);
    }
    free(a->gradient);
    free(a->length);
    *a = (struct adamw){0};
}

double adamw_norm(const struct adamw *a, double scale)
{
    return scale * sqrt(a->backend->optimizer->square_sum(a->gradient, a->length, a->lengths));
}

void adamw_update(struct adamw *a, double rate, double scale, double norm)
{
    const struct optimizer *optimizer = a->backend->optimizer;
    const struct adamw_settings *s = &a->settings;
    double t = (double)++a->updates, clip = s->clip / (norm + least_norm);
    struct adamw_coefficients c = {
        .scale = (float)(scale * fmin(1.0, clip)),
        .beta1_rest = (float)(1.0 - s->beta1),
        .beta2 = (float)s->beta2,
        .beta2_rest = (float)(1.0 - s->beta2),
        .keep = (float)(1.0 - rate * s->decay),
        .rate = (float)(rate / (1.0 - pow(s->beta1, t))),
        .root = (float)(1.0 / sqrt(1.0 - pow(s->beta2, t))),
        .epsilon = (float)s->epsilon,
    };
    int64_t at = 0;
    for (int64_t i = 0; i < a->parameters->count; i++) {
        struct parameter *p = a->parameters->list[i];
        if (!p->gradient)
            continue;
        optimizer->adamw(p->value, a->m + at, a->v + at, p->gradient, p->count, &c);
        at += p->count;
    }
}

double adamw_warm_up(double rate, int64_t steps, int64_t n)
{
    return n + 1 < steps ? rate * (double)(n + 1) / (double)steps : rate;
}
