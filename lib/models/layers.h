/* Layers: what the networks of MODEL.md are written with. Each adds nodes to a graph, takes its
 * weights by key, and returns the value it makes.
 *
 * Errors stick: after the first one every layer returns −1 at once, so a network reads without
 * checks and its builder looks at `failed` at the end. */
#ifndef OCTPIPE_MODELS_LAYERS_H
#define OCTPIPE_MODELS_LAYERS_H

#include "lib/engine/graph.h"
#include "lib/models/weights.h"

struct builder {
    struct graph *graph;
    struct weights *weights;
    struct error *error;
    bool failed;
};

/* A key put together in place: KEY("%s.norm1", block). */
struct layer_key {
    char text[GRAPH_NAME];
};
struct layer_key layer_key(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define KEY(...) (layer_key(__VA_ARGS__).text)

/* An input in the stream's layout (n, d, c, h, w), f32. */
int layer_input(struct builder *b, int64_t n, int64_t d, int64_t c, int64_t h, int64_t w);
/* An input of n timesteps, f32. */
int layer_timesteps(struct builder *b, int64_t n);
/* One or two stream-layout inputs as one channels-last map in the graph's type (f32: stays f32). */
int layer_channels_last(struct builder *b, const int *inputs, int count, bool f32);
/* x in another type; x itself where it has that type. */
int layer_cast(struct builder *b, int x, enum dtype dtype);
/* Back to the stream's layout, f32, as an output of the graph. */
void layer_output(struct builder *b, int x);

/* Slices first … first+count−1; count 0: all. */
struct layer_slices {
    int64_t first, count;
};

/* dims 2 or 3 (1: a pointwise kernel of rank 3); kernel, stride the same on all those axes. Padding
 * is zero, (kernel−1)/2 on each side, unless `replicate` or `pad_back_only` say otherwise. */
struct layer_convolution {
    int dims, kernel;
    int64_t out;
    int stride;         /* 0 means 1 */
    int depth_stride;   /* replicate only; 0: as stride */
    bool replicate;     /* MODEL.md "Same": kernel − stride in all, front half larger, repeated */
    bool pad_back_only; /* one row below, one column right (2-D encoder's downsampling) */
    bool transposed;    /* SR3D: replicate padding, then transposed with padding 3 */
    bool f32;           /* make f32 whatever the graph's type; else an f32 input is cast to it */
    bool no_bias;
    int residual;               /* a value to add; 0 means none (value 0 is always an input) */
    const char *mix;            /* key of a mix factor: α·conv + (1−α)·residual */
    struct layer_slices slices; /* make these only, of a sample alone in its batch, stride 1 */
};
int layer_convolution(struct builder *b, int x, const char *key, struct layer_convolution c);

/* Two convolutions whose map between is never whole (OP_CONVOLUTION_PAIR); plain ones: without
 * transposition, residual and mix. */
int layer_convolution_pair(struct builder *b, int x, const char *const keys[2],
                           const struct layer_convolution c[2]);

/* 1×1 convolution of a channel concatenation of `count` sources, never stored. */
int layer_concatenated_1x1(struct builder *b, const int *sources, int count, const char *key,
                           int dims, int64_t out);

/* 1×1 convolutions of x stacked along channels: q, k and v of three keys. */
int layer_stacked_1x1(struct builder *b, int x, const char *const keys[3], int64_t out);

struct layer_norm {
    int dims; /* 2: statistics of each slice; 3: over all slices */
    int groups;
    float epsilon;
    bool silu;
    int scale_shift; /* a value, 0 means none */
    enum resampling resampling;
};
int layer_norm(struct builder *b, const int *sources, int count, const char *key,
               struct layer_norm n);

int layer_resample(struct builder *b, int x, int dims, enum resampling resampling);
int layer_attention(struct builder *b, int qkv, int dims, int heads, float scale);
int layer_linear(struct builder *b, int x, const char *key, int64_t out, bool silu_input);
int layer_timestep_embedding(struct builder *b, int timesteps, int64_t width);
/* Nearest of `codes` codes of the codebook under key. z and the result are f32. */
int layer_quantize(struct builder *b, int z, const char *key, int64_t codes);

/* Maximum or mean of windows (kernels/operation.h); x is f32. */
int layer_pool(struct builder *b, int x, struct pool pool);
/* The channels of up to OPERATION_INPUTS maps one after another, stored. */
int layer_concatenate(struct builder *b, const int *maps, int count);

/* For layers elsewhere: add the next weight, and where its gradient goes, to an operation; add the
 * operation to the graph. */
void layer_weight(struct builder *b, const char *key, int rank, const int64_t *shape,
                  struct operation *o);
int layer_add(struct builder *b, const struct operation *o, const int *inputs, int count,
              const char *name);

/* Set the error and stick. Returns −1. */
int layer_fail(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Channels of a value. */
int64_t layer_channels(const struct builder *b, int x);

#endif
