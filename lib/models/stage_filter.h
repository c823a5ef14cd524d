/* What filters that run a network share: opening weights and saying the memory plan; and the whole
 * of a filter that makes a latent of each array by one network. */
#ifndef OCTPIPE_MODELS_STAGE_FILTER_H
#define OCTPIPE_MODELS_STAGE_FILTER_H

#include "lib/io/filter.h"
#include "lib/models/stages.h"

/* Open -w, honouring --ema. */
struct weights *stage_filter_weights(struct filter *filter);

/* Backend and activations from --device and --precision. */
struct stage_settings stage_filter_settings(struct filter *filter);

/* With -v: the plan in words, `bytes` in total with what the filter holds beside the network. Call
 * it with the smallest plan there is, or one that fits --memory: one beyond is refused, and the
 * number named, in tenths of a MiB, is what --memory must allow at least. */
void stage_filter_plan(struct filter *filter, const struct stage *stage, int64_t bytes);

/* Describe a stage's output of `slices` slices: a latent (slices, c, h, w), or with volume a volume
 * (slices, h, w). Spacing follows the extents. */
void stage_filter_output(struct array *out, const struct array *in, const struct stage *stage,
                         int64_t slices, bool volume);

/* Read slices of a volume (u1 or f4) as f4 in [−1,1]. */
void stage_filter_read_volume(struct filter *filter, const struct array *array, float *volume,
                              int64_t slices);

/* Zeroed floats from and to which the device copies by itself; the program ends where there are
 * none. */
float *stage_filter_allocate(struct filter *filter, int64_t count);
void stage_filter_free(struct filter *filter, float *memory);

/* With -v: the process's peak memory beside the plan's total. */
void stage_filter_peak(struct filter *filter);

/* A filter that maps each array of its input, a volume or a latent, to a latent. open makes the
 * stage for an array of the given shape, with slicewise for one slice of it; it returns 0 or −1. */
struct stage_filter {
    const struct program *program;
    bool latent, slicewise;
    int (*open)(struct stage *stage, struct weights *weights, const int64_t *shape,
                const struct stage_settings *settings, struct error *error);
};

/* The filter's main: a stage stays open while the shape stays. Returns the exit status. */
int stage_filter_main(const struct stage_filter *stage_filter, int argc, char **argv);

#endif
