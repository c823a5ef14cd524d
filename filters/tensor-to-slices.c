/* tensor-to-slices - volumes to folders of PNG slices.
 *   stdin: (D,H,W) u1, u2 or f4 in [-1,1]    -o: a folder for each
 *   tensor-to-slices -o slices volume.npy && read-volume slices | tensor-diff volume.npy - */
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/io/output_folder.h"
#include "lib/io/png.h"
#include "lib/io/volume.h"

#include <stdlib.h>
#include <string.h>

static const char *const types[] = {"u1", "u2", NULL};
static int type;

/* clang-format off */
static const struct option options[] = {
    {.name = "output", .letter = 'o', .type = OPTION_STRING, .target = &filter_settings.output,
     .argument = "FOLDER", .required = true, .no_result = true,
     .meaning = "the folder to make; it may be there when it is empty"},
    {.name = "type", .type = OPTION_CHOICE, .target = &type, .choices = types,
     .meaning = "samples of f4 volumes: u1 0...255 or u2 0...65535 for values from -1 to 1"},
    SLICE_MEMORY_OPTION,
    QUIET_OPTION,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-to-slices",
    .purpose = "volumes to folders of PNG slices",
    .input = "volume f4 in [-1,1], or (D,H,W) u1 or u2",
    .operands = "[FILE...]",
    .details =
        "Slices are 000.png, 001.png, ..., with more digits where there are more than 1000; u1 "
        "becomes 8 bits, u2 16 bits, both as they are, so that read-volume gives them back bit for "
        "bit. Values of f4 beyond [-1,1] are clamped; padding stays, unless crop took it off. "
        "Several arrays go to FOLDER-000, FOLDER-001, ..., or to the names that a %d or %03d in "
        "FOLDER makes. A folder has its name only when it is complete. PNG has no place for the "
        "spacing along D; tensor-to-tiff and tensor-to-nifti keep it.",
    .example = "tensor-to-slices -o slices volume.npy\n"
               "crop padded.npy | tensor-to-slices --type u2 -o slices",
    .options = options,
};

static struct filter filter;
static void *encoded; /* a PNG file */
static size_t room;

/* Read a slice as the samples of a PNG. */
static void read_samples(const struct array *in, enum dtype dtype, float *real, void *samples)
{
    int64_t count = array_slice_count(in);
    if (in->dtype == dtype) {
        filter_read(&filter, samples, 1);
        return;
    }
    filter_read_f32(&filter, real, 1);
    if (dtype == DTYPE_U8)
        volume_to_u8(real, samples, count);
    else
        volume_to_u16(real, samples, count);
}

/* Write the folder of array `index`; its name is final only when it is known whether it is alone.
 */
static struct output_folder *write_volume(const struct array *in, int64_t index)
{
    struct output_folder *folder;
    struct progress progress;
    bool whole = in->rank == 3 && (in->dtype == DTYPE_U8 || in->dtype == DTYPE_U16) &&
                 strcmp(in->kind, "surfaces") != 0;
    enum dtype dtype = whole ? in->dtype : type == 0 ? DTYPE_U8 : DTYPE_U16;
    if (!whole)
        filter_expect_volume(&filter, in);
    char *name = filter_output_name(&filter, index, index > 0);
    filter_check_output(&filter,
                        output_folder_open(&folder, name, in->shape[0], ".png", &filter.error));
    free(name);
    int64_t count = array_slice_count(in);
    float *real = filter_allocate(&filter, whole ? 0 : count, sizeof *real);
    void *samples = filter_allocate(&filter, count, dtype_size(dtype));
    progress_start(&progress, program.name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        size_t size;
        read_samples(in, dtype, real, samples);
        filter_check_output(&filter, png_encode(&encoded, &room, &size, in->shape[1], in->shape[2],
                                                1, dtype, samples, &filter.error));
        filter_check_output(&filter, output_folder_add(folder, encoded, size, &filter.error));
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    free(real);
    free(samples);
    return folder;
}

static void close_folder(struct output_folder *folder, int64_t index, bool several)
{
    char *name = filter_output_name(&filter, index, several);
    filter_check_output(&filter, output_folder_close(folder, name, &filter.error));
    free(name);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    filter_open_input(&filter);
    stream_reader_refuse_nan(filter.input, true);
    struct array in;
    struct output_folder *folder = NULL;
    int64_t count = 0;
    for (; filter_next(&filter, &in); count++) {
        if (folder)
            close_folder(folder, count - 1, true);
        folder = write_volume(&in, count);
    }
    close_folder(folder, count - 1, count > 1);
    free(encoded);
    return filter_finish(&filter);
}
