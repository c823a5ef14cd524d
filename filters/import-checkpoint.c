/* import-checkpoint - PyTorch checkpoints as weight files, without Python.
 *   import-checkpoint --part refiner last.ckpt -o refiner.safetensors */
#include "lib/checkpoint/import.h"
#include "lib/io/filter.h"

#include <stdlib.h>

static int part;
static struct import_settings settings;

/* clang-format off */
static const struct option options[] = {
    {.name = "part", .type = OPTION_CHOICE, .target = &part, .choices = part_names,
     .required = true, .meaning = "what to take from the checkpoint"},
    {.name = "ema", .type = OPTION_FLAG, .target = &settings.ema,
     .meaning = "averaged (EMA) weights take the place of those that they are averages of"},
    {.name = "heads", .type = OPTION_INT, .target = &settings.heads, .argument = "N", .low = 1,
     .high = 1024, .unset = "8, the authors'", .meaning = "U-Nets: attention heads"},
    {.name = "groups", .type = OPTION_INT, .target = &settings.groups, .argument = "N", .low = 1,
     .high = 1024, .unset = "32, the authors'", .meaning = "groups of the group norms"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "import-checkpoint",
    .purpose = "turn PyTorch checkpoints into weight files",
    .operands = "FILE...",
    .details =
        "Reads what torch.save writes (.ckpt, .pt, .pth; zip or legacy): a state dict, or the one "
        "that Lightning keeps beside its own state. Nothing in the file is executed; a state dict "
        "with anything but tensors and plain data, or a file that names what runs programs or "
        "code, is refused. Only the tensors of the part are written, after their names and shapes "
        "are checked; types stay, but F64 becomes F32. Averages (model_ema.) are kept beside the "
        "weights, where filters find them with --ema; with --ema here they replace them. Several "
        "files are taken together: lpips is torchvision's VGG-16 and the linear layers of LPIPS. "
        "-v lists what other names the file holds.",
    .example = "import-checkpoint --part refiner last.ckpt -o refiner.safetensors\n"
               "import-checkpoint --part lpips vgg16-397923af.pth vgg.pth -o lpips.safetensors",
    .options = options,
};

static void list_names(struct filter *filter, const struct checkpoint *checkpoint)
{
    char name[256];
    int64_t index = 0;
    while (checkpoint_foreign(checkpoint, &index, name, sizeof name))
        filter_detail(filter, "%s: names %s, which is not read", checkpoint->path, name);
}

int main(int argc, char **argv)
{
    struct filter filter;
    struct import_report report;
    filter_start(&filter, &program, argc, argv);
    settings.part = (enum part)part;
    settings.memory = filter_settings.memory;
    settings.command = filter.command_line;
    struct checkpoint *checkpoint = filter_allocate(&filter, filter.files, sizeof *checkpoint);
    for (int i = 0; i < filter.files; i++) {
        filter_check(&filter, checkpoint_open(&checkpoint[i], filter.file[i], &filter.error));
        list_names(&filter, &checkpoint[i]);
    }
    const char *path = filter_settings.output ? filter_settings.output : "-";
    filter_check(&filter, import_checkpoints(&settings, checkpoint, filter.files, path, &report,
                                             &filter.error));
    filter_detail(&filter, "%lld tensors, %.1f MB, %lld of them averages; %lld left out",
                  (long long)report.tensors, (double)report.bytes * 1e-6,
                  (long long)report.averages, (long long)report.left_out);
    for (int i = 0; i < filter.files; i++)
        checkpoint_close(&checkpoint[i]);
    free(checkpoint);
    return filter_finish(&filter);
}
