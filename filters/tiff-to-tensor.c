/* tiff-to-tensor - multi-page TIFF files to volumes, a page a slice.
 *   operands: TIFF files    stdout: volume (D,H,W) u1|f4 for each, or labels (D,H,W) u1 */
#include "lib/core/numbers.h"
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/io/tiff.h"

#include <stdlib.h>

static struct tiff_mapping mapping;
static const char *range;

/* clang-format off */
static const struct option options[] = {
    {.name = "range", .type = OPTION_STRING, .target = &range, .argument = "LO,HI",
     .unset = "the range of 16-bit samples",
     .meaning = "sample values that stand for -1 and 1; beyond them samples are clamped"},
    {.name = "labels", .type = OPTION_FLAG, .target = &mapping.labels,
     .meaning = "8-bit samples, palette indices too, are labels"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tiff-to-tensor",
    .purpose = "multi-page TIFF files to volumes",
    .output = "volume (D,H,W) u1 or f4, or labels (D,H,W) u1, for each file",
    .operands = "FILE...",
    .details =
        "A page is a slice. Grayscale of any compression that libtiff reads, strips or tiles, also "
        "BigTIFF and ImageJ's layout beyond 4 GB; the frames of an ImageJ hyperstack are volumes. "
        "8-bit samples stay u1. 16-bit samples become f4, their type's range mapped to [-1,1]. "
        "32-bit float samples must lie in [-1,1]. With --range all become f4.\n\n"
        "Spacing comes from ImageJ's description with the resolution, or from a resolution in "
        "centimetres. A file of tensor-to-tiff gives back kind, spacing and history too.\n\n"
        "A TIFF is read from a file, not from a pipe; - is stdin when that is a file.",
    .example = "tiff-to-tensor eye.tif | tensor-info\n"
               "tiff-to-tensor --range 0,4095 twelve-bit.tif > volume.npy",
    .options = options,
};

static struct filter filter;

static struct tiff_reader *open_file(const char *path)
{
    struct tiff_reader *reader;
    if (tiff_reader_open(&reader, path, &mapping, filter_settings.memory, &filter.error) < 0)
        filter_check(&filter, error_prefix(&filter.error, "%s", path));
    return reader;
}

/* Look at all files first: a refusal leaves nothing half done. */
static int64_t count_volumes(void)
{
    int64_t count = 0;
    for (int i = 0; i < filter.files; i++) {
        struct tiff_reader *reader = open_file(filter.file[i]);
        count += tiff_reader_volumes(reader);
        tiff_reader_close(reader);
    }
    return count;
}

static void convert_volume(struct tiff_reader *reader, const char *path, const struct array *array)
{
    struct progress progress;
    int64_t slices = array_slices(array);
    void *slice = filter_allocate(&filter, array_slice_count(array), dtype_size(array->dtype));
    progress_start(&progress, program.name, "slices", slices, filter_settings.quiet);
    filter_begin(&filter, array);
    for (int64_t d = 0; d < slices; d++) {
        if (tiff_reader_read(reader, slice, &filter.error) < 0)
            filter_check(&filter, error_prefix(&filter.error, "%s", path));
        filter_write(&filter, slice, 1);
        progress_advance(&progress, 1);
    }
    filter_end(&filter);
    progress_finish(&progress);
    free(slice);
}

static void parse_range(void)
{
    double bound[2];
    if (mapping.labels)
        filter_fail(&filter, "--range and --labels exclude each other");
    if (numbers_parse(range, 2, bound, &filter.error) < 0)
        filter_fail(&filter, "--range %s", filter.error.text);
    if (!(bound[0] < bound[1]))
        filter_fail(&filter, "--range %s: LO must be less than HI", range);
    mapping.range = true;
    mapping.low = bound[0];
    mapping.high = bound[1];
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (range)
        parse_range();
    int64_t index = 0, count = count_volumes();
    for (int i = 0; i < filter.files; i++) {
        struct tiff_reader *reader = open_file(filter.file[i]);
        for (int64_t k = 0; k < tiff_reader_volumes(reader); k++, index++) {
            struct array array = *tiff_reader_array(reader);
            if (count > 1) {
                array.index = index;
                array.of = count;
            }
            convert_volume(reader, filter.file[i], &array);
        }
        tiff_reader_close(reader);
    }
    return filter_finish(&filter);
}
