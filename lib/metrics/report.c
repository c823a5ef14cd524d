#include "lib/metrics/report.h"

#include <cjson/cJSON.h>
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

int report_json(FILE *out, const char *name, int64_t index, const struct measurement *measurement,
                struct error *error)
{
    char *text = print(name, index, measurement);
    if (!text)
        return error_set(error, "out of memory");
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}
