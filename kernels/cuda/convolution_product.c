#include "kernels/cuda/convolution_product.h"

static int64_t *extent_of(struct shape *s, int axis)
{
    return axis == AXIS_D ? &s->d : axis == AXIS_H ? &s->h : &s->w;
}

/* The map that is multiplied, and the zeros around it. Replicated edges and slices that are left
 * out are in the map. */
static void set_map(struct convolution_product *p, const struct operation *o, int64_t *front,
                    int64_t *back)
{
    const struct convolution *c = &o->convolution;
    struct convolution_gather *g = &p->gather;
    g->in = g->to = o->input[0].shape;
    g->dtype = o->input[0].dtype;
    g->to.c = (g->in.c + CONVOLUTION_VECTOR - 1) / CONVOLUTION_VECTOR * CONVOLUTION_VECTOR;
    p->gathers = g->to.c != g->in.c;
    for (int a = 0; a < AXES; a++) {
        bool replicate = c->padding == PADDING_REPLICATE;
        front[a] = replicate || c->pad_front[a] < 0 ? 0 : c->pad_front[a];
        back[a] = replicate || c->pad_back[a] < 0 ? 0 : c->pad_back[a];
        int64_t in_map = c->pad_front[a] + c->pad_back[a] - front[a] - back[a];
        g->front[a] = c->pad_front[a] - (int)front[a];
        g->upsampled[a] = c->upsampled[a];
        int64_t *extent = extent_of(&g->to, a);
        *extent = (*extent << c->upsampled[a]) + in_map;
        /* A map of one sample without its first and last slices needs no copy. */
        bool cut = a == AXIS_D && g->front[a] <= 0 && in_map <= g->front[a];
        p->gathers |= c->upsampled[a] || (!cut && (g->front[a] || in_map));
    }
    if (!p->gathers)
        p->skip = -g->front[AXIS_D] * (tensor_bytes(o->input[0]) / g->in.n / g->in.d);
}

struct convolution_product convolution_product(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    struct convolution_product p = {.gathers = false};
    int64_t front[AXES], back[AXES];
    set_map(&p, o, front, back);
    const struct shape *to = &p.gather.to;
    bool flat = c->kernel[AXIS_D] == 1 && c->stride[AXIS_D] == 1 && !front[AXIS_D] && !back[AXIS_D];
    p.of = (struct cudnn_convolution){
        .dims = flat ? 2 : 3,
        .n = flat ? to->n * to->d : to->n,
        .c = to->c,
        .out = o->output.shape.c,
        .in_type = o->input[0].dtype,
        .out_type = o->output.dtype,
    };
    const int64_t extent[AXES] = {to->d, to->h, to->w};
    for (int a = flat ? AXIS_H : AXIS_D, i = 0; a < AXES; a++, i++) {
        p.of.extent[i] = extent[a];
        p.of.kernel[i] = c->kernel[a];
        p.of.stride[i] = c->stride[a];
        p.of.front[i] = front[a];
        p.of.back[i] = back[a];
    }
    return p;
}

int64_t convolution_taps(const struct convolution *c)
{
    return (int64_t)c->kernel[AXIS_D] * c->kernel[AXIS_H] * c->kernel[AXIS_W];
}

const char *convolution_pack_kernels(const struct operation *o, int64_t columns, enum dtype dtype,
                                     const float *alpha, char *prepared, void *scratch)
{
    const struct convolution *c = &o->convolution;
    int64_t taps = convolution_taps(c), in = o->input[0].shape.c;
    const char *why = NULL;
    for (int part = 0; part < c->parts && !why; part++) {
        const struct weight *w = &o->weight[2 * part];
        int64_t out = w->shape[c->transposed ? 1 : 0], row = w->shape[1] * taps;
        int64_t out_step = c->transposed ? taps : row, in_step = c->transposed ? row : taps;
        struct pack pack = {
            .extent = {1, 1, out, taps, columns},
            .stride = {0, 0, out_step, 1, in_step},
            .limit = {1, 1, out, taps, in},
            .first = c->first_channel * in_step,
            .dtype = dtype,
            .scale = alpha,
        };
        why = cuda_pack(w, &pack, prepared, scratch);
        prepared += out * taps * columns * dtype_size(dtype);
    }
    return why;
}

const char *convolution_pack_mix(const struct operation *o, float *alpha, void *scratch)
{
    if (!o->convolution.mix)
        return NULL;
    const char *why = cuda_pack_vector(&o->weight[2], 1, DTYPE_F32, NULL, alpha, scratch);
    return why ? why : convolution_alpha(alpha, alpha);
}

size_t convolution_scratch(const struct operation *o)
{
    int64_t most = 0;
    for (int i = 0; i < o->weights; i++)
        if (weight_bytes(&o->weight[i]) > most)
            most = weight_bytes(&o->weight[i]);
    return (size_t)most;
}
