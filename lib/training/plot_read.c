#include "lib/training/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 64 };

/* Cut a line into its fields, in place. Returns how many there are. */
static int split(char *line, char *field[MOST_COLUMNS])
{
    int count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && count < MOST_COLUMNS; count++)
        field[count] = strsep(&at, "\t");
    return count;
}

static int read_names(struct plot_table *t, char *line, struct error *error)
{
    char *field[MOST_COLUMNS];
    int count = split(line, field);
    t->name = calloc((size_t)count, sizeof *t->name);
    if (!t->name)
        return error_set(error, "out of memory");
    for (; t->columns < count; t->columns++) {
        t->name[t->columns] = strdup(field[t->columns]);
        if (!t->name[t->columns])
            return error_set(error, "out of memory");
    }
    if (count < 2 || strcmp(t->name[0], "step"))
        return error_set(error, "not a training log: it begins with no row of names, step first");
    return 0;
}

static int read_row(struct plot_table *t, char *line, int64_t *room, struct error *error)
{
    char *field[MOST_COLUMNS];
    int count = split(line, field);
    if (count != t->columns)
        return error_set(error, "line %" PRId64 " has %d fields, not %d", t->rows + 2, count,
                         t->columns);
    if (t->rows == *room) {
        *room = 2 * *room + 64;
        double *value = realloc(t->value, (size_t)(*room * t->columns) * sizeof *value);
        if (!value)
            return error_set(error, "out of memory");
        t->value = value;
    }
    double *row = t->value + t->rows * t->columns;
    for (int i = 0; i < count; i++) {
        char *end;
        row[i] = *field[i] ? strtod(field[i], &end) : (double)NAN;
        if (*field[i] && *end)
            return error_set(error, "line %" PRId64 ": \"%s\" is no number", t->rows + 2, field[i]);
    }
    if (!isfinite(row[0]) || (t->rows && row[0] <= row[-t->columns]))
        return error_set(error, "line %" PRId64 ": steps do not ascend", t->rows + 2);
    t->rows++;
    return 0;
}

int plot_read(struct plot_table *t, FILE *file, struct error *error)
{
    char *line = NULL;
    size_t size = 0;
    int64_t room = 0;
    *t = (struct plot_table){0};
    int status = getline(&line, &size, file) > 0 ? read_names(t, line, error)
                                                 : error_set(error, "the log is empty");
    while (!status && getline(&line, &size, file) > 0)
        status = read_row(t, line, &room, error);
    free(line);
    if (!status && ferror(file))
        status = error_set(error, "cannot read the log");
    if (!status && !t->rows)
        status = error_set(error, "the log has no rows yet");
    if (status)
        plot_free(t);
    return status;
}

void plot_free(struct plot_table *t)
{
    for (int i = 0; i < t->columns; i++)
        free(t->name[i]);
    free(t->name);
    free(t->value);
    *t = (struct plot_table){0};
}
