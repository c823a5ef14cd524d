#include "lib/io/metadata.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int metadata_version = 1;

/* One character of UTF-8 at *text, which moves on; a byte that is none stands for itself. */
static uint32_t utf8_next(const unsigned char **text)
{
    const unsigned char *at = *text;
    int more = at[0] >= 0xf0 && at[0] < 0xf8 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc2 ? 1 : 0;
    uint32_t character = at[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if (at[0] >= 0xf8 || (at[i] & 0xc0) != 0x80) {
            more = 0;
            break;
        }
        character = character << 6 | (at[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (character < least[more] || character > 0x10ffff || (character & ~0x7ffu) == 0xd800)
        more = 0; /* written longer than it is, or half of a pair */
    *text += 1 + more;
    return more ? character : at[0];
}

/* Copy JSON with everything beyond ASCII escaped; −1 when it does not fit. */
static int escape(const char *json, char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)json;
    size_t used = 0;
    while (*at) {
        uint32_t character = utf8_next(&at);
        size_t room = size - used;
        int length;
        if (character < 0x80)
            length = snprintf(text + used, room, "%c", (char)character);
        else if (character < 0x10000)
            length = snprintf(text + used, room, "\\u%04" PRIx32, character);
        else
            length = snprintf(text + used, room, "\\u%04" PRIx32 "\\u%04" PRIx32,
                              0xd800 + ((character - 0x10000) >> 10 & 0x3ff),
                              0xdc00 + ((character - 0x10000) & 0x3ff));
        if ((size_t)length >= room)
            return -1;
        used += (size_t)length;
    }
    return 0;
}

static cJSON *history_json(const char *history)
{
    cJSON *list = cJSON_CreateArray();
    for (const char *entry = history; list && *entry;) {
        size_t length = strcspn(entry, "\n");
        char line[ARRAY_HISTORY];
        memcpy(line, entry, length);
        line[length] = 0;
        cJSON_AddItemToArray(list, cJSON_CreateString(line));
        entry += length + (entry[length] == '\n');
    }
    return list;
}

static void add_extents(cJSON *json, const char *name, const int64_t extent[3])
{
    double value[3] = {(double)extent[0], (double)extent[1], (double)extent[2]};
    if (extent[0] > 0)
        cJSON_AddItemToObject(json, name, cJSON_CreateDoubleArray(value, 3));
}

static char *metadata_print(const struct array *array, const char *history)
{
    cJSON *json = cJSON_CreateObject();
    if (!json)
        return NULL;
    cJSON_AddNumberToObject(json, "version", metadata_version);
    if (array->kind[0])
        cJSON_AddStringToObject(json, "kind", array->kind);
    if (array->axes[0])
        cJSON_AddStringToObject(json, "axes", array->axes);
    if (array->spacing[0] > 0 || array->spacing[1] > 0 || array->spacing[2] > 0)
        cJSON_AddItemToObject(json, "spacing", cJSON_CreateDoubleArray(array->spacing, 3));
    add_extents(json, "original", array->original);
    add_extents(json, "padded", array->padded);
    cJSON_AddNumberToObject(json, "index", (double)array->index);
    if (array->of > 0)
        cJSON_AddNumberToObject(json, "of", (double)array->of);
    cJSON_AddItemToObject(json, "history", history_json(history));
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

int metadata_format(const struct array *array, char text[METADATA_SIZE], struct error *error)
{
    struct array kept = {0};
    memcpy(kept.history, array->history, sizeof kept.history);
    for (;;) {
        char *json = metadata_print(array, kept.history);
        if (!json)
            return error_set(error, "out of memory");
        int status = escape(json, text, METADATA_SIZE);
        free(json);
        if (!status)
            return 0;
        array_cut_history(&kept);
    }
}

/* The JSON object in text, which must hold nothing else; NULL when it is none. */
static cJSON *object_parse(const char *text)
{
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    if (cJSON_IsObject(json))
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* A count that a double holds exactly, or −1. */
static int64_t count_of(const cJSON *item)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    return value >= 0 && value <= 0x1p53 && value == (double)(int64_t)value ? (int64_t)value : -1;
}

static int read_count(const cJSON *json, const char *name, int64_t *count)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (item)
        *count = count_of(item);
    return *count < 0 ? -1 : 0;
}

/* A short text of UTF-8, which is as long when it is written again. */
static int read_string(const cJSON *json, const char *name, char *text, size_t size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!item)
        return 0;
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= size)
        return -1;
    for (const unsigned char *at = (const unsigned char *)item->valuestring; *at;) {
        const unsigned char *before = at;
        if (utf8_next(&at) >= 0x80 && at == before + 1)
            return -1;
    }
    strcpy(text, item->valuestring);
    return 0;
}

