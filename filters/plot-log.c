/* plot-log - draw the curves of a training log.
 *   file: NAME.tsv of a training program    stdout: PNG */
#include "lib/io/filter.h"
#include "lib/io/png.h"
#include "lib/training/plot.h"

#include <errno.h>
#include <string.h>

static bool logarithmic;

static const struct option options[] = {
    {.name = "log",
     .letter = 'l',
     .type = OPTION_FLAG,
     .target = &logarithmic,
     .meaning = "logarithmic axes where all values are positive"},
    FILTER_OPTIONS,
    {0},
};

static const struct program program = {
    .name = "plot-log",
    .purpose = "draw the curves of a training log",
    .input = "the table NAME.tsv that a training program writes beside its weights",
    .output = "PNG, a panel for each column over the steps",
    .operands = "[FILE]",
    .example = "plot-log --log trained.tsv -o trained-curves.png",
    .options = options,
};

int main(int argc, char **argv)
{
    static struct filter filter;
    struct plot_table table;
    struct picture picture;
    filter_start(&filter, &program, argc, argv);
    const char *path = filter.files ? filter.file[0] : "-";
    FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!file)
        filter_fail(&filter, "%s: %s", path, strerror(errno));
    if (plot_read(&table, file, &filter.error))
        filter_fail(&filter, "%s: %s", file == stdin ? "stdin" : path, filter.error.text);
    filter_check(&filter, plot_draw(&table, logarithmic, &picture, &filter.error));
    filter_check_output(&filter, png_write(filter_settings.output, &picture, &filter.error));
    picture_free(&picture);
    plot_free(&table);
    if (file != stdin)
        fclose(file);
    return filter_finish(&filter);
}
