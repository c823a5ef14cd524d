#include "lib/models/inception.h"

#define BATCH_NORM_EPSILON 1e-3f

const char inception_anchor[] = "Conv2d_1a_3x3.conv.weight";

int inception_read(struct inception_config *c, struct weights *w, struct error *error)
{
    if (weights_anchor(w, inception_anchor, "", "Inception network", error))
        return -1;
    const struct safetensor *first = weights_find(w, inception_anchor);
    if (first->rank != 4 || first->shape[0] > INCEPTION_WIDTH || first->shape[0] % 2)
        return error_set(error, "%s does not make an even number of channels, %d at most",
                         inception_anchor, INCEPTION_WIDTH);
    c->width = first->shape[0];
    return 0;
}

/* Of the published width `channels`. */
static int64_t scaled(const struct inception_config *c, int64_t channels)
{
    return channels * c->width / INCEPTION_WIDTH;
}

int64_t inception_features(const struct inception_config *c)
{
    return scaled(c, INCEPTION_FEATURES);
}

/* A convolution without bias, batch norm and ReLU. With stride 2, or unpadded, the kernel stays
 * inside the map. */
struct unit {
    int64_t out; /* channels of the published network */
    int rows, columns;
    int stride; /* 0 means 1 */
    bool unpadded;
};

static int unit(struct builder *b, const struct inception_config *c, int x, const char *key,
                struct unit u)
{
    static const char *const norm[] = {"weight", "bias", "running_mean", "running_var"};
    if (b->failed)
        return -1;
    int64_t out = scaled(c, u.out);
    const int64_t shape[4] = {out, layer_channels(b, x), u.rows, u.columns};
    int stride = u.stride ? u.stride : 1;
    bool padded = stride == 1 && !u.unpadded;
    int pad_h = padded ? u.rows / 2 : 0, pad_w = padded ? u.columns / 2 : 0;
    struct operation o = {.kind = OP_CONVOLUTION, .output = graph_tensor(b->graph, x)};
    o.convolution = (struct convolution){.kernel = {1, u.rows, u.columns},
                                         .stride = {1, stride, stride},
                                         .pad_front = {0, pad_h, pad_w},
                                         .pad_back = {0, pad_h, pad_w},
                                         .parts = 1,
                                         .relu = true,
                                         .norm_epsilon = BATCH_NORM_EPSILON};
    o.output.shape.h = convolution_extent(&o.convolution, AXIS_H, o.output.shape.h);
    o.output.shape.w = convolution_extent(&o.convolution, AXIS_W, o.output.shape.w);
    o.output.shape.c = out;
    layer_weight(b, KEY("%s.conv.weight", key), 4, shape, &o);
    o.weights++; /* no bias */
    for (int i = 0; i < 4; i++)
        layer_weight(b, KEY("%s.bn.%s", key, norm[i]), 1, &out, &o);
    return layer_add(b, &o, &x, 1, key);
}

/* A block: the units of it are BLOCK.BRANCH. */
struct block {
    struct builder *b;
    const struct inception_config *config;
    const char *name;
};

static int branch(const struct block *k, int x, const char *name, int64_t out, int rows,
                  int columns)
{
    return unit(k->b, k->config, x, KEY("%s.%s", k->name, name),
                (struct unit){.out = out, .rows = rows, .columns = columns});
}

static int branch_halved(const struct block *k, int x, const char *name, int64_t out)
{
    return unit(k->b, k->config, x, KEY("%s.%s", k->name, name),
                (struct unit){.out = out, .rows = 3, .columns = 3, .stride = 2});
}

static int mean_of_9(const struct block *k, int x)
{
    return layer_pool(k->b, x, (struct pool){POOL_MEAN, 3, 1, 1});
}

static int halved(struct builder *b, int x)
{
    return layer_pool(b, x, (struct pool){POOL_MAXIMUM, 3, 2, 0});
}

static int stem(struct builder *b, const struct inception_config *c, int x)
{
    struct unit u = {.out = 32, .rows = 3, .columns = 3, .stride = 2};
    x = unit(b, c, x, "Conv2d_1a_3x3", u);
    u.stride = 1;
    u.unpadded = true;
    x = unit(b, c, x, "Conv2d_2a_3x3", u);
    x = unit(b, c, x, "Conv2d_2b_3x3", (struct unit){.out = 64, .rows = 3, .columns = 3});
    x = halved(b, x);
    x = unit(b, c, x, "Conv2d_3b_1x1", (struct unit){.out = 80, .rows = 1, .columns = 1});
    u.out = 192;
    x = unit(b, c, x, "Conv2d_4a_3x3", u);
    return halved(b, x);
}