/* Three finite numbers that are not negative. */
static int read_triple(const cJSON *json, const char *name, double value[3])
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!list)
        return 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 3)
        return -1;
    for (int i = 0; i < 3; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 0x1p53))
            return -1;
        value[i] = item->valuedouble;
    }
    return 0;
}

static int read_extents(const cJSON *json, const char *name, int64_t extent[3])
{
    double value[3] = {0};
    if (read_triple(json, name, value))
        return -1;
    for (int i = 0; i < 3; i++)
        extent[i] = (int64_t)value[i];
    return 0;
}

static int read_history(const cJSON *json, struct array *array)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "history"), *item;
    if (list && !cJSON_IsArray(list))
        return -1;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return -1;
        array_add_history(array, item->valuestring);
    }
    return 0;
}

int metadata_parse(const char *text, struct array *array, struct error *error)
{
    cJSON *json = object_parse(text);
    if (!json)
        return error_set(error, "the octpipe metadata is not valid JSON");
    int64_t version = -1;
    const char *wrong = NULL;
    array->marked = true;
    if (read_count(json, "version", &version))
        wrong = "version";
    else if (version > metadata_version)
        wrong = "version (of a newer octpipe)";
    else if (read_string(json, "kind", array->kind, sizeof array->kind))
        wrong = "kind";
    else if (read_string(json, "axes", array->axes, sizeof array->axes))
        wrong = "axes";
    else if (read_triple(json, "spacing", array->spacing))
        wrong = "spacing";
    else if (read_extents(json, "original", array->original))
        wrong = "original";
    else if (read_extents(json, "padded", array->padded))
        wrong = "padded";
    else if (read_count(json, "index", &array->index))
        wrong = "index";
    else if (read_count(json, "of", &array->of))
        wrong = "of";
    else if (read_history(json, array))
        wrong = "history";
    cJSON_Delete(json);
    return wrong ? error_set(error, "the octpipe metadata has a wrong %s", wrong) : 0;
}

void trailer_format(const struct trailer *trailer, char text[TRAILER_SIZE])
{
    snprintf(text, TRAILER_SIZE,
             "{\"status\":\"%s\",\"bytes\":%" PRId64 ",\"crc32c\":\"%08" PRIx32
             "\",\"header_crc32c\":\"%08" PRIx32 "\"}",
             trailer->complete ? "complete" : "failed", trailer->bytes, trailer->payload,
             trailer->header);
}

/* Eight hexadecimal digits. */
static int read_checksum(const cJSON *json, const char *name, uint32_t *checksum)
{
    char text[9] = "";
    if (read_string(json, name, text, sizeof text) || strspn(text, "0123456789abcdef") != 8)
        return -1;
    *checksum = (uint32_t)strtoul(text, NULL, 16);
    return 0;
}

int trailer_parse(const char *text, struct trailer *trailer, struct error *error)
{
    cJSON *json = object_parse(text);
    char status[16] = "";
    bool wrong = !json || read_string(json, "status", status, sizeof status);
    trailer->complete = !strcmp(status, "complete");
    if (!wrong && trailer->complete) {
        trailer->bytes = -1;
        wrong = read_count(json, "bytes", &trailer->bytes) ||
                read_checksum(json, "crc32c", &trailer->payload) ||
                read_checksum(json, "header_crc32c", &trailer->header);
    } else {
        wrong |= strcmp(status, "failed") != 0;
    }
    cJSON_Delete(json);
    return wrong ? error_set(error, "damaged trailer: its JSON is not readable") : 0;
}
