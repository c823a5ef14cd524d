/* read-octa500 - the data set OCTA-500: volumes, layer surfaces, en-face labels.
 *   operand: its folder    stdout: volume (D,H,W) u1, surfaces (6,D,W) f4 or en-face map (D,W) u1
 *   read-octa500 OCTA-500 --split train | resize --to 512,512,512 > volumes.npy */
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/scans/octa500.h"
#include "lib/scans/octa500_read.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const splits[] = {"train", "test", NULL};
static const char *const fields[] = {"6mm", "3mm", NULL};
static const char *const modalities[] = {"oct", "octa", NULL};

static const char *ids;
static int split = -1, field = -1, labels = -1; /* not given */
static int modality, turn = EN_FACE_FLIP;

/* clang-format off */
static const struct option options[] = {
    {.name = "ids", .type = OPTION_STRING, .target = &ids, .argument = "LIST",
     .unset = "all of the field that are there", .meaning = "scans, such as 10001-10010,10305"},
    {.name = "split", .type = OPTION_CHOICE, .target = &split, .choices = splits, .unset = "both",
     .meaning = "the scans that CA-LDM's authors train or test on, of 6mm"},
    {.name = "fov", .type = OPTION_CHOICE, .target = &field, .choices = fields,
     .unset = "6mm, or that of the ids", .meaning = "field of view"},
    {.name = "modality", .type = OPTION_CHOICE, .target = &modality, .choices = modalities,
     .meaning = "structure or flow"},
    {.name = "labels", .type = OPTION_CHOICE, .target = &labels, .choices = octa500_label_names,
     .unset = "none", .meaning = "what to write in place of the volumes"},
    {.name = "turn", .type = OPTION_CHOICE, .target = &turn, .choices = en_face_turns,
     .meaning = "how en-face files are turned to match the volume"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "read-octa500",
    .purpose = "volumes, layers and en-face labels of the data set OCTA-500",
    .output = "volume (D,H,W) u1, surfaces (6,D,W) f4 or en-face map (D,W) u1 for each scan",
    .operands = "FOLDER",
    .details =
        "FOLDER holds OCTA_6mm or OCTA_6M, or these under OCTA-500, with OCT/10001/1.bmp ..., or "
        "OCTA_6M_OCT/10001; labels lie in Label/GT_Layers, GroundTruth/GT_Layers or beside the "
        "volumes, maps in Projection Maps. Spacing follows from the field, 6x2x6 or 3x2x3 mm. In "
        "the history, each array's command ends with # and its id.\n\n"
        "layers are row indices of ILM, IPL, OPL, ISOS, RPE and BM as the .mat files have them. "
        "artery-vein is 1 in arteries, 2 in veins, 3 where they cross; cavf is 0 to 4 as stored; "
        "capillary, faz and large-vessel are 0 and 1. oct-full and octa-ilm-opl are projections, "
        "for a look at how labels lie.\n\n"
        "En-face files are rows and columns, maps are (D,W). flip: the rows are the slices, the "
        "last one first; none: the rows are the slices; transpose: the columns are; left and "
        "right: a quarter turn. Users of the data set report flip; the data set does not say.",
    .example = "read-octa500 OCTA-500 --split train | resize --to 512,512,512 > volumes.npy\n"
               "read-octa500 OCTA-500 --ids 10001 --labels layers > surfaces.npy",
    .options = options,
};

static struct filter filter;
static bool chosen[OCTA500_SCANS];
static char *command_line; /* without the id */

/* Mark the scans to read; how many. Those asked for by id must be there. */
static int64_t choose(const struct octa500_source *source)
{
    int64_t count = 0, missing = 0;
    if (ids && octa500_parse(ids, chosen, &filter.error) < 0)
        filter_fail(&filter, "--ids %s", filter.error.text);
    for (int i = 0; i < OCTA500_SCANS; i++) {
        int id = OCTA500_FIRST + i, of_field = id >= OCTA500_FIRST_3MM;
        bool wanted = ids ? chosen[i] : of_field == (field > 0);
        if (wanted && field >= 0 && field != of_field)
            filter_fail(&filter, "--ids %s: %d is not of %s", ids, id, fields[field]);
        if (wanted && split >= 0 && of_field)
            filter_fail(&filter, "--split: there is one of the scans of 6mm only");
        if (split >= 0)
            wanted = wanted && octa500_tests(id) == (split > 0);
        if (wanted && octa500_find(source, labels, id, &filter.error) < 0) {
            filter_check(&filter, ids ? -1 : 0);
            missing++;
            wanted = false;
        }
        chosen[i] = wanted;
        count += wanted;
    }
    if (count == 0)
        filter_fail(&filter, "%s: no scan of those asked for is there", source->root);
    if (missing > 0)
        filter_note(&filter, "%s: %lld of %lld scans are not there", source->root,
                    (long long)missing, (long long)(missing + count));
    return count;
}

/* The history says which scan an array is, by a comment that a shell passes over. */
static void begin(const struct array *out, int id)
{
    free(filter.command_line);
    if (asprintf(&filter.command_line, "%s # %d", command_line, id) < 0)
        filter_fail(&filter, "out of memory");
    filter_begin(&filter, out);
}

static void write_volume(const struct octa500_source *source, int id, int64_t index, int64_t of)
{
    struct array out;
    struct scan *scan;
    filter_check(&filter, octa500_open_volume(&scan, &out, source, id, &filter.error));
    void *slice = filter_allocate(&filter, array_slice_count(&out), dtype_size(out.dtype));
    out.index = index;
    out.of = of;
    begin(&out, id);
    for (int64_t d = 0; d < out.shape[0]; d++) {
        if (scan_read(scan, slice, &filter.error) < 0)
            filter_check(&filter, error_prefix(&filter.error, "%d", id));
        filter_write(&filter, slice, 1);
    }
    filter_end(&filter);
    free(slice);
    scan_close(scan);
}

static void write_labels(const struct octa500_source *source, int id, int64_t index, int64_t of)
{
    struct array out;
    void *data;
    filter_check(&filter, octa500_read_labels(&out, &data, source, (enum octa500_labels)labels, id,
                                              &filter.error));
    out.index = index;
    out.of = of;
    begin(&out, id);
    filter_write(&filter, data, out.shape[0]);
    filter_end(&filter);
    free(data);
}

int main(int argc, char **argv)
{
    struct progress progress;
    filter_start(&filter, &program, argc, argv);
    const struct octa500_source source = {.root = filter.file[0],
                                          .flow = modality > 0,
                                          .turn = (enum en_face_turn)turn,
                                          .limit = filter_settings.memory};
    int64_t index = 0, count = choose(&source);
    command_line = filter.command_line;
    filter.command_line = NULL;
    progress_start(&progress, program.name, "scans", count, filter_settings.quiet);
    for (int i = 0; i < OCTA500_SCANS; i++) {
        if (!chosen[i])
            continue;
        if (labels >= 0)
            write_labels(&source, OCTA500_FIRST + i, index++, count);
        else
            write_volume(&source, OCTA500_FIRST + i, index++, count);
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    free(command_line);
    return filter_finish(&filter);
}