static int block_a(const struct block *k, int x, int64_t pooled)
{
    int to[4];
    to[0] = branch(k, x, "branch1x1", 64, 1, 1);
    to[1] = branch(k, x, "branch5x5_1", 48, 1, 1);
    to[1] = branch(k, to[1], "branch5x5_2", 64, 5, 5);
    to[2] = branch(k, x, "branch3x3dbl_1", 64, 1, 1);
    to[2] = branch(k, to[2], "branch3x3dbl_2", 96, 3, 3);
    to[2] = branch(k, to[2], "branch3x3dbl_3", 96, 3, 3);
    to[3] = branch(k, mean_of_9(k, x), "branch_pool", pooled, 1, 1);
    return layer_concatenate(k->b, to, 4);
}

static int block_b(const struct block *k, int x)
{
    int to[3];
    to[0] = branch_halved(k, x, "branch3x3", 384);
    to[1] = branch(k, x, "branch3x3dbl_1", 64, 1, 1);
    to[1] = branch(k, to[1], "branch3x3dbl_2", 96, 3, 3);
    to[1] = branch_halved(k, to[1], "branch3x3dbl_3", 96);
    to[2] = halved(k->b, x);
    return layer_concatenate(k->b, to, 3);
}

static int block_c(const struct block *k, int x, int64_t inner)
{
    int to[4];
    to[0] = branch(k, x, "branch1x1", 192, 1, 1);
    to[1] = branch(k, x, "branch7x7_1", inner, 1, 1);
    to[1] = branch(k, to[1], "branch7x7_2", inner, 1, 7);
    to[1] = branch(k, to[1], "branch7x7_3", 192, 7, 1);
    to[2] = branch(k, x, "branch7x7dbl_1", inner, 1, 1);
    to[2] = branch(k, to[2], "branch7x7dbl_2", inner, 7, 1);
    to[2] = branch(k, to[2], "branch7x7dbl_3", inner, 1, 7);
    to[2] = branch(k, to[2], "branch7x7dbl_4", inner, 7, 1);
    to[2] = branch(k, to[2], "branch7x7dbl_5", 192, 1, 7);
    to[3] = branch(k, mean_of_9(k, x), "branch_pool", 192, 1, 1);
    return layer_concatenate(k->b, to, 4);
}

static int block_d(const struct block *k, int x)
{
    int to[3];
    to[0] = branch(k, x, "branch3x3_1", 192, 1, 1);
    to[0] = branch_halved(k, to[0], "branch3x3_2", 320);
    to[1] = branch(k, x, "branch7x7x3_1", 192, 1, 1);
    to[1] = branch(k, to[1], "branch7x7x3_2", 192, 1, 7);
    to[1] = branch(k, to[1], "branch7x7x3_3", 192, 7, 1);
    to[1] = branch_halved(k, to[1], "branch7x7x3_4", 192);
    to[2] = halved(k->b, x);
    return layer_concatenate(k->b, to, 3);
}

/* One map by a row and by a column. */
static int split(const struct block *k, int x, const char *row, const char *column)
{
    int to[2] = {branch(k, x, row, 384, 1, 3), branch(k, x, column, 384, 3, 1)};
    return layer_concatenate(k->b, to, 2);
}

static int block_e(const struct block *k, int x, enum pooling pooling)
{
    int to[4];
    to[0] = branch(k, x, "branch1x1", 320, 1, 1);
    to[1] = branch(k, x, "branch3x3_1", 384, 1, 1);
    to[1] = split(k, to[1], "branch3x3_2a", "branch3x3_2b");
    to[2] = branch(k, x, "branch3x3dbl_1", 448, 1, 1);
    to[2] = branch(k, to[2], "branch3x3dbl_2", 384, 3, 3);
    to[2] = split(k, to[2], "branch3x3dbl_3a", "branch3x3dbl_3b");
    to[3] = layer_pool(k->b, x, (struct pool){pooling, 3, 1, 1});
    to[3] = branch(k, to[3], "branch_pool", 192, 1, 1);
    return layer_concatenate(k->b, to, 4);
}

int inception_build(struct builder *b, const struct inception_config *c, int x)
{
    x = stem(b, c, x);
    x = block_a(&(struct block){b, c, "Mixed_5b"}, x, 32);
    x = block_a(&(struct block){b, c, "Mixed_5c"}, x, 64);
    x = block_a(&(struct block){b, c, "Mixed_5d"}, x, 64);
    x = block_b(&(struct block){b, c, "Mixed_6a"}, x);
    x = block_c(&(struct block){b, c, "Mixed_6b"}, x, 128);
    x = block_c(&(struct block){b, c, "Mixed_6c"}, x, 160);
    x = block_c(&(struct block){b, c, "Mixed_6d"}, x, 160);
    x = block_c(&(struct block){b, c, "Mixed_6e"}, x, 192);
    x = block_d(&(struct block){b, c, "Mixed_7a"}, x);
    x = block_e(&(struct block){b, c, "Mixed_7b"}, x, POOL_MEAN);
    return block_e(&(struct block){b, c, "Mixed_7c"}, x, POOL_MAXIMUM);
}
