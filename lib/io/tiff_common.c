#include "lib/io/tiff_common.h"

#include "lib/io/metadata.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

static const char metadata_key[] = "octpipe";
static char last_reason[256];

static void keep_reason(const char *module, const char *format, va_list arguments)
{
    (void)module;
    vsnprintf(last_reason, sizeof last_reason, format, arguments);
    last_reason[strcspn(last_reason, "\n")] = 0;
}

void tiff_quiet(void)
{
    TIFFSetErrorHandler(keep_reason);
    TIFFSetWarningHandler(NULL);
    last_reason[0] = 0;
}

const char *tiff_reason(void)
{
    return last_reason;
}

/* Millimetres in ImageJ's unit, 0 for one that is no length. */
static double unit_millimetres(const char *name)
{
    static const struct {
        const char *name;
        double millimetres;
    } unit[] = {
        {"mm", 1},           {"millimeter", 1},   {"micron", 1e-3},   {"microns", 1e-3},
        {"um", 1e-3},        {"\xc2\xb5m", 1e-3}, /* micro sign in UTF-8, Greek mu, Latin-1, and as
                                                     Java escapes it */
        {"\xce\xbcm", 1e-3}, {"\xb5m", 1e-3},     {"\\u00B5m", 1e-3}, {"nm", 1e-6},
        {"cm", 10},          {"m", 1e3},          {"inch", 25.4},
    };
    for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++)
        if (strcmp(name, unit[i].name) == 0)
            return unit[i].millimetres;
    return 0;
}

static double length_or_zero(double length)
{
    return isfinite(length) && length > 0 ? length : 0;
}

struct imagej {
    double unit[3], spacing; /* millimetres a unit along D, H, W; between slices, in units */
};

static void parse_line(struct tiff_description *description, struct imagej *imagej, const char *key,
                       const char *value)
{
    const struct {
        const char *key;
        int64_t *count;
    } counts[] = {
        {"images", &description->images},
        {"channels", &description->channels},
        {"slices", &description->slices},
        {"frames", &description->frames},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (strcmp(key, counts[i].key) == 0)
            *counts[i].count = strtoll(value, NULL, 10);
    if (strcmp(key, "unit") == 0)
        imagej->unit[0] = imagej->unit[1] = imagej->unit[2] = unit_millimetres(value);
    else if (strcmp(key, "yunit") == 0)
        imagej->unit[1] = unit_millimetres(value);
    else if (strcmp(key, "zunit") == 0)
        imagej->unit[0] = unit_millimetres(value);
    else if (strcmp(key, "spacing") == 0)
        imagej->spacing = fabs(strtod(value, NULL));
}

void tiff_description_parse(struct tiff_description *description, const char *text,
                            const double resolution[2], bool centimetres)
{
    struct imagej imagej = {0};
    *description = (struct tiff_description){0};
    struct array *metadata = &description->metadata;
    char *copy = text && strncmp(text, "ImageJ=", 7) == 0 ? strdup(text) : NULL, *rest = copy;
    const char *octpipe = NULL;
    for (char *line; (line = strsep(&rest, "\r\n")) != NULL;) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = 0;
        parse_line(description, &imagej, line, value);
        if (strcmp(line, metadata_key) == 0)
            octpipe = value;
    }
    if (!copy && centimetres)
        imagej.unit[1] = imagej.unit[2] = unit_millimetres("cm");
    metadata->spacing[0] = length_or_zero(imagej.unit[0] * imagej.spacing);
    for (int axis = 1; axis < 3; axis++)
        if (resolution[axis - 1] > 0)
            metadata->spacing[axis] = length_or_zero(imagej.unit[axis] / resolution[axis - 1]);
    struct array restored = {0};
    if (octpipe && metadata_parse(octpipe, &restored, NULL) == 0)
        *metadata = restored;
    free(copy);
}

char *tiff_description_format(const struct array *volume, int64_t slices)
{
    char json[METADATA_SIZE], spacing[64] = "", *text;
    if (metadata_format(volume, json, NULL) < 0)
        return NULL;
    if (volume->spacing[0] > 0)
        snprintf(spacing, sizeof spacing, "spacing=%.9g\n", volume->spacing[0]);
    const char *unit = volume->spacing[0] + volume->spacing[1] + volume->spacing[2] > 0 ? "mm" : "";
    if (asprintf(&text, "ImageJ=1.53t\nimages=%lld\nslices=%lld\n%s%s%s%sloop=false\n%s=%s\n",
                 (long long)slices, (long long)slices, *unit ? "unit=" : "", unit,
                 *unit ? "\n" : "", spacing, metadata_key, json) < 0)
        return NULL;
    return text;
}
