#include "lib/experiment/markup.h"
#include "lib/experiment/parts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 64, DIGITS = 4, DEVIATION_DIGITS = 2 };
static const char *const fact_names[] = {"measure",    "value", "deviation", "count",
                                         "count of B", "from",  "to"};
static const char deviation[] = "-deviation";

struct table {
    int columns;
    const char *name[MOST_COLUMNS];
    bool joined[MOST_COLUMNS]; /* the deviation of the column before */
};

/* Cut a line into its fields, in place; −1: there are too many. */
static int split(char *line, char *field[MOST_COLUMNS])
{
    int count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at; count++) {
        if (count == MOST_COLUMNS)
            return -1;
        field[count] = strsep(&at, "\t");
    }
    return count;
}

static bool is_number(const char *field, double *value)
{
    char *end;
    *value = strtod(field, &end);
    return end != field && !*end;
}

static void put_value(FILE *out, const char *field, int digits)
{
    double value;
    if (!is_number(field, &value))
        markup_text(out, field);
    else if (value == rint(value) && fabs(value) < 1e9)
        fprintf(out, "%.0f", value);
    else
        fprintf(out, "%.*g", digits, value);
}

/* A field, with all its digits as a tip, and its deviation where the next one is that. */
static void put_field(FILE *out, const char *field, const char *spread)
{
    double value;
    if (is_number(field, &value)) {
        fputs("<td class=\"number\" title=\"", out);
        markup_text(out, field);
        fputs("\">", out);
    } else {
        fputs("<td>", out);
    }
    put_value(out, field, DIGITS);
    if (spread && *spread) {
        fputs(" ± ", out);
        put_value(out, spread, DEVIATION_DIGITS);
    }
    fputs("</td>", out);
}

/* Is this name that of the deviation of the column before? */
static bool belongs(const char *before, const char *name)
{
    size_t length = strlen(before);
    return strncmp(before, name, length) == 0 && strcmp(name + length, deviation) == 0;
}

static void put_head(FILE *out, struct table *table)
{
    fputs("<table>\n<thead><tr>", out);
    for (int i = 0; i < table->columns; i++) {
        table->joined[i] = i > 0 && belongs(table->name[i - 1], table->name[i]);
        if (table->joined[i])
            continue;
        fputs("<th>", out);
        markup_text(out, table->name[i]);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
}

static int put_row(FILE *out, const struct table *table, char *line, bool facts,
                   struct error *error)
{
    char *field[MOST_COLUMNS];
    int count = split(line, field);
    if (facts ? count < 2 || count > table->columns : count != table->columns)
        return error_set(error, "a line has %d fields, not %s%d", count, facts ? "2 to " : "",
                         table->columns);
    fputs("<tr>", out);
    for (int i = 0; i < table->columns; i++) {
        bool followed = i + 1 < table->columns && table->joined[i + 1];
        if (!table->joined[i])
            put_field(out, i < count ? field[i] : "", followed ? field[i + 1] : NULL);
    }
    fputs("</tr>\n", out);
    return 0;
}

/* Names of facts, or of the first line, which the caller frees afterwards. */
static int read_names(struct table *table, FILE *file, char **line, bool facts, struct error *error)
{
    char *field[MOST_COLUMNS];
    size_t size = 0;
    *line = NULL;
    if (facts) {
        table->columns = sizeof fact_names / sizeof fact_names[0];
        memcpy(table->name, fact_names, sizeof fact_names);
        return 0;
    }
    if (getline(line, &size, file) < 0)
        return error_set(error, "the table is empty");
    table->columns = split(*line, field);
    for (int i = 0; i < table->columns; i++)
        table->name[i] = field[i];
    return table->columns < 0 ? error_set(error, "more than %d columns", MOST_COLUMNS) : 0;
}

int experiment_table(FILE *out, const char *path, bool facts, struct error *error)
{
    struct table table = {0};
    char *names, *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, "%s: %s", path, strerror(errno));
    int status = read_names(&table, file, &names, facts, error);
    if (status == 0)
        put_head(out, &table);
    while (status == 0 && getline(&line, &size, file) > 0)
        status = put_row(out, &table, line, facts, error);
    if (status == 0 && ferror(file))
        status = error_set(error, "cannot read it");
    fputs("</tbody>\n</table>\n", out);
    free(names);
    free(line);
    fclose(file);
    return status < 0 ? error_prefix(error, "%s", path) : 0;
}
