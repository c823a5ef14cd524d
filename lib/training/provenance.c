#include "lib/training/provenance.h"

#include "lib/io/crc32c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line for each array. NULL: out of memory. */
static char *describe_data(const struct dataset *data)
{
    char *text = NULL, shape[128];
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    for (int64_t i = 0; i < data->count; i++) {
        const struct dataset_array *a = &data->list[i];
        const char *slash = strrchr(a->path, '/');
        fprintf(stream, "%s%s %s crc32c %08" PRIx32, i ? "\n" : "", slash ? slash + 1 : a->path,
                array_describe(&a->array, shape, sizeof shape), a->checksum);
    }
    if (fclose(stream)) {
        free(text);
        return NULL;
    }
    return text;
}

int provenance_declare(struct weights *weights, const struct dataset *data, const char *command,
                       char **run, struct error *error)
{
    const char *before = weights_metadata_text(weights, "history");
    const char *origin = data->list[0].array.history;
    char *history = NULL, *text = describe_data(data);
    *run = NULL;
    if (!text ||
        asprintf(&history, "%s%s%s", before ? before : "", before ? "\n" : "", command) < 0)
        history = NULL;
    int status = !history || weights_declare_metadata(weights, "history", history) ||
                 weights_declare_metadata(weights, "data", text) ||
                 (*origin && weights_declare_metadata(weights, "data_history", origin));
    if (!status && asprintf(run, "%s, data %08" PRIx32, command, crc32c(0, text, strlen(text))) < 0)
        status = 1;
    free(history);
    free(text);
    return status ? error_set(error, "out of memory") : 0;
}
