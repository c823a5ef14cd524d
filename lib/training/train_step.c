#include "lib/training/train_loop.h"

#include <inttypes.h>
#include <math.h>

/* What state.number holds. A loss has exploded when its average over some 100 steps is this many
 * times the lowest that it was, after the first 100. */
enum { AVERAGE, LOWEST };
static const double average_share = 0.01, exploded = 10.0;
static const int64_t watch_from = 100;

static int watch(struct training_state *s, double loss, struct error *error)
{
    double *average = &s->number[AVERAGE], *lowest = &s->number[LOWEST];
    *average = s->step ? *average + average_share * (loss - *average) : loss;
    *lowest = s->step > watch_from ? fmin(*lowest, *average) : *average;
    if (*average > exploded * *lowest)
        return error_set(error, "diverged at step %" PRId64 ": the loss is %.3g, after %.3g",
                         s->step + 1, *average, *lowest);
    return 0;
}

static int sum_parts(const struct training_state *s, const struct trainer *trainer, int64_t parts,
                     double *losses, struct error *error)
{
    double part[TRAINER_LOSSES];
    for (int i = 0; i < s->sets; i++)
        parameters_clear_gradients(s->parameters[i]);
    for (int i = 0; trainer->losses[i]; i++)
        losses[i] = 0.0;
    for (int64_t k = 0; k < parts; k++) {
        if (trainer->compute(trainer->context, s->step, k, part, error))
            return -1;
        for (int i = 0; trainer->losses[i]; i++)
            losses[i] += part[i] / (double)parts;
    }
    return 0;
}

int train_step(struct training_state *s, const struct trainer *trainer,
               const struct train_options *options, double *losses, double *norm,
               struct error *error)
{
    double scale = 1.0 / (double)options->accumulate, norms[STATE_SETS];
    if (sum_parts(s, trainer, options->accumulate, losses, error))
        return -1;
    for (int i = 0; i < s->sets; i++) {
        norms[i] = adamw_norm(&s->adamw[i], scale);
        if (!isfinite(norms[i]))
            return error_set(error, "diverged at step %" PRId64 ": a gradient is not finite",
                             s->step + 1);
    }
    for (int i = 0; trainer->losses[i]; i++)
        if (!isfinite(losses[i]))
            return error_set(error, "diverged at step %" PRId64 ": loss \"%s\" is not finite",
                             s->step + 1, trainer->losses[i]);
    if (watch(s, losses[0], error))
        return -1;
    for (int i = 0; i < s->sets; i++) {
        double rate = adamw_warm_up(options->rate, options->warm_up, s->adamw[i].updates);
        if (parameters_learning(s->parameters[i]) && norms[i] > 0.0)
            adamw_update(&s->adamw[i], rate, scale, norms[i]);
    }
    ema_update(&s->ema);
    s->step++;
    *norm = norms[0];
    return 0;
}
