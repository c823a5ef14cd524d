/* tensor-cast - another element type.
 *   stdin: any array    stdout: the same shape, another type */
#include "lib/io/filter.h"
#include "lib/io/volume.h"

#include <stdlib.h>
#include <string.h>

static const char *const types[] = {"f4", "f2", "f8", "u1", "i1", "u2", "i2",
                                    "u4", "i4", "u8", "i8", "b1", NULL};
static const char *const volume_types[] = {"u1", "f4", NULL};
static int type = -1, volume_type = -1; /* not given */
static double scale = 1, offset;

/* clang-format off */
static const struct option options[] = {
    {.name = "to", .type = OPTION_CHOICE, .target = &type, .choices = types, .unset = "none",
     .meaning = "the type; values stay"},
    {.name = "scale", .type = OPTION_REAL, .target = &scale, .argument = "X",
     .meaning = "with --to: multiply the values before"},
    {.name = "offset", .type = OPTION_REAL, .target = &offset, .argument = "Y",
     .meaning = "with --to: add to the multiplied values"},
    {.name = "volume", .type = OPTION_CHOICE, .target = &volume_type, .choices = volume_types,
     .unset = "none", .meaning = "convert a volume between u1, 0 to 255, and f4, -1 to 1"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-cast",
    .purpose = "convert arrays to another element type",
    .input = "any array",
    .output = "the same shape, of the type asked for",
    .operands = "[FILE...]",
    .details = "Reals round to nearest, and so do integers, which stop at their bounds; NaN has no "
               "integer and is refused. Computed in double precision: 64-bit integers beyond 2^53 "
               "are rounded unless the type stays.",
    .example = "tensor-cast --volume u1 eye.npy > eye-u1.npy\n"
               "tensor-cast --to f4 --scale 0.5 --offset -1 a.npy > b.npy",
    .options = options,
};

static struct filter filter;

/* Elements of the input's type to the output's; NaN that the output cannot hold are counted. */
static int64_t convert(const struct array *in, const struct array *out, const void *from,
                       double *value, void *to, int64_t count)
{
    array_to_f64(from, in->dtype, value, count);
    for (int64_t i = 0; i < count; i++)
        value[i] = value[i] * scale + offset;
    return array_from_f64(value, out->dtype, to, count);
}

static void cast_array(const struct array *in, const struct array *out)
{
    int64_t slices = array_slices(in), batch = array_batch(in, slices);
    int64_t count = batch * array_slice_count(in);
    bool same = in->dtype == out->dtype && scale == 1 && offset == 0;
    void *from = filter_allocate(&filter, count, dtype_size(in->dtype));
    void *to = filter_allocate(&filter, count, dtype_size(out->dtype));
    double *value = filter_allocate(&filter, same ? 0 : count, sizeof *value);
    for (int64_t d = 0; d < slices; d += batch) {
        batch = array_batch(in, slices - d);
        filter_read(&filter, from, batch);
        if (!same && convert(in, out, from, value, to, batch * array_slice_count(in)))
            filter_fail(&filter, "it holds NaN, which %s cannot", dtype_name(out->dtype));
        filter_write(&filter, same ? from : to, batch);
    }
    free(from);
    free(to);
    free(value);
}

static void cast_volume(const struct array *in, const struct array *out)
{
    int64_t count = array_slice_count(in);
    float *real = filter_allocate(&filter, count, sizeof *real);
    uint8_t *bytes = filter_allocate(&filter, count, 1);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        if (in->dtype == DTYPE_U8) {
            filter_read(&filter, bytes, 1);
            volume_to_f32(bytes, DTYPE_U8, real, count);
        } else {
            stream_reader_refuse_nan(filter.input, out->dtype == DTYPE_U8);
            filter_read_f32(&filter, real, 1);
            volume_to_u8(real, bytes, count);
        }
        filter_write(&filter, out->dtype == DTYPE_U8 ? (void *)bytes : (void *)real, 1);
    }
    free(real);
    free(bytes);
}

int main(int argc, char **argv)
{
    struct array in, out;
    filter_start(&filter, &program, argc, argv);
    bool volume = volume_type >= 0;
    if (volume == (type >= 0))
        filter_fail(&filter, "give either --to or --volume");
    if (volume && (scale != 1 || offset != 0))
        filter_fail(&filter, "--scale and --offset go with --to");
    while (filter_next(&filter, &in)) {
        if (volume)
            filter_expect_volume(&filter, &in);
        out = in;
        dtype_from_name(volume ? volume_types[volume_type] : types[type], &out.dtype);
        filter_begin(&filter, &out);
        if (volume)
            cast_volume(&in, &out);
        else
            cast_array(&in, &out);
        filter_end(&filter);
    }
    return filter_finish(&filter);
}
