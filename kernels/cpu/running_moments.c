/* OP_RUNNING_MOMENTS: the statistics of a batch norm that its checkpoint keeps. */
#include "kernels/check_training.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/group_norm.h"

#include <stdlib.h>

struct running_state {
    struct group_norm_sets sets;
    float momentum, *mean, *variance;
    size_t sums; /* in the workspace, after the moments (chunk, c) */
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    int64_t c = o->input[0].shape.c;
    const char *why = check_running_moments(o);
    if (why)
        return why;
    struct operation norm = {.kind = OP_GROUP_NORM, .inputs = 1};
    norm.group_norm = (struct group_norm){.groups = (int)c, .sources = 1, .per_batch = true};
    norm.input[0] = norm.output = o->input[0];
    struct running_state s = {.momentum = o->running_moments.momentum,
                              .mean = o->gradient[0],
                              .variance = o->gradient[1]};
    group_norm_sets(&s.sets, &norm);
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->workspace, s.sets.chunks * c, sizeof(struct moments));
    s.sums = cpu_reserve(&needs->workspace, 3 * s.sets.pack * c, sizeof(float));
    if (needs->workspace == SIZE_MAX)
        return "the map is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct running_state *s = state;
    struct moments *moments = workspace;
    double keep = 1.0 - (double)s->momentum;
    for (int64_t chunk = 0; chunk < s->sets.chunks; chunk++)
        group_norm_measure(&s->sets, inputs, 0, chunk, (float *)((char *)workspace + s->sums),
                           moments + chunk * s->sets.groups);
    for (int64_t j = 0; j < s->sets.c; j++) {
        struct moments all = group_norm_moments(&s->sets, moments, 0, j);
        double variance = all.square / (all.count - 1.0);
        s->mean[j] = (float)(keep * s->mean[j] + s->momentum * all.mean);
        s->variance[j] = (float)(keep * s->variance[j] + s->momentum * variance);
    }
    *(float *)output = 0.0f;
    return NULL;
}

const struct kernel cpu_running_moments = {create, needs_nothing, run, free};
