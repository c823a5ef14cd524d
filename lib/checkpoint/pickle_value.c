#include "lib/checkpoint/pickle_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, FIRST_ITEMS = 4 };

struct pickle_value *pickle_new(struct pickle *p, enum pickle_kind kind, struct error *error)
{
    if (p->count == PICKLE_VALUES) {
        error_set(error, "more than %d values", PICKLE_VALUES);
        return NULL;
    }
    if (!p->block)
        p->block = calloc(PICKLE_VALUES / BLOCK, sizeof *p->block);
    if (p->block && !p->block[p->count / BLOCK])
        p->block[p->count / BLOCK] = calloc(BLOCK, sizeof **p->block);
    if (!p->block || !p->block[p->count / BLOCK]) {
        error_set(error, "out of memory");
        return NULL;
    }
    struct pickle_value *value = &p->block[p->count / BLOCK][p->count % BLOCK];
    p->count++;
    value->kind = kind;
    return value;
}

int pickle_add(struct pickle *p, struct pickle_value *container,
               const struct pickle_value *const *item, int64_t count, struct error *error)
{
    if (count > PICKLE_VALUES - p->items)
        return error_set(error, "more than %d items in containers", PICKLE_VALUES);
    int64_t needed = container->count + count, capacity = 2 * (int64_t)container->capacity;
    if (needed > container->capacity) {
        capacity = capacity > needed ? capacity : needed;
        capacity = capacity > FIRST_ITEMS ? capacity : FIRST_ITEMS;
        const struct pickle_value **more =
            realloc(container->item, (size_t)capacity * sizeof *more);
        if (!more)
            return error_set(error, "out of memory");
        container->item = more;
        container->capacity = (int32_t)capacity;
    }
    if (count > 0)
        memcpy(container->item + container->count, item, (size_t)count * sizeof *item);
    container->count = (int32_t)needed;
    p->items += count;
    return 0;
}

int pickle_list(const struct pickle_value ***list, int64_t *count, int64_t *capacity,
                const struct pickle_value *value, struct error *error)
{
    if (*count == *capacity) {
        int64_t larger = *capacity ? 2 * *capacity : BLOCK;
        const struct pickle_value **more = realloc(*list, (size_t)larger * sizeof *more);
        if (!more)
            return error_set(error, "out of memory");
        *list = more;
        *capacity = larger;
    }
    (*list)[(*count)++] = value;
    return 0;
}

static bool has_items(const struct pickle_value *value)
{
    return value->kind >= PICKLE_TUPLE;
}

void pickle_free(struct pickle *p)
{
    for (int64_t i = 0; i < p->count; i++) {
        struct pickle_value *value = &p->block[i / BLOCK][i % BLOCK];
        if (has_items(value))
            free(value->item);
    }
    for (int64_t i = 0; p->block && i < PICKLE_VALUES / BLOCK; i++)
        free(p->block[i]);
    free(p->block);
    free(p->global);
    free(p->persistent);
    *p = (struct pickle){0};
}

bool pickle_is_text(const struct pickle_value *value, const char *text)
{
    return value && value->kind == PICKLE_TEXT && (size_t)value->count == strlen(text) &&
           !memcmp(value->text, text, strlen(text));
}

bool pickle_is_global(const struct pickle_value *value, const char *module, const char *name)
{
    return value && value->kind == PICKLE_GLOBAL && pickle_is_text(value->item[0], module) &&
           pickle_is_text(value->item[1], name);
}

int64_t pickle_pairs(const struct pickle_value *value, const struct pickle_value *const **item)
{
    if (value && value->kind == PICKLE_DICT) {
        *item = value->item;
        return value->count / 2;
    }
    if (value && value->kind == PICKLE_CALL &&
        pickle_is_global(value->item[0], "collections", "OrderedDict")) {
        *item = value->item + 2;
        return value->count / 2 - 1;
    }
    return -1;
}

const struct pickle_value *pickle_find(const struct pickle_value *dict, const char *key)
{
    const struct pickle_value *const *item;
    for (int64_t i = pickle_pairs(dict, &item) - 1; i >= 0; i--)
        if (pickle_is_text(item[2 * i], key))
            return item[2 * i + 1];
    return NULL;
}

const char *pickle_describe(const struct pickle_value *value, char *text, int size)
{
    static const char *const kinds[] = {"None",
                                        "a truth value",
                                        "a number",
                                        "a number",
                                        "a number",
                                        "a text",
                                        "a tuple",
                                        "a list",
                                        "a dict",
                                        "a name",
                                        "a persistent identifier"};
    const struct pickle_value *global = value;
    while (global->kind == PICKLE_CALL)
        global = global->item[0];
    if (global->kind == PICKLE_GLOBAL) {
        const struct pickle_value *module = global->item[0], *name = global->item[1];
        int half = size / 2 - 2, m = module->count < half ? module->count : half;
        int n = name->count < half ? name->count : half;
        snprintf(text, (size_t)size, "%.*s.%.*s", m, module->text, n, name->text);
    } else {
        snprintf(text, (size_t)size, "%s", kinds[global->kind]);
    }
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    return text;
}
