/* tensor-to-tiff - volumes to multi-page TIFF files, a slice a page.
 *   stdin: volume (D,H,W) u1|f4, or labels (D,H,W) u1    -o: a TIFF file for each */
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/io/tiff.h"

#include <stdlib.h>
#include <string.h>

static const char *const types[] = {"u1", "u2", "f4", NULL};
static const enum dtype type_dtype[] = {DTYPE_U8, DTYPE_U16, DTYPE_F32};

static int type;
static int compression = TIFF_DEFLATE;
static bool no_crop;

/* clang-format off */
static const struct option options[] = {
    {.name = "output", .letter = 'o', .type = OPTION_STRING, .target = &filter_settings.output,
     .argument = "FILE", .required = true, .no_result = true, .meaning = "the file to write"},
    {.name = "type", .type = OPTION_CHOICE, .target = &type, .choices = types,
     .meaning = "samples: u1 0...255, u2 0...65535 or f4 -1...1 for values from -1 to 1"},
    {.name = "compression", .type = OPTION_CHOICE, .target = &compression,
     .choices = tiff_compressions, .meaning = "how pages are compressed, without loss"},
    {.name = "no-crop", .type = OPTION_FLAG, .target = &no_crop,
     .meaning = "keep what was padded around the original volume"},
    SLICE_MEMORY_OPTION,
    QUIET_OPTION,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-to-tiff",
    .purpose = "volumes to multi-page TIFF files",
    .input = "volume (D,H,W) u1 or f4 in [-1,1], or labels (D,H,W) u1",
    .operands = "[FILE...]",
    .details =
        "A slice is a page; values beyond [-1,1] are clamped, and a note says "
        "how many. Several arrays go to FILE with -000, -001, ... before its extension, or to the "
        "names that a %d or %03d in FILE makes. A file that may pass 4 GB is a BigTIFF.\n\n"
        "ImageJ reads number of slices, spacing and unit; the history is in the description too, "
        "and tiff-to-tensor reads it.",
    .example = "decode-multislice -w multislice.safetensors z_hr.npy | tensor-to-tiff -o eye.tif",
    .options = options,
};

static struct filter filter;

/* Begin the file of array `index`; its name is final only when it is known whether it is alone. */
static struct tiff_writer *open_file(const struct array *in, int64_t index)
{
    struct array volume = *in;
    struct tiff_writer *writer;
    array_add_history(&volume, filter.command_line);
    if (volume.dtype != DTYPE_U8)
        volume.dtype = DTYPE_F32;
    char *name = filter_output_name(&filter, index, index > 0);
    filter_check_output(&filter, tiff_writer_open(&writer, name, &volume, type_dtype[type],
                                                  (enum tiff_compression)compression, !no_crop,
                                                  &filter.error));
    free(name);
    return writer;
}

static void write_slices(struct tiff_writer *writer, const struct array *in)
{
    struct progress progress;
    int64_t slices = array_slices(in);
    void *slice = filter_allocate(&filter, array_slice_count(in), sizeof(float));
    progress_start(&progress, program.name, "slices", slices, filter_settings.quiet);
    for (int64_t d = 0; d < slices; d++) {
        if (in->dtype == DTYPE_U8)
            filter_read(&filter, slice, 1);
        else
            filter_read_f32(&filter, slice, 1);
        filter_check_output(&filter, tiff_writer_write(writer, slice, &filter.error));
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    free(slice);
}

static void close_file(struct tiff_writer *writer, int64_t index, bool several)
{
    char *name = filter_output_name(&filter, index, several);
    if (tiff_writer_clamped(writer) > 0)
        filter_note(&filter, "%s: %lld voxels outside of [-1,1] were clamped", name,
                    (long long)tiff_writer_clamped(writer));
    filter_check_output(&filter, tiff_writer_close(writer, name, &filter.error));
    free(name);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (strcmp(filter_settings.output, "-") == 0)
        filter_fail(&filter, "a TIFF cannot be written to a pipe; use -o FILE");
    filter_open_input(&filter);
    stream_reader_refuse_nan(filter.input, true);
    struct array in;
    struct tiff_writer *writer = NULL;
    int64_t count = 0;
    for (; filter_next(&filter, &in); count++) {
        if (writer)
            close_file(writer, count - 1, true);
        if (strcmp(in.kind, "labels") != 0)
            filter_expect_volume(&filter, &in);
        writer = open_file(&in, count);
        write_slices(writer, &in);
    }
    close_file(writer, count - 1, count > 1);
    return filter_finish(&filter);
}
