#include "lib/metrics/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

void report_text(FILE *out, const char *name, const struct measurement *measurement)
{
    for (int64_t i = 0; i < measurement->parts; i++)
        fprintf(out, "%s %lld %.9g\n", name, (long long)measurement->part[i].number,
                measurement->part[i].value);
    fprintf(out, "%s%s %.9g\n", name, measurement->part ? " mean" : "", measurement->value);
}

static char *print(const char *name, int64_t index, const struct measurement *measurement)
{
    cJSON *object = cJSON_CreateObject();
    bool made =
        cJSON_AddStringToObject(object, "measure", name) &&
        cJSON_AddNumberToObject(object, "array", (double)index) &&
        cJSON_AddNumberToObject(object, measurement->part ? "mean" : "value", measurement->value);
    cJSON *parts = made && measurement->part ? cJSON_AddObjectToObject(object, "parts") : NULL;
    for (int64_t i = 0; made && i < measurement->parts; i++) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)measurement->part[i].number);
        made = cJSON_AddNumberToObject(parts, number, measurement->part[i].value) != NULL;
    }
    char *text = made ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return text;
}

/* Write a line of JSON and free it; NULL: memory is out. */
static int put_line(FILE *out, char *text, struct error *error)
{
    if (!text)
        return error_set(error, "out of memory");
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}

int report_json(FILE *out, const char *name, int64_t index, const struct measurement *measurement,
                struct error *error)
{
    return put_line(out, print(name, index, measurement), error);
}

void spread_add(struct spread *spread, double value)
{
    double offset = value - spread->mean;
    spread->mean += offset / (double)++spread->count;
    spread->squares += offset * (value - spread->mean);
}

double spread_deviation(const struct spread *spread)
{
    return spread->count < 2 ? NAN : sqrt(spread->squares / (double)(spread->count - 1));
}

void report_tsv(FILE *out, const char *name, double value, double deviation, int64_t count,
                int64_t others)
{
    fprintf(out, "%s\t%.9g\t", name, value);
    if (!isnan(deviation))
        fprintf(out, "%.9g", deviation);
    fprintf(out, "\t%lld\t", (long long)count);
    if (others)
        fprintf(out, "%lld", (long long)others);
    fprintf(out, "\n");
}

void report_distance_text(FILE *out, const char *name, double value, const int64_t slices[2])
{
    fprintf(out, "%s %.9g of %lld and %lld slices\n", name, value, (long long)slices[0],
            (long long)slices[1]);
}

int report_distance_json(FILE *out, const char *name, double value, const int64_t slices[2],
                         int64_t features, struct error *error)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *list = cJSON_CreateDoubleArray((double[]){(double)slices[0], (double)slices[1]}, 2);
    bool made = cJSON_AddStringToObject(object, "measure", name) &&
                cJSON_AddNumberToObject(object, "value", value) && list;
    made = made && cJSON_AddItemToObject(object, "slices", list);
    if (!made)
        cJSON_Delete(list);
    made = made && cJSON_AddNumberToObject(object, "features", (double)features);
    char *text = made ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return put_line(out, text, error);
}

void report_nearest_text(FILE *out, int64_t index, const struct nearest_volume *volume)
{
    fprintf(out, "nearest %lld %.9g %lld %s\n", (long long)index, volume->distance,
            (long long)volume->match, volume->input);
}

int report_nearest_json(FILE *out, int64_t index, const struct nearest_volume *volume,
                        struct error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool made = cJSON_AddStringToObject(object, "measure", "nearest") &&
                cJSON_AddNumberToObject(object, "array", (double)index) &&
                cJSON_AddNumberToObject(object, "value", volume->distance) &&
                cJSON_AddNumberToObject(object, "match", (double)volume->match) &&
                cJSON_AddStringToObject(object, "input", volume->input);
    char *text = made ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return put_line(out, text, error);
}
