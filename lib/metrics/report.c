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

/* Write an object as a line of JSON and free it; not `made`: memory is out. */
static int put_object(FILE *out, cJSON *object, bool made, struct error *error)
{
    char *text = made ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (!text)
        return error_set(error, "out of memory");
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}

int report_json(FILE *out, const char *name, int64_t index, const struct measurement *measurement,
                struct error *error)
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
    if (made && measurement->left_out)
        made = cJSON_AddNumberToObject(object, "left_out", (double)measurement->left_out) != NULL;
    return put_object(out, object, made, error);
}

static void put_columns(FILE *out, const char *name, double value, double deviation, int64_t count,
                        int64_t others)
{
    fprintf(out, "%s\t%.9g\t", name, value);
    if (!isnan(deviation))
        fprintf(out, "%.9g", deviation);
    fprintf(out, "\t%lld\t", (long long)count);
    if (others)
        fprintf(out, "%lld", (long long)others);
}

void report_tsv(FILE *out, const char *name, double value, double deviation, int64_t count,
                int64_t others)
{
    put_columns(out, name, value, deviation, count, others);
    fprintf(out, "\n");
}

static void put_deviation(FILE *out, double deviation)
{
    if (!isnan(deviation))
        fprintf(out, " deviation %.9g", deviation);
}

static void put_spread(FILE *out, const struct spread *spread)
{
    fprintf(out, " %.9g", spread->count ? spread->mean : NAN);
    put_deviation(out, spread_deviation(spread));
    fprintf(out, " of %lld %s\n", (long long)spread->count,
            spread->count == 1 ? "array" : "arrays");
}

void report_spreads_text(FILE *out, const char *name, const struct spreads *spreads)
{
    for (int64_t i = 0; i < spreads->parts; i++) {
        fprintf(out, "%s %lld", name, (long long)spreads->part[i].number);
        put_spread(out, &spreads->part[i].spread);
    }
    fprintf(out, "%s%s", name, spreads->part ? " mean" : "");
    put_spread(out, &spreads->value);
}

void report_spreads_tsv(FILE *out, const char *name, const struct spreads *spreads)
{
    char part[MEASURE_NAME + 32];
    for (int64_t i = 0; i < spreads->parts; i++) {
        const struct spread *spread = &spreads->part[i].spread;
        snprintf(part, sizeof part, "%s-%lld", name, (long long)spreads->part[i].number);
        report_tsv(out, part, spread->count ? spread->mean : NAN, spread_deviation(spread),
                   spread->count, 0);
    }
    report_tsv(out, name, spreads->value.count ? spreads->value.mean : NAN,
               spread_deviation(&spreads->value), spreads->value.count, 0);
}

static bool add_spread(cJSON *object, const struct spread *spread)
{
    return cJSON_AddNumberToObject(object, "arrays", (double)spread->count) &&
           cJSON_AddNumberToObject(object, "mean", spread->count ? spread->mean : NAN) &&
           cJSON_AddNumberToObject(object, "deviation", spread_deviation(spread));
}

int report_spreads_json(FILE *out, const char *name, const struct spreads *spreads,
                        struct error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool made =
        cJSON_AddStringToObject(object, "measure", name) && add_spread(object, &spreads->value);
    cJSON *parts = made && spreads->part ? cJSON_AddObjectToObject(object, "parts") : NULL;
    for (int64_t i = 0; made && i < spreads->parts; i++) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)spreads->part[i].number);
        cJSON *part = cJSON_AddObjectToObject(parts, number);
        made = part && add_spread(part, &spreads->part[i].spread);
    }
    return put_object(out, object, made, error);
}

void report_pairs_text(FILE *out, const char *name, const struct spread *spread, int64_t volumes)
{
    fprintf(out, "%s %.9g", name, spread->mean);
    put_deviation(out, spread_deviation(spread));
    fprintf(out, " of %lld %s of %lld volumes\n", (long long)spread->count,
            spread->count == 1 ? "pair" : "pairs", (long long)volumes);
}

int report_pairs_json(FILE *out, const char *name, const struct spread *spread, int64_t volumes,
                      struct error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool made = cJSON_AddStringToObject(object, "measure", name) &&
                cJSON_AddNumberToObject(object, "value", spread->mean) &&
                cJSON_AddNumberToObject(object, "deviation", spread_deviation(spread)) &&
                cJSON_AddNumberToObject(object, "pairs", (double)spread->count) &&
                cJSON_AddNumberToObject(object, "volumes", (double)volumes);
    return put_object(out, object, made, error);
}

void report_distance_text(FILE *out, const struct distance_report *r)
{
    fprintf(out, "%s %.9g", r->name, r->value);
    put_deviation(out, r->deviation);
    if (!isnan(r->interval[0]))
        fprintf(out, " interval %.9g %.9g", r->interval[0], r->interval[1]);
    fprintf(out, " of %lld and %lld slices\n", (long long)r->slices[0], (long long)r->slices[1]);
}

/* Add a list of two numbers to an object. */
static bool add_pair(cJSON *object, const char *name, double a, double b)
{
    cJSON *list = cJSON_CreateDoubleArray((double[]){a, b}, 2);
    if (list && cJSON_AddItemToObject(object, name, list))
        return true;
    cJSON_Delete(list);
    return false;
}

int report_distance_json(FILE *out, const struct distance_report *r, struct error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool made = cJSON_AddStringToObject(object, "measure", r->name) &&
                cJSON_AddNumberToObject(object, "value", r->value);
    if (made && !isnan(r->deviation))
        made = cJSON_AddNumberToObject(object, "deviation", r->deviation) != NULL;
    if (made && !isnan(r->interval[0]))
        made = add_pair(object, "interval", r->interval[0], r->interval[1]);
    made = made && add_pair(object, "slices", (double)r->slices[0], (double)r->slices[1]) &&
           cJSON_AddNumberToObject(object, "features", (double)r->features);
    return put_object(out, object, made, error);
}

void report_distance_tsv(FILE *out, const struct distance_report *r)
{
    put_columns(out, r->name, r->value, r->deviation, r->slices[0], r->slices[1]);
    if (!isnan(r->interval[0]))
        fprintf(out, "\t%.9g\t%.9g", r->interval[0], r->interval[1]);
    fprintf(out, "\n");
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
    return put_object(out, object, made, error);
}
