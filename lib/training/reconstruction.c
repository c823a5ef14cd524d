#include "lib/training/reconstruction_parts.h"

#include "lib/engine/upsampling.h"
#include "lib/metrics/similarity.h"
#include "lib/training/train_picture.h"

#include <stdlib.h>
#include <string.h>

enum { VALIDATIONS = 4, SHOWN = 4 /* slices of a picture */ };

/* The codebook that warms up, and room for what its quantizer reads. */
static int note_latents(struct reconstruction *r, const struct builder *b,
                        const struct reconstruction_graph *g)
{
    const struct shape s = graph_tensor(b->graph, g->latents).shape;
    int64_t count = s.n * s.d * s.c * s.h * s.w;
    if (r->codebook)
        return 0;
    r->codebook = parameters_find(r->parameters, g->codebook);
    r->latents =
        (struct codebook_latents){malloc((size_t)count * sizeof(float)), s.n * s.d, s.c, s.h * s.w};
    return r->latents.z ? 0 : error_set(b->error, "out of memory");
}

/* Plan the network with or without the adversarial term. */
static int plan(struct reconstruction *r, bool judged, struct train_memory memory,
                struct network **network, struct error *error)
{
    struct builder b;
    struct reconstruction_graph g;
    struct adversary_losses losses;
    struct gradient_seed seeds[1 + EXTRA_LOSSES];
    if (train_network_begin(&b, r->weights, r->stage.activations, error))
        return -1;
    reconstruction_build(r, &b, &g);
    graph_fuse_upsampling(b.graph);
    if (g.latents >= 0 && note_latents(r, &b, &g))
        return -1;
    r->extras = g.extras;
    memcpy(seeds + 1, g.extra, sizeof g.extra);
    adversary_judge(&r->adversary, &b, g.x, g.y, g.last, judged, &losses, seeds);
    memory.taken += state_bytes(r->parameters, r->options->ema > 0.0);
    return train_network_finish(network, &b, seeds, 1 + g.extras, r->stage.backend, memory);
}

static int64_t buffer_bytes(const struct reconstruction *r)
{
    int64_t plane = r->h * r->w, f = r->thumbnail, bytes = 2 * r->k * plane;
    if (f)
        bytes += r->d * plane + r->d * plane / (f * f * f) + r->k;
    return bytes * (int64_t)sizeof(float);
}

static int allocate(struct reconstruction *r, struct error *error)
{
    int64_t plane = r->h * r->w, f = r->thumbnail, box = f ? r->d * plane : 0;
    r->slices = malloc((size_t)(r->k * plane) * sizeof *r->slices);
    r->y = malloc((size_t)(r->k * plane) * sizeof *r->y);
    r->box = malloc((size_t)(box + 1) * sizeof *r->box);
    r->small = malloc((size_t)(f ? box / (f * f * f) + 1 : 1) * sizeof *r->small);
    r->numbers = malloc((size_t)r->k * sizeof *r->numbers);
    bool there = r->slices && r->y && r->box && r->small && r->numbers;
    return there ? 0 : error_set(error, "out of memory");
}

/* The discriminator's network first: its weights become parameters there. */
static int plan_networks(struct reconstruction *r, struct error *error)
{
    struct adversary *a = &r->adversary;
    struct train_memory memory = {r->options->memory, buffer_bytes(r)};
    int64_t judged = 0;
    if (adversary_plan(a, r->k, r->h, r->w, &r->stage, memory, error))
        return -1;
    if (a->network)
        memory.taken += network_memory(a->network).total + state_bytes(a->parameters, false);
    r->bytes = buffer_bytes(r) + (a->network ? network_memory(a->network).total : 0);
    if (a->network && plan(r, true, memory, &r->judged, error))
        return -1;
    if (r->judged)
        judged = network_memory(r->judged).total;
    if (r->settings.adversarial_start > 0 || !r->judged) {
        if (plan(r, false, memory, &r->network, error))
            return -1;
    } else {
        r->network = r->judged;
        r->judged = NULL;
        r->judges = true;
    }
    int64_t plain = network_memory(r->network).total;
    r->bytes += judged > plain ? judged : plain;
    return 0;
}

static void name_losses(struct reconstruction *r)
{
    int n = 0;
    r->names[n++] = "l1";
    n += reconstruction_names(r->settings.kind, r->names + n);
    if (r->adversary.lpips)
        r->names[n++] = "lpips";
    if (r->adversary.discriminator) {
        r->names[n++] = "generator";
        r->names[n++] = "adaptive_weight";
        r->names[n++] = "discriminator";
    }
}

static int open_parts(struct reconstruction *r, struct error *error)
{
    const struct reconstruction_settings *s = &r->settings;
    if (s->encoder && weights_open(&r->encoder, s->encoder, false, error))
        return -1;
    if (adversary_open(&r->adversary, s->discriminator, s->lpips, r->parameters->backend, error) ||
        reconstruction_arrange(r, error))
        return -1;
    weights_train_only(r->weights, reconstruction_learns(s->kind));
    int64_t items =
        s->kind == RECONSTRUCT_NHAE ? r->learned : dataset_slices(r->data, 0, r->learned);
    name_losses(r);
    return order_create(&r->order, (uint64_t)r->options->seed, items, error) ||
                   allocate(r, error) || plan_networks(r, error)
               ? -1
               : 0;
}

