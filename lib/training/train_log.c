#include "lib/training/train_log.h"

#include "lib/io/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int failed(const struct train_log *log, struct error *error)
{
    return error_set(error, "writing %s: %s", log->path, strerror(errno));
}

/* The header of the table, with its newline. */
static char *make_header(struct train_log *log, const char *const *names)
{
    size_t length = sizeof "step\n";
    for (int i = 0; names[i]; i++)
        length += strlen(names[i]) + 1;
    char *header = malloc(length);
    if (!header)
        return NULL;
    strcpy(header, "step");
    for (log->columns = 0; names[log->columns]; log->columns++)
        strcat(strcat(header, "\t"), names[log->columns]);
    return strcat(header, "\n");
}

/* Copy the rows up to `step` of an older log, where it has the same columns. */
static int copy_rows(FILE *old, const char *header, int64_t step, struct output *output,
                     struct error *error)
{
    char *line = NULL;
    size_t room = 0;
    int status = 0;
    bool same = getline(&line, &room, old) > 0 && !strcmp(line, header);
    while (same && !status && getline(&line, &room, old) > 0)
        if (strchr(line, '\n') && strtoll(line, NULL, 10) <= step)
            status = output_write(output, line, strlen(line), error);
    free(line);
    return status;
}

int train_log_open(struct train_log *log, const char *path, const char *const *names, int64_t step,
                   struct error *error)
{
    struct output output;
    *log = (struct train_log){.path = path};
    char *header = make_header(log, names);
    if (!header)
        return error_set(error, "out of memory");
    FILE *old = step ? fopen(path, "r") : NULL;
    int status = output_open(&output, path, error);
    if (!status) {
        status = output_write(&output, header, strlen(header), error);
        if (!status && old)
            status = copy_rows(old, header, step, &output, error);
        if (status)
            output_discard(&output);
        else
            status = output_close(&output, error);
    }
    if (old)
        fclose(old);
    free(header);
    if (status)
        return -1;
    log->file = fopen(path, "ae");
    return log->file ? 0 : failed(log, error);
}

void train_log_add(struct train_log *log, int column, double value)
{
    log->sum[column] += value;
    log->rows[column]++;
}

int train_log_row(struct train_log *log, int64_t step, struct error *error)
{
    fprintf(log->file, "%" PRId64, step);
    for (int i = 0; i < log->columns; i++) {
        fputc('\t', log->file);
        if (log->rows[i])
            fprintf(log->file, "%.6g", log->sum[i] / (double)log->rows[i]);
        log->sum[i] = 0.0;
        log->rows[i] = 0;
    }
    fputc('\n', log->file);
    return fflush(log->file) || ferror(log->file) ? failed(log, error) : 0;
}

void train_log_close(struct train_log *log)
{
    if (log->file)
        fclose(log->file);
    log->file = NULL;
}
