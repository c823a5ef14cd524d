/* init-weights - fresh weights of a part of the cascade, for training or for trials. */
#include "lib/io/filter.h"
#include "lib/models/fresh.h"

#include <string.h>

static struct fresh_settings settings = {.attentions = -1};
static struct option_shape mult, attention;
static int64_t seed;
static const char *from_path;

static const struct option options[] = {
    {.name = "width",
     .type = OPTION_INT,
     .target = &settings.width,
     .argument = "N",
     .low = 1,
     .high = 1e6,
     .unset = "the paper's",
     .meaning = "channels of the first level"},
    {.name = "width2d",
     .type = OPTION_INT,
     .target = &settings.width2d,
     .argument = "N",
     .low = 1,
     .high = 1e6,
     .unset = "128",
     .meaning = "nhae: channels of the 2-D auto-encoder's first level"},
    {.name = "mult",
     .type = OPTION_SHAPE,
     .target = &mult,
     .argument = "M,M,...",
     .unset = "the paper's",
     .meaning = "each level's multiple of the width"},
    {.name = "blocks",
     .type = OPTION_INT,
     .target = &settings.blocks,
     .argument = "N",
     .low = 1,
     .high = 16,
     .unset = "2",
     .meaning = "residual blocks a level"},
    {.name = "attention",
     .type = OPTION_SHAPE,
     .target = &attention,
     .argument = "F,F,...",
     .low = 0,
     .high = 1e6,
     .unset = "the paper's",
     .meaning = "U-Nets: downsampling factors with attention; 0 for none"},
    {.name = "heads",
     .type = OPTION_INT,
     .target = &settings.heads,
     .argument = "N",
     .low = 1,
     .high = 1024,
     .unset = "8",
     .meaning = "U-Nets: attention heads"},
    {.name = "groups",
     .type = OPTION_INT,
     .target = &settings.groups,
     .argument = "N",
     .low = 1,
     .high = 1024,
     .unset = "32",
     .meaning = "groups of the group norms"},
    {.name = "levels",
     .type = OPTION_INT,
     .target = &settings.levels,
     .argument = "N",
     .low = 1,
     .high = 6,
     .unset = "2",
     .meaning = "nhae: halvings of the 3-D encoder"},
    {.name = "codes",
     .type = OPTION_INT,
     .target = &settings.codes,
     .argument = "N",
     .low = 1,
     .high = 1e7,
     .unset = "16384",
     .meaning = "codes of each codebook"},
    {.name = "from",
     .type = OPTION_STRING,
     .target = &from_path,
     .argument = "FILE",
     .unset = "everything is fresh",
     .meaning = "take the tensors that this file holds, such as a trained 2-D auto-encoder's"},
    {.name = "seed",
     .type = OPTION_INT,
     .target = &seed,
     .argument = "S",
     .low = 0,
     .high = 9e15,
     .meaning = "seed of the random numbers"},
    FILTER_OPTIONS,
    {0},
};

static const struct program program = {
    .name = "init-weights",
    .purpose = "make fresh weights of a part of the cascade",
    .operands = "autoencoder2d|nhae|ldm3d|refiner|multislice|discriminator|inception",
    .details = "Writes a safetensors file with the authors' tensor names, with PyTorch's default "
               "initial distributions; the latent super-resolution of nhae starts as a linear "
               "stretch, and inception has He's distribution, so that features keep their size. "
               "-o is required. Without options the sizes are the paper's.",
    .example = "init-weights ldm3d --width 32 --mult 1,2,2 --attention 2,4 --groups 8 -o "
               "ldm3d.safetensors",
    .options = options,
};

static struct filter filter;

static void set_part(const char *name)
{
    int part = 0;
    while (fresh_parts[part] && strcmp(fresh_parts[part], name))
        part++;
    if (!fresh_parts[part])
        filter_fail(&filter, "%s is no part; parts are %s", name, program.operands);
    settings.part = (enum fresh_part)part;
}

static void set_lists(void)
{
    _Static_assert(sizeof settings.mult == sizeof mult.extent &&
                       sizeof settings.attention == sizeof attention.extent,
                   "a level for each extent that an option may have");
    settings.mults = mult.rank;
    memcpy(settings.mult, mult.extent, sizeof settings.mult);
    if (attention.rank) {
        settings.attentions = attention.extent[0] ? attention.rank : 0;
        memcpy(settings.attention, attention.extent, sizeof settings.attention);
    }
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (!filter_settings.output)
        filter_fail(&filter, "give a file with -o");
    set_part(filter.file[0]);
    set_lists();
    settings.seed = (uint64_t)seed;
    struct weights *weights;
    filter_check(&filter, fresh_declare(&weights, &settings, &filter.error));
    filter_detail(&filter, "%.3f M parameters", (double)weights_parameters(weights) * 1e-6);
    filter_check(&filter, fresh_write(weights, settings.seed, from_path, filter.command_line,
                                      filter_settings.output, &filter.error));
    weights_close(weights);
    return filter_finish(&filter);
}
