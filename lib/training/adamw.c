#include "lib/training/adamw.h"
#include "kernels/optimizer.h"

#include <math.h>
#include <stdlib.h>

/* What is added to a norm before it divides (as in PyTorch's clip_grad_norm_). */
static const double least_norm = 1e-6;

int adamw_create(struct adamw *a, const struct parameters *parameters,
                 const struct adamw_settings *settings, struct error *error)
{
    *a = (struct adamw){.parameters = parameters, .settings = *settings};
    size_t count = (size_t)parameters_learning(parameters);
    a->m = calloc(count + 1, sizeof *a->m);
    a->v = calloc(count + 1, sizeof *a->v);
    if (a->m && a->v)
        return 0;
    adamw_destroy(a);
    return error_set(error, "out of memory");
}

void adamw_destroy(struct adamw *a)
{
    free(a->m);
    free(a->v);
    *a = (struct adamw){0};
}

double adamw_norm(const struct adamw *a, double scale)
{
    double sum = 0.0;
    for (int64_t i = 0; i < a->parameters->count; i++) {
        const struct parameter *p = a->parameters->list[i];
        if (p->gradient)
            sum += optimizer_square_sum(p->gradient, p->count);
    }
    return scale * sqrt(sum);
}

void adamw_update(struct adamw *a, double rate, double scale, double norm)
{
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
        optimizer_adamw(p->value, a->m + at, a->v + at, p->gradient, p->count, &c);
        at += p->count;
    }
}

double adamw_warm_up(double rate, int64_t steps, int64_t n)
{
    return n + 1 < steps ? rate * (double)(n + 1) / (double)steps : rate;
}
