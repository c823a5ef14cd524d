/* octmetrics - measures of volumes, labels and surfaces, and of sets of volumes.
 *   stdin or files: volume (D,H,W) u1|f4, labels (D,H,W) u1, surfaces (S,D,W) f4
 *   stdout: text, JSON or TSV
 *   tiff-to-tensor eye.tif | octmetrics tv */
#include "lib/metrics/command.h"

#include <string.h>

static bool json, tsv;
static struct command_settings settings = {
    .scales = SIMILARITY_SCALES, .pairs = 1000, .subsets = 100, .subset_size = 1000};
static struct option_shape factor = {1, {4}};

/* clang-format off */
static const struct option options[] = {
    {.name = "json", .type = OPTION_FLAG, .target = &json,
     .meaning = "a JSON object for each array; null stands for NaN and infinity"},
    {.name = "tsv", .type = OPTION_FLAG, .target = &tsv,
     .meaning = "one line for a measure of all arrays together"},
    {.name = "background", .type = OPTION_FLAG, .target = &settings.background,
     .meaning = "count class 0 in dice and iou too"},
    {.name = "tv", .type = OPTION_CHOICE, .target = &settings.variation,
     .choices = total_variation_kinds, .meaning = "of tv: which definition"},
    {.name = "scales", .type = OPTION_INT, .target = &settings.scales, .argument = "N", .low = 2,
     .high = SIMILARITY_SCALES, .meaning = "of ms-ssim: scales, fewer for small slices"},
    {.name = "pairs", .type = OPTION_INT, .target = &settings.pairs, .argument = "N", .low = 1,
     .high = 1e9, .meaning = "of ms-ssim-diversity: pairs to draw where there are more"},
    {.name = "features", .type = OPTION_CHOICE, .target = &settings.features,
     .choices = command_features,
     .meaning = "of fid and kid: of which network; auto is the one that the weights are of"},
    {.name = "weights", .letter = 'w', .type = OPTION_STRING, .target = &filter_settings.weights,
     .argument = "FILE", .unset = "none; fid, kid and lpips take one",
     .meaning = "safetensors file: of fid and kid with a 2-D encoder (nhae, autoencoder2d) or "
                "Inception-v3, of lpips with VGG-16 and LPIPS' linear layers"},
    {.name = "ema", .type = OPTION_FLAG, .target = &filter_settings.ema,
     .meaning = "of fid and kid: use the averaged (EMA) weights of the file"},
    {.name = "plane", .type = OPTION_CHOICE, .target = &settings.plane, .choices = command_planes,
     .meaning = "of fid and kid: which slices"},
    {.name = "bootstrap", .type = OPTION_INT, .target = &settings.bootstrap, .argument = "N",
     .low = 0, .high = 100000, .unset = "no interval",
     .meaning = "of fid and kid: 2.5 % and 97.5 % quantiles over N sets drawn with replacement"},
    {.name = "subsets", .type = OPTION_INT, .target = &settings.subsets, .argument = "N", .low = 1,
     .high = 100000, .meaning = "of kid: how many subsets it is the mean over"},
    {.name = "subset-size", .type = OPTION_INT, .target = &settings.subset_size, .argument = "N",
     .low = 2, .high = 1e6, .meaning = "of kid: slices of a subset, at most those of a set"},
    {.name = "seed", .type = OPTION_INT, .target = &settings.seed, .argument = "S", .low = 0,
     .high = 9e15, .meaning = "of ms-ssim-diversity, kid and --bootstrap: of what is drawn"},
    {.name = "factor", .letter = 'f', .type = OPTION_SHAPE, .target = &factor,
     .argument = "F|FD,FH,FW",
     .meaning = "of nearest: how much smaller the volumes are that it compares; 1 is as they are"},
    DEVICE_OPTION,
    FILTER_MANNERS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "octmetrics",
    .purpose = "measure volumes, labels and surfaces, and sets of volumes",
    .input = "volume (D,H,W) u1 or f4, labels (D,H,W) u1 (dice, iou), surfaces (S,D,W) f4 (mad)",
    .operands = "MEASURE [FILE...]",
    .details =
        "tv and the differences take any files, or stdin, ms-ssim-diversity any files; the others "
        "compare A with B, one of which may be -. A folder stands for the files *.npy in it, in "
        "the order of their names. docs/measures has a page for each measure: formula, source, "
        "conventions, and what it does not tell.\n\n"
        "  tv                     total variation of the volume scaled to [0,1]\n"
        "  slice-difference       of neighbouring slices along D, mean over the voxels\n"
        "  projection-difference  the same of their means over H: stripes\n"
        "  dice                   of each class that A or B holds but 0, and their mean\n"
        "  iou                    intersection over union, in the same way\n"
        "  mad                    mean absolute distance in pixels of each surface, their mean\n"
        "  psnr                   in dB, peak 255, over the whole volume\n"
        "  ssim                   mean over the slices, window 11x11\n"
        "  ms-ssim                the same over five scales; slices of 176x176 and more\n"
        "  lpips                  distance of VGG-16 features, mean over the slices\n"
        "  ms-ssim-diversity      mean ms-ssim over pairs of volumes of one set\n"
        "  fid                    Frechet distance of all slices of A to those of B\n"
        "  kid                    kernel inception distance of the same\n"
        "  nearest                distance of each volume of A to the nearest of B\n\n"
        "fid and kid compare features of slices, in fp32: of Inception-v3 in the form in common "
        "use, slices resized to 299x299, or of the cascade's own 2-D encoder. The line says "
        "which, fid-inception-intra or fid-encoder-inter; only numbers of the same weights "
        "compare. intra is over the slices (H,W) along D, inter over those along H and W, (D,W) "
        "and (H,D), all together; for inter one volume is held in memory. kid and --bootstrap "
        "keep the features of all slices, 8 bytes each.\n\n"
        "A line of text is the measure, the number of the class or surface or \"mean\", and the "
        "value; with several arrays lines with their mean, the sample standard deviation and the "
        "number of arrays follow. Classes that neither A nor B holds, and surfaces without a "
        "position that is finite in both, have no value and do not count in means. Of fid and kid "
        "the numbers of slices follow the value; of nearest the lines are the number of the "
        "volume in A, the distance, the number in B of the nearest and the file that holds it. "
        "Values outside of [-1,1] count as they are. With --tsv a line is the measure, the value "
        "(the mean over the arrays), the sample standard deviation over them, and how many arrays "
        "(fid, kid: slices, ms-ssim-diversity: pairs) of A and of B there were; what there is not "
        "is left empty; classes and surfaces are measures of their own, dice-1. With --bootstrap "
        "the ends of the interval are two columns more.",
    .example = "tiff-to-tensor eye.tif | octmetrics tv\n"
               "octmetrics dice --json truth.npy labels.npy\n"
               "octmetrics ms-ssim-diversity --pairs 100 --seed 1 synthetic/\n"
               "octmetrics fid -w nhae.safetensors synthetic.npy scans/\n"
               "octmetrics kid -w inception.safetensors synthetic.npy scans/",
    .options = options,
};

