/* read-volume - volumes from whatever they are stored in, told by its content.
 *   operands: folders of slices, pictures, TIFF stacks, NIfTI, NPY    stdout: (D,H,W) as stored
 *   read-volume scans/patient-7/ | normalize | resize --to 512,512,512 > volume.npy */
#include "lib/core/numbers.h"
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/scans/scan.h"

#include <stdlib.h>
#include <string.h>

static const char *const types[] = {"u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", NULL};
static int type = -1; /* not given */
static struct option_shape shape;
static const char *spacing;
static double millimetres[3];
static struct scan_settings settings;

/* clang-format off */
static const struct option options[] = {
    {.name = "spacing", .type = OPTION_STRING, .target = &spacing, .argument = "D,H,W",
     .unset = "what the file says", .meaning = "millimetres from voxel to voxel"},
    {.name = "labels", .type = OPTION_FLAG, .target = &settings.labels,
     .meaning = "u1 values, or the indices of a palette, are labels"},
    {.name = "shape", .type = OPTION_SHAPE, .target = &shape, .argument = "D,H,W", .unset = "none",
     .meaning = "with --type: files are raw numbers, little endian, W the fastest"},
    {.name = "type", .type = OPTION_CHOICE, .target = &type, .choices = types, .unset = "none",
     .meaning = "type of raw numbers"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "read-volume",
    .purpose = "volumes from folders of pictures, TIFF, NIfTI, NPY or raw files",
    .output = "(D,H,W) of the stored type for each volume; u1 is of kind volume or labels",
    .operands = "PATH...",
    .details =
        "What a path holds is told by its content, not by its name. The PNG, BMP, JPEG and TIFF "
        "pictures in a folder are the slices of a volume, in natural order (2.png before 10.png), "
        "of one size and type; other files in it are passed over. A picture by itself is a volume "
        "of one slice. A TIFF stack and a NIfTI series may hold several volumes.\n\n"
        "Values stay as they are stored, 16-bit ones too, which normalize makes a volume of; those "
        "that a NIfTI scales become f4. A gray PNG, JPEG, BMP or TIFF stored in colours is gray; "
        "other colours are refused. In a NIfTI x is W, y is H, z is D and t counts volumes; its "
        "orientation is not looked at. Spacing comes from NIfTI, TIFF and NPY. A file of "
        "tensor-to-tiff comes back as the volume it was.",
    .example = "read-volume patient-7/ | normalize | resize --to 512,512,512 > volume.npy\n"
               "read-volume --shape 97,496,768 --type u1 scan.raw | tensor-view -o scan.png",
    .options = options,
};

static struct filter filter;

static void parse_options(void)
{
    if ((shape.rank > 0) != (type >= 0))
        filter_fail(&filter, "--shape and --type go together");
    if (shape.rank && shape.rank != 3)
        filter_fail(&filter, "--shape has %d extents, not the three of D,H,W", shape.rank);
    settings.raw = shape.rank > 0;
    memcpy(settings.shape, shape.extent, sizeof settings.shape);
    if (settings.raw)
        dtype_from_name(types[type], &settings.dtype);
    settings.limit = filter_settings.memory;
    if (!spacing)
        return;
    if (numbers_parse(spacing, 3, millimetres, &filter.error) < 0)
        filter_fail(&filter, "--spacing %s", filter.error.text);
    for (int i = 0; i < 3; i++)
        if (millimetres[i] <= 0)
            filter_fail(&filter, "--spacing %s: lengths are above 0", spacing);
}

/* End the program with the path before the reason when status is negative. */
static int check(const char *path, int status)
{
    if (status < 0)
        error_prefix(&filter.error, "%s", path);
    return filter_check(&filter, status);
}

/* Look at all paths first: a refusal leaves nothing half done. 0 when a count is not known. */
static int64_t count_volumes(void)
{
    int64_t count = 0;
    bool known = true;
    for (int i = 0; i < filter.files; i++) {
        struct scan *scan;
        check(filter.file[i], scan_open(&scan, filter.file[i], &settings, &filter.error));
        known &= scan_volumes(scan) > 0;
        count += scan_volumes(scan);
        scan_close(scan);
    }
    return known ? count : 0;
}

static void copy_volume(struct scan *scan, const char *path, const struct array *array)
{
    struct progress progress;
    void *slice = filter_allocate(&filter, array_slice_count(array), dtype_size(array->dtype));
    progress_start(&progress, program.name, "slices", array->shape[0], filter_settings.quiet);
    filter_begin(&filter, array);
    for (int64_t d = 0; d < array->shape[0]; d++) {
        check(path, scan_read(scan, slice, &filter.error));
        filter_write(&filter, slice, 1);
        progress_advance(&progress, 1);
    }
    filter_end(&filter);
    progress_finish(&progress);
    free(slice);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    parse_options();
    int64_t index = 0, count = count_volumes();
    for (int i = 0; i < filter.files; i++) {
        const char *path = filter.file[i];
        struct array array;
        struct scan *scan;
        check(path, scan_open(&scan, path, &settings, &filter.error));
        for (; check(path, scan_next(scan, &array, &filter.error)) > 0; index++) {
            if (spacing)
                memcpy(array.spacing, millimetres, sizeof array.spacing);
            if (count != 1) {
                array.index = index;
                array.of = count;
            }
            copy_volume(scan, path, &array);
        }
        scan_close(scan);
    }
    return filter_finish(&filter);
}
