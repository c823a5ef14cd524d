#include "lib/io/summary.h"

#include "lib/io/metadata.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 12, BAR = 40 };

/* Text from a file, without what a terminal would obey. */
static void put_clean(const char *text, size_t length, FILE *out)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        fputc(byte < 0x20 || byte == 0x7f ? '?' : byte, out);
    }
}

static void put_history(const char *history, FILE *out)
{
    const char *label = "history";
    for (const char *line = history; *line; label = "") {
        size_t length = strcspn(line, "\n");
        fprintf(out, "  %-10s", label);
        put_clean(line, length, out);
        fputc('\n', out);
        line += length + (line[length] == '\n');
    }
}

static void put_metadata(const struct array *array, FILE *out)
{
    if (*array->kind || *array->axes) {
        fputs("  kind      ", out);
        put_clean(array->kind, strlen(array->kind), out);
        fputs(*array->kind && *array->axes ? ", axes " : *array->axes ? "axes " : "", out);
        put_clean(array->axes, strlen(array->axes), out);
        fputc('\n', out);
    }
    const double *spacing = array->spacing;
    if (spacing[0] > 0 || spacing[1] > 0 || spacing[2] > 0)
        fprintf(out, "  spacing   %g, %g, %g mm along D, H, W\n", spacing[0], spacing[1],
                spacing[2]);
    const int64_t *from = array->original, *to = array->padded;
    if (from[0] > 0)
        fprintf(out, "  padded    from (%lld, %lld, %lld) to (%lld, %lld, %lld)\n",
                (long long)from[0], (long long)from[1], (long long)from[2], (long long)to[0],
                (long long)to[1], (long long)to[2]);
    if (array->marked && array->of > 0)
        fprintf(out, "  index     %lld of %lld\n", (long long)array->index, (long long)array->of);
    else if (array->marked)
        fprintf(out, "  index     %lld\n", (long long)array->index);
}

static void put_histogram(const struct statistics *statistics, FILE *out)
{
    int64_t count[ROWS], most = 1;
    statistics_histogram(statistics, ROWS, count);
    double low = statistics->min, step = (statistics->max - low) / ROWS;
    for (int i = 0; i < ROWS; i++)
        most = count[i] > most ? count[i] : most;
    for (int i = 0; i < ROWS; i++) {
        int bar = (int)((double)count[i] / (double)most * BAR + 0.5);
        fprintf(out, "  %12.5g  %-*.*s  %5.2f %%\n", low + i * step, BAR, bar,
                "########################################",
                100 * (double)count[i] / (double)statistics->count);
    }
}

void summary_text(const struct summary *summary, FILE *out)
{
    char text[256];
    const struct array *array = summary->array;
    const struct statistics *statistics = summary->statistics;
    fprintf(out, "%s: array %lld: %s, %lld bytes\n", summary->input, (long long)summary->number,
            array_describe(array, text, sizeof text), (long long)array_bytes(array));
    put_metadata(array, out);
    if (statistics->count)
        fprintf(out, "  values    min %.6g, max %.6g, mean %.6g, deviation %.6g\n", statistics->min,
                statistics->max, statistics->mean, statistics_deviation(statistics));
    fprintf(out, "  not finite  %lld NaN, %lld infinite\n", (long long)statistics->nan,
            (long long)statistics->infinite);
    fprintf(out, "  checksum  %s\n", array->marked ? "good" : "none: a bare array");
    put_history(array->history, out);
    if (statistics->max > statistics->min)
        put_histogram(statistics, out);
}

static cJSON *histogram_json(const struct statistics *statistics)
{
    int64_t count[ROWS];
    double number[ROWS];
    statistics_histogram(statistics, ROWS, count);
    for (int i = 0; i < ROWS; i++)
        number[i] = (double)count[i];
    return cJSON_CreateDoubleArray(number, ROWS);
}

static cJSON *shape_json(const struct array *array)
{
    double extent[ARRAY_RANK];
    for (int i = 0; i < array->rank; i++)
        extent[i] = (double)array->shape[i];
    return cJSON_CreateDoubleArray(extent, array->rank);
}

int summary_json(const struct summary *summary, FILE *out, struct error *error)
{
    char metadata[METADATA_SIZE];
    const struct array *array = summary->array;
    const struct statistics *statistics = summary->statistics;
    if (metadata_format(array, metadata, error))
        return -1;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "input", summary->input);
    cJSON_AddNumberToObject(json, "array", (double)summary->number);
    cJSON_AddStringToObject(json, "type", dtype_name(array->dtype));
    cJSON_AddItemToObject(json, "shape", shape_json(array));
    cJSON_AddStringToObject(json, "checksum", array->marked ? "good" : "none");
    if (array->marked)
        cJSON_AddRawToObject(json, "metadata", metadata);
    cJSON_AddNumberToObject(json, "nan", (double)statistics->nan);
    cJSON_AddNumberToObject(json, "infinite", (double)statistics->infinite);
    if (statistics->count) {
        cJSON_AddNumberToObject(json, "min", statistics->min);
        cJSON_AddNumberToObject(json, "max", statistics->max);
        cJSON_AddNumberToObject(json, "mean", statistics->mean);
        cJSON_AddNumberToObject(json, "deviation", statistics_deviation(statistics));
        cJSON_AddItemToObject(json, "histogram", histogram_json(statistics));
    }
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (!text)
        return error_set(error, "out of memory");
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}
