/* experiment-html - the results of a pipeline as one page for a browser.
 *   files, folders: tables, pictures, training logs, streams, weights    stdout: HTML */
#include "lib/experiment/page.h"
#include "lib/io/filter.h"
#include "lib/io/output.h"

#include <stdlib.h>
#include <string.h>

static struct experiment_page page;

/* clang-format off */
static const struct option options[] = {
    {.name = "title", .type = OPTION_STRING, .target = &page.title, .argument = "TEXT",
     .unset = "the first operand", .meaning = "heading of the page"},
    {.name = "log", .letter = 'l', .type = OPTION_FLAG, .target = &page.logarithmic,
     .meaning = "logarithmic axes of curves where all values are positive"},
    {.name = "output", .letter = 'o', .type = OPTION_STRING, .target = &filter_settings.output,
     .argument = "FILE", .unset = "stdout", .no_result = true, .meaning = "where to write"},
    SLICE_MEMORY_OPTION,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "experiment-html",
    .purpose = "the results of a pipeline as one page for a browser",
    .output = "HTML",
    .operands = "FILE|FOLDER...",
    .details =
        "Of a folder, and the folders in it, the page shows\n\n"
        "  *.tsv          tables whose first line begins with \"row\", as the pipelines write "
        "them,\n"
        "                 lines of octmetrics --tsv, and the curves of training logs\n"
        "  *.png          pictures\n"
        "  *.npy          type, shape and CRC-32C of each array, the commands that made it; a\n"
        "                 damaged one is refused\n"
        "  *.safetensors  size and CRC-32C, metadata with the commands and data of the training\n\n"
        "Numbers are rounded to four digits, and show all of them under the pointer. Checksums of "
        "arrays are those of their payload, as in the metadata of weights that learnt from them. "
        "The page holds all it needs and opens from a file, without a network; the bytes of "
        "pictures are in it, those of streams and weights are not.",
    .example = "make -f pipelines/ablation.mk WEIGHTS=weights REAL=real.npy OUT=ablation\n"
               "experiment-html ablation weights -o ablation.html",
    .options = options,
};

int main(int argc, char **argv)
{
    static struct filter filter;
    struct experiment_files files;
    struct output output;
    char *text;
    size_t size;
    filter_start(&filter, &program, argc, argv);
    filter_check(&filter, experiment_files_find(&files, filter.file, filter.files, &filter.error));
    page.command = filter.command_line;
    page.limit = filter_settings.memory;
    if (!page.title)
        page.title = basename(filter.file[0]);
    FILE *out = open_memstream(&text, &size);
    if (!out)
        filter_fail(&filter, "out of memory");
    filter_check(&filter, experiment_page(out, &page, &files, &filter.error));
    if (fclose(out) != 0)
        filter_fail(&filter, "no memory for the page");
    filter_check_output(&filter, output_open(&output, filter_settings.output, &filter.error));
    if (output_write(&output, text, size, &filter.error) < 0) {
        output_discard(&output);
        filter_check_output(&filter, -1);
    }
    filter_check_output(&filter, output_close(&output, &filter.error));
    free(text);
    experiment_files_free(&files);
    return filter_finish(&filter);
}