static enum report_format format(struct filter *filter)
{
    if (json && tsv)
        filter_fail(filter, "--json and --tsv exclude each other");
    return json ? REPORT_JSON : tsv ? REPORT_TSV : REPORT_TEXT;
}

static void set_factor(struct filter *filter)
{
    if (factor.rank != 1 && factor.rank != 3)
        filter_fail(filter, "--factor has %d numbers, not one or three", factor.rank);
    for (int i = 0; i < 3; i++)
        settings.factor[i] = factor.extent[factor.rank == 1 ? 0 : i];
}

int main(int argc, char **argv)
{
    static struct filter filter;
    filter_start(&filter, &program, argc, argv);
    const char *name = filter.file[0];
    int kind = 0;
    settings.format = format(&filter);
    set_factor(&filter);
    filter.file++;
    filter.files--;
    while (measure_names[kind] && strcmp(measure_names[kind], name) != 0)
        kind++;
    if (measure_names[kind])
        command_measure(&filter, (enum measure_kind)kind, &settings);
    else if (strcmp(name, "ms-ssim-diversity") == 0)
        command_diversity(&filter, &settings);
    else if (strcmp(name, "fid") == 0)
        command_fid(&filter, &settings);
    else if (strcmp(name, "kid") == 0)
        command_kid(&filter, &settings);
    else if (strcmp(name, "nearest") == 0)
        command_nearest(&filter, &settings);
    else
        filter_fail(&filter,
                    "%s: no such measure; there are tv, slice-difference, projection-difference, "
                    "dice, iou, mad, psnr, ssim, ms-ssim, lpips, ms-ssim-diversity, fid, kid, "
                    "nearest",
                    name);
    return filter_finish(&filter);
}
