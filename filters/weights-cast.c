/* weights-cast - weight files as inference wants them: smaller, without what training needs. */
#include "lib/io/filter.h"
#include "lib/models/weights_cast.h"

static const char *const types[] = {"f16", "f32", NULL};
static const enum dtype dtypes[] = {DTYPE_F16, DTYPE_F32};
static int type;

/* clang-format off */
static const struct option options[] = {
    {.name = "to", .type = OPTION_CHOICE, .target = &type, .choices = types,
     .meaning = "the type of all weights"},
    {.name = "ema", .type = OPTION_FLAG, .target = &filter_settings.ema,
     .meaning = "averaged (EMA) weights take the place of those that they are averages of"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "weights-cast",
    .purpose = "copy weights in another type, without what only training needs",
    .operands = "FILE",
    .details =
        "Reads and writes safetensors files; -o is required. Names, shapes and metadata stay, and "
        "the history gets a line. The discriminator and the averages stay behind. Weights that "
        "are not finite, or too large for the type, are refused.",
    .example = "weights-cast --ema trained.safetensors -o refiner.safetensors",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    filter_start(&filter, &program, argc, argv);
    if (!filter_settings.output)
        filter_fail(&filter, "give a file with -o");
    filter_check(&filter, weights_cast(filter.file[0], filter_settings.output, dtypes[type],
                                       filter_settings.ema, filter.command_line, &filter.error));
    return filter_finish(&filter);
}
