/* tensor-to-nifti - volumes to NIfTI files.
 *   stdin: (D,H,W) of any type    -o: a .nii or .nii.gz file for each
 *   tensor-to-nifti -o eye.nii.gz volume.npy */
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/scans/nifti_write.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct option options[] = {
    {.name = "output", .letter = 'o', .type = OPTION_STRING, .target = &filter_settings.output,
     .argument = "FILE", .required = true, .no_result = true,
     .meaning = "the file to write; compressed where its name ends in .gz"},
    SLICE_MEMORY_OPTION,
    QUIET_OPTION,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-to-nifti",
    .purpose = "volumes to NIfTI files",
    .input = "volume or labels (D,H,W), any type but f2",
    .operands = "[FILE...]",
    .details =
        "W is NIfTI's x, the fastest in memory, H is y, D is z: nibabel shows (W,H,D). Values stay "
        "as they are, spacing is in millimetres, no orientation is claimed. A NIfTI-1 file, or "
        "NIfTI-2 where an extent passes 32767. Several arrays go to FILE with -000, -001, ... "
        "before its extension, or to the names that a %d or %03d in FILE makes. read-volume reads "
        "it back.",
    .example =
        "decode-multislice -w multislice.safetensors z_hr.npy | tensor-to-nifti -o eye.nii.gz",
    .options = options,
};

static struct filter filter;

/* Write the file of array `index`; its name is final only when it is known whether it is alone. */
static struct nifti_writer *write_volume(const struct array *in, int64_t index)
{
    struct nifti_writer *writer;
    struct progress progress;
    char text[128];
    if (in->rank != 3 || strcmp(in->kind, "surfaces") == 0)
        filter_fail(&filter, "a volume (D,H,W) is expected, not %s %s",
                    *in->kind ? in->kind : "an array", array_describe(in, text, sizeof text));
    char *name = filter_output_name(&filter, index, index > 0);
    filter_check_output(&filter, nifti_writer_open(&writer, name, in, &filter.error));
    free(name);
    void *slice = filter_allocate(&filter, array_slice_count(in), dtype_size(in->dtype));
    progress_start(&progress, program.name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read(&filter, slice, 1);
        filter_check_output(&filter, nifti_writer_write(writer, slice, &filter.error));
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    free(slice);
    return writer;
}

static void close_file(struct nifti_writer *writer, int64_t index, bool several)
{
    char *name = filter_output_name(&filter, index, several);
    filter_check_output(&filter, nifti_writer_close(writer, name, &filter.error));
    free(name);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (strcmp(filter_settings.output, "-") == 0)
        filter_fail(&filter, "it writes files; use -o FILE");
    struct array in;
    struct nifti_writer *writer = NULL;
    int64_t count = 0;
    for (; filter_next(&filter, &in); count++) {
        if (writer)
            close_file(writer, count - 1, true);
        writer = write_volume(&in, count);
    }
    close_file(writer, count - 1, count > 1);
    return filter_finish(&filter);
}
