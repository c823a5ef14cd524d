/* normalize - scans of any type to volumes.
 *   stdin: (D,H,W) of any type    stdout: volume (D,H,W) f4 in [-1,1] or u1
 *   read-volume scan.nii.gz | normalize --percentiles 1,99.5 --to u1 > volume.npy */
#include "lib/core/numbers.h"
#include "lib/io/filter.h"
#include "lib/io/volume.h"
#include "lib/scans/intensity.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const types[] = {"f4", "u1", NULL};
static int type;
static const char *window, *percentiles;
static double bound[2] = {0, 100}; /* values, or percentiles without --window */

/* clang-format off */
static const struct option options[] = {
    {.name = "window", .type = OPTION_STRING, .target = &window, .argument = "LO,HI",
     .unset = "none", .meaning = "values that become -1 and 1; beyond them values are clamped"},
    {.name = "percentiles", .type = OPTION_STRING, .target = &percentiles, .argument = "LO,HI",
     .unset = "0,100: the lowest and highest value",
     .meaning = "the percentiles of each array that become -1 and 1"},
    {.name = "to", .type = OPTION_CHOICE, .target = &type, .choices = types,
     .meaning = "type of the volume; u1 is 0 to 255 for -1 to 1"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "normalize",
    .purpose = "bring the values of scans to the range of a volume",
    .input = "(D,H,W) of any type",
    .output = "volume (D,H,W) f4 in [-1,1], or u1",
    .operands = "[FILE...]",
    .details =
        "Linear. A percentile p is the value of rank floor(p/100*(n-1)) of the n in ascending "
        "order. With --window a slice is held in memory, else an array. A u1 volume needs none of "
        "this; tensor-cast --volume f4 changes its type alone.",
    .example = "read-volume scan.nii.gz | normalize --percentiles 1,99.5 --to u1 > volume.npy\n"
               "read-volume twelve-bit/ | normalize --window 0,4095 > volume.npy",
    .options = options,
};

static struct filter filter;

static void parse_options(void)
{
    const char *name = window ? "window" : "percentiles", *text = window ? window : percentiles;
    if (window && percentiles)
        filter_fail(&filter, "give either --window or --percentiles");
    if (!text)
        return;
    if (numbers_parse(text, 2, bound, &filter.error) < 0)
        filter_fail(&filter, "--%s %s", name, filter.error.text);
    if (!(bound[0] < bound[1]))
        filter_fail(&filter, "--%s %s: LO must be less than HI", name, text);
    if (!window && (bound[0] < 0 || bound[1] > 100))
        filter_fail(&filter, "--%s %s: must be from 0 to 100", name, text);
}

static void check_array(const struct array *in)
{
    char text[128];
    if (in->rank != 3 || (*in->kind && strcmp(in->kind, "volume") != 0))
        filter_fail(&filter, "a volume (D,H,W) is expected, not %s %s",
                    *in->kind ? in->kind : "an array", array_describe(in, text, sizeof text));
    int64_t limit = filter_settings.memory > 0
                        ? filter_settings.memory
                        : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
    if (!window && array_bytes(in) > limit)
        filter_fail(&filter, "%s passes the bound of %lld bytes; --window needs a slice of it only",
                    array_describe(in, text, sizeof text), (long long)limit);
}

static void write_slice(const void *stored, const struct array *in, const double range[2],
                        float *real, uint8_t *bytes)
{
    int64_t count = array_slice_count(in);
    array_to_f32(stored, in->dtype, real, count);
    filter_check(&filter, intensity_map(real, count, range[0], range[1], &filter.error));
    if (type == 1)
        volume_to_u8(real, bytes, count);
    filter_write(&filter, type == 1 ? (void *)bytes : (void *)real, 1);
}

static void normalize(const struct array *in)
{
    struct array out = *in;
    int64_t slices = in->shape[0], count = array_slice_count(in), held = window ? 1 : slices;
    int64_t slice_bytes = count * dtype_size(in->dtype);
    double range[2] = {bound[0], bound[1]};
    char *data = filter_allocate(&filter, held, slice_bytes);
    float *real = filter_allocate(&filter, count, sizeof *real);
    uint8_t *bytes = filter_allocate(&filter, count, 1);
    if (!window) {
        float value[2];
        filter_read(&filter, data, slices);
        filter_check(&filter, intensity_percentiles(data, in->dtype, slices * count, bound, value,
                                                    &filter.error));
        if (!(value[0] < value[1]))
            filter_fail(&filter, "both percentiles are %g; give --window", (double)value[0]);
        range[0] = (double)value[0];
        range[1] = (double)value[1];
        filter_detail(&filter, "%g to -1, %g to 1", range[0], range[1]);
    }
    out.dtype = type == 1 ? DTYPE_U8 : DTYPE_F32;
    strcpy(out.kind, "volume");
    strcpy(out.axes, "DHW");
    filter_begin(&filter, &out);
    for (int64_t d = 0; d < slices; d++) {
        if (window)
            filter_read(&filter, data, 1);
        write_slice(window ? data : data + d * slice_bytes, in, range, real, bytes);
    }
    filter_end(&filter);
    free(data);
    free(real);
    free(bytes);
}

int main(int argc, char **argv)
{
    struct array in;
    filter_start(&filter, &program, argc, argv);
    parse_options();
    while (filter_next(&filter, &in)) {
        check_array(&in);
        normalize(&in);
    }
    return filter_finish(&filter);
}