int reconstruction_open(struct reconstruction **reconstruction, struct weights *weights,
                        struct parameters *parameters, const struct dataset *data,
                        const struct reconstruction_settings *settings,
                        const struct train_options *options, const struct stage_settings *stage,
                        struct error *error)
{
    struct reconstruction *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(error, "out of memory");
    *r = (struct reconstruction){.weights = weights,
                                 .parameters = parameters,
                                 .data = data,
                                 .options = options,
                                 .settings = *settings,
                                 .stage = *stage};
    if (open_parts(r, error)) {
        reconstruction_close(r);
        return -1;
    }
    *reconstruction = r;
    return 0;
}

void reconstruction_close(struct reconstruction *r)
{
    if (!r)
        return;
    network_destroy(r->network);
    network_destroy(r->judged);
    adversary_close(&r->adversary);
    weights_close(r->encoder);
    order_destroy(&r->order);
    free(r->slices);
    free(r->y);
    free(r->box);
    free(r->small);
    free(r->numbers);
    free(r->latents.z);
    free(r);
}

/* From the start of the adversarial term on, the other network runs. */
static void change_network(struct reconstruction *r, int64_t step)
{
    if (!r->judged || step < r->settings.adversarial_start)
        return;
    network_destroy(r->network);
    r->network = r->judged;
    r->judged = NULL;
    r->judges = true;
}

/* Losses in the order of name_losses; those that are not there yet are 0. */
static int run(struct reconstruction *r, double *losses, struct error *error)
{
    const void *inputs[] = {r->slices, r->small, r->numbers};
    float value[TRAINER_LOSSES] = {0.0f};
    void *outputs[TRAINER_LOSSES + 2] = {r->y, r->latents.z};
    int maps = r->codebook ? 2 : 1;
    for (int i = 0; i < TRAINER_LOSSES; i++)
        outputs[maps + i] = &value[i];
    if (network_run(r->network, inputs, outputs, error))
        return -1;
    losses[0] = (double)value[r->extras];
    for (int i = 0; i < r->extras; i++)
        losses[i + 1] = (double)value[i];
    for (int i = r->extras + 1; r->names[i]; i++)
        losses[i] = (double)value[i];
    return 0;
}

static int compute(void *context, int64_t step, int64_t part, double *losses, struct error *error)
{
    struct reconstruction *r = context;
    int last = 0;
    change_network(r, step);
    reconstruction_read(r, step, part);
    if (run(r, losses, error))
        return -1;
    if (part == 0 && step < r->settings.code_warm_up &&
        codebook_follow(r->codebook, r->parameters->backend, &r->latents, r->order.seed, step,
                        error))
        return -1;
    while (r->names[last + 1])
        last++;
    return r->judges ? adversary_run(&r->adversary, r->slices, r->y, &losses[last], error) : 0;
}

/* The mean absolute error, and the PSNR of all slices together. */
static int validate(void *context, double *measures, struct error *error)
{
    struct reconstruction *r = context;
    static const struct intensity intensity = {INTENSITY_PEAK / 2.0, INTENSITY_PEAK / 2.0};
    double losses[TRAINER_LOSSES], square = 0.0;
    int64_t count = r->k * r->h * r->w;
    measures[0] = 0.0;
    for (int64_t i = 0; i < VALIDATIONS; i++) {
        reconstruction_read_held(r, i, VALIDATIONS);
        if (run(r, losses, error))
            return -1;
        measures[0] += losses[0] / VALIDATIONS;
        square += squared_error(r->slices, intensity, r->y, intensity, count);
    }
    measures[1] = psnr(square, VALIDATIONS * count);
    return 0;
}

/* The first slices of a held-out sample above their reconstructions. */
static int draw(void *context, struct picture *picture, struct error *error)
{
    struct reconstruction *r = context;
    double losses[TRAINER_LOSSES], low[SHOWN], high[SHOWN];
    int64_t shown = r->k < SHOWN ? r->k : SHOWN, count = shown * r->h * r->w;
    reconstruction_read_held(r, VALIDATIONS / 2, VALIDATIONS);
    if (run(r, losses, error))
        return -1;
    float *maps = malloc((size_t)(2 * count) * sizeof *maps);
    if (!maps)
        return error_set(error, "out of memory");
    memcpy(maps, r->slices, (size_t)count * sizeof *maps);
    memcpy(maps + count, r->y, (size_t)count * sizeof *maps);
    for (int64_t i = 0; i < shown; i++) {
        low[i] = -1.0;
        high[i] = 1.0;
    }
    struct train_picture grid = {2, shown, r->h, r->w, maps, low, high};
    int status = train_picture_draw(&grid, picture, error);
    free(maps);
    return status;
}

void reconstruction_trainer(struct reconstruction *r, struct trainer *trainer)
{
    static const char *const measures[] = {"validation", "psnr", NULL};
    bool held = r->options->held_out > 0;
    *trainer = (struct trainer){
        .context = r,
        .losses = r->names,
        .measures = measures,
        .compute = compute,
        .validate = held ? validate : NULL,
        .draw = draw,
        .bytes = r->bytes,
        .parameters = {r->parameters, r->adversary.parameters},
    };
}
