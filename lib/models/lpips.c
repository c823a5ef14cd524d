#include "lib/models/lpips.h"
#include "lib/models/loss_layers.h"

/* Convolutions of each stage of VGG-16; each stage but the first begins with a pooling. A stage is
 * net.slice1 … net.slice5, its layers are counted as in the whole network, ReLUs and poolings too.
 */
static const int convolutions[LPIPS_STAGES] = {2, 2, 3, 3, 3};

/* The first convolution's index in each stage. */
static const int first_layer[LPIPS_STAGES] = {0, 5, 10, 17, 24};

/* ImageNet's mean and deviation of each colour, as LPIPS takes them for values in [−1,1]: colour =
 * (x − mean)/deviation, as a 1×1 convolution. */
static const float colour_factor[3] = {1 / 0.458f, 1 / 0.448f, 1 / 0.450f};
static const float colour_shift[3] = {0.030f / 0.458f, 0.088f / 0.448f, 0.188f / 0.450f};

int lpips_read(struct lpips_config *c, struct weights *w, struct error *error)
{
    if (weights_anchor(w, "net.slice1.0.weight", "", "LPIPS network", error))
        return -1;
    for (int i = 0; i < LPIPS_STAGES; i++) {
        struct layer_key key = layer_key("net.slice%d.%d.weight", i + 1, first_layer[i]);
        const struct safetensor *kernel = weights_find(w, key.text);
        if (!kernel || kernel->rank != 4)
            return error_set(error, "the LPIPS network's %s is not a 2-D kernel", key.text);
        c->width[i] = kernel->shape[0];
    }
    return 0;
}

static int to_colours(struct builder *b, int x)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_CONVOLUTION, .weights = 2};
    o.convolution = (struct convolution){.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .parts = 1};
    o.weight[0] = (struct weight){colour_factor, DTYPE_F32, 4, {3, 1, 1, 1}, false};
    o.weight[1] = (struct weight){colour_shift, DTYPE_F32, 1, {3}, false};
    o.output = graph_tensor(b->graph, x);
    o.output.shape.c = 3;
    return layer_add(b, &o, &x, 1, "colours");
}

/* The last map of each stage. */
static void features(struct builder *b, const struct lpips_config *c, int x,
                     int feature[LPIPS_STAGES])
{
    x = to_colours(b, x);
    for (int i = 0; i < LPIPS_STAGES; i++) {
        struct layer_convolution conv = {.dims = 2, .kernel = 3, .out = c->width[i]};
        if (i > 0)
            x = layer_max_pool(b, x);
        for (int k = 0; k < convolutions[i]; k++) {
            x = layer_convolution(b, x, KEY("net.slice%d.%d", i + 1, first_layer[i] + 2 * k), conv);
            x = layer_leaky_relu(b, x, 0.0f);
        }
        feature[i] = x;
    }
}

int lpips_build(struct builder *b, const struct lpips_config *c, int x, int y)
{
    int feature[2][LPIPS_STAGES], sum = 0;
    features(b, c, x, feature[0]);
    features(b, c, y, feature[1]);
    for (int i = 0; i < LPIPS_STAGES; i++) {
        int distance =
            layer_feature_distance(b, feature[0][i], feature[1][i], KEY("lin%d.model.1.weight", i));
        sum = i ? layer_sum(b, sum, distance) : distance;
    }
    return sum;
}
