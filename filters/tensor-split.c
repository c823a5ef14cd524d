/* tensor-split - arrays cut along their first axis into several.
 *   stdin: any array    stdout: arrays of N slices, or one file each */
#include "lib/io/filter.h"
#include "lib/io/numbered.h"

#include <stdlib.h>
#include <string.h>

static int64_t most = 1;

/* clang-format off */
static const struct option options[] = {
    {.name = "slices", .letter = 'n', .type = OPTION_INT, .target = &most, .argument = "N",
     .low = 1, .high = 9e15, .meaning = "slices of a piece; the last one may have fewer"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-split",
    .purpose = "cut arrays along their first axis into several",
    .input = "any array with an axis",
    .output = "pieces of N slices, one after another; or a file each, with -o piece-%03d.npy",
    .operands = "[FILE...]",
    .details = "Pieces are numbered from 0 through all input arrays. For files, an array is held "
               "in memory, so that a broken input makes none.",
    .example =
        "tensor-split -n 5 z.npy | decode-multislice -w multislice.safetensors > windows.npy\n"
        "tensor-split eye.npy -o slice-%03d.npy",
    .options = options,
};

static struct filter filter;
static const char *pattern; /* of the files, or NULL */

/* Open the file of a piece as the output, and close it. */
static void open_file(int64_t index)
{
    char *name;
    filter_check(&filter, numbered_name(&name, pattern, index, true, &filter.error));
    filter_settings.output = name;
    filter_open_output(&filter);
}

static void close_file(void)
{
    struct stream_writer *writer = filter.output;
    filter.output = NULL;
    if (stream_writer_close(writer, &filter.error))
        filter_fail(&filter, "%s", filter.error.text);
    free((char *)filter_settings.output);
}

/* One piece; data, when there is any, holds its slices already. */
static void write_piece(struct array *piece, const unsigned char *data, void *slice)
{
    if (pattern)
        open_file(piece->index);
    filter_begin(&filter, piece);
    if (data)
        filter_write(&filter, data, piece->shape[0]);
    for (int64_t d = 0; !data && d < piece->shape[0]; d++) {
        filter_read(&filter, slice, 1);
        filter_write(&filter, slice, 1);
    }
    filter_end(&filter);
    if (pattern)
        close_file();
}

int main(int argc, char **argv)
{
    struct array in;
    int64_t pieces = 0;
    filter_start(&filter, &program, argc, argv);
    if (filter_settings.output && strchr(filter_settings.output, '%'))
        pattern = filter_settings.output;
    while (filter_next(&filter, &in)) {
        if (in.rank == 0)
            filter_fail(&filter, "an array without axes cannot be split");
        int64_t slices = in.shape[0], slice_bytes = array_bytes(&in) / slices;
        int64_t held = pattern ? slices : 1;
        unsigned char *data = filter_allocate(&filter, held, slice_bytes);
        if (pattern)
            filter_read(&filter, data, slices);
        struct array piece = in;
        memset(piece.original, 0, sizeof piece.original);
        memset(piece.padded, 0, sizeof piece.padded);
        piece.of = 0;
        for (int64_t d = 0; d < slices; d += most) {
            piece.shape[0] = most < slices - d ? most : slices - d;
            piece.index = pieces++;
            write_piece(&piece, pattern ? data + d * slice_bytes : NULL, data);
        }
        free(data);
    }
    return filter_finish(&filter);
}
