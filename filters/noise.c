/* noise - latents of standard normal numbers, where a synthesis starts.
 *   stdout: latent (D,C,H,W) f4 */
#include "lib/core/random.h"
#include "lib/io/filter.h"

#include <stdlib.h>
#include <string.h>

static struct option_shape shape;
static int64_t seed, count = 1, first;

/* clang-format off */
static const struct option options[] = {
    {.name = "shape", .type = OPTION_SHAPE, .target = &shape, .argument = "D,C,H,W",
     .required = true, .meaning = "slices, channels, rows and columns of a latent"},
    {.name = "seed", .type = OPTION_INT, .target = &seed, .argument = "S", .low = 0, .high = 9e15,
     .meaning = "seed of the random numbers"},
    {.name = "count", .letter = 'n', .type = OPTION_INT, .target = &count, .argument = "COUNT",
     .low = 1, .high = 1e9, .meaning = "how many latents to make"},
    {.name = "first", .type = OPTION_INT, .target = &first, .argument = "INDEX", .low = 0,
     .high = 1e9, .meaning = "index of the first one"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "noise",
    .purpose = "make latents of standard normal numbers",
    .output = "latent (D,C,H,W) f4",
    .details = "The numbers of a slice follow from the seed, the index of its latent and its place "
               "alone: one latent of a thousand can be made again with --first.",
    .example = "noise --shape 64,4,64,64 --seed 7 | diffuse3d -w ldm3d.safetensors > z.npy",
    .options = options,
};

static struct filter filter;

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (shape.rank != 4)
        filter_fail(&filter, "--shape has %d extents, not the four of D,C,H,W", shape.rank);

    struct array out = {.dtype = DTYPE_F32, .rank = 4, .kind = "latent", .axes = "DCHW"};
    memcpy(out.shape, shape.extent, sizeof out.shape);
    int64_t slice_count = array_slice_count(&out);
    float *slice = filter_allocate(&filter, slice_count, sizeof *slice);
    out.of = first + count;
    for (out.index = first; out.index < out.of; out.index++) {
        filter_begin(&filter, &out);
        for (int64_t d = 0; d < out.shape[0]; d++) {
            struct random_key key = {
                .seed = (uint64_t)seed, .stage = RANDOM_NOISE, .array = out.index, .slice = d};
            random_normal(&key, slice, slice_count);
            filter_write(&filter, slice, 1);
        }
        filter_end(&filter);
    }
    free(slice);
    return filter_finish(&filter);
}
