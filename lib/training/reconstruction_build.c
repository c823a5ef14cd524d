#include "lib/training/reconstruction_parts.h"

#include "lib/models/autoencoder2d.h"
#include "lib/models/loss_layers.h"
#include "lib/models/nhae.h"

static const char codebook2d[] = "quantize.embedding.weight";
static const char codebook3d[] = "quantize3D.embedding.weight";

const char *const *reconstruction_learns(enum reconstruction_kind kind)
{
    static const char *const nhae[] = {
        "encoder3D.", "quant_conv_3D",     "quantize3D.", "post_quant_conv_3D",
        "SR3D.",      "decoder.conv_out.", NULL};
    static const char *const adaptors[] = {"3d", NULL};
    return kind == RECONSTRUCT_NHAE ? nhae : kind == RECONSTRUCT_MULTISLICE ? adaptors : NULL;
}

int reconstruction_names(enum reconstruction_kind kind, const char **names)
{
    int count = 0;
    if (kind != RECONSTRUCT_MULTISLICE)
        names[count++] = "codebook";
    if (kind == RECONSTRUCT_NHAE) {
        names[count++] = "codebook3d";
        names[count++] = "latent";
    }
    return count;
}

/* The value that the node which makes `value` reads. */
static int input_of(const struct builder *b, int value)
{
    return b->failed ? -1 : b->graph->node[b->graph->value[value].node].input[0];
}

static void add_loss(struct builder *b, struct reconstruction_graph *g, int loss)
{
    layer_scalar_output(b, loss);
    g->extra[g->extras++] = (struct gradient_seed){loss, -1};
}

/* The loss of the first quantizer under `key` in the graph. */
static void add_quantizer(struct builder *b, struct reconstruction_graph *g, const char *key,
                          int64_t codes)
{
    if (b->failed)
        return;
    const struct graph_node *node = &b->graph->node[graph_find(b->graph, key)];
    add_loss(b, g, layer_quantizer_loss(b, node->input[0], node->output, key, codes));
}

static void fail_unless(struct builder *b, int status)
{
    b->failed |= status != 0;
}

/* What the quantizer that learns reads, where its codebook warms up. */
static void add_latents(const struct reconstruction *r, struct builder *b,
                        struct reconstruction_graph *g, int z, const char *key)
{
    if (!r->settings.code_warm_up)
        return;
    layer_output(b, z);
    g->latents = z;
    g->codebook = key;
}

static void build_autoencoder2d(const struct reconstruction *r, struct builder *b,
                                struct reconstruction_graph *g, int x)
{
    struct autoencoder2d_config encoder, decoder;
    fail_unless(b, encoder2d_read(&encoder, b->weights, b->error) ||
                       decoder2d_read(&decoder, b->weights, b->error));
    if (b->failed)
        return;
    int z = encoder2d_build(b, &encoder, layer_channels_last(b, &x, 1, false));
    g->y = decoder2d_build(b, &decoder, z);
    layer_output(b, g->y);
    add_latents(r, b, g, z, codebook2d);
    add_quantizer(b, g, codebook2d, decoder.codes);
    g->last = "decoder.conv_out";
}

/* h_sr and h are what quant_conv reads. */
static void build_nhae(const struct reconstruction *r, struct builder *b,
                       struct reconstruction_graph *g, int x)
{
    struct encoder3d_config encoder3d;
    struct latent_sr_config sr;
    struct autoencoder2d_config encoder, decoder;
    fail_unless(b, encoder3d_read(&encoder3d, b->weights, b->error) ||
                       latent_sr_read(&sr, b->weights, b->error) ||
                       encoder2d_read(&encoder, b->weights, b->error) ||
                       decoder2d_read(&decoder, b->weights, b->error));
    if (b->failed)
        return;
    encoder3d.whole_maps = true;
    int64_t f = r->thumbnail;
    int small = layer_input(b, 1, r->d / f, 1, r->h / f, r->w / f),
        numbers = layer_numbers(b, r->k);
    int h = input_of(b, encoder2d_build(b, &encoder, layer_channels_last(b, &x, 1, false)));
    int z = encoder3d_build(b, &encoder3d, layer_channels_last(b, &small, 1, false));
    int z_sr = latent_sr_build(b, &sr, z);
    int h_sr = layer_gather(b, input_of(b, z_sr), numbers);
    g->y = decoder2d_build(b, &decoder, layer_gather(b, z_sr, numbers));
    layer_output(b, g->y);
    add_latents(r, b, g, z, codebook3d);
    add_quantizer(b, g, codebook2d, decoder.codes);
    add_quantizer(b, g, codebook3d, sr.codes);
    add_loss(b, g, layer_loss(b, LOSS_L1, h_sr, h, 1.0f));
    g->last = "decoder.conv_out";
}

static void build_multislice(const struct reconstruction *r, struct builder *b,
                             struct reconstruction_graph *g, int x)
{
    struct autoencoder2d_config encoder, decoder;
    struct weights *own = b->weights;
    fail_unless(b, encoder2d_read(&encoder, r->encoder, b->error) ||
                       decoder2d_read(&decoder, own, b->error));
    if (b->failed)
        return;
    b->weights = r->encoder;
    int z = encoder2d_build(b, &encoder, layer_channels_last(b, &x, 1, false));
    b->weights = own;
    g->y = decoder2d_build(b, &decoder, z);
    layer_output(b, g->y);
    g->last = "decoder.conv_out_3d";
}

void reconstruction_build(struct reconstruction *r, struct builder *b,
                          struct reconstruction_graph *g)
{
    *g = (struct reconstruction_graph){.latents = -1};
    int x = layer_input(b, 1, r->k, 1, r->h, r->w);
    g->x = layer_channels_last(b, &x, 1, true);
    if (r->settings.kind == RECONSTRUCT_AUTOENCODER2D)
        build_autoencoder2d(r, b, g, x);
    else if (r->settings.kind == RECONSTRUCT_NHAE)
        build_nhae(r, b, g, x);
    else
        build_multislice(r, b, g, x);
}
