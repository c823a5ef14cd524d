#include "lib/checkpoint/import_parts.h"

#include <stdlib.h>
#include <string.h>

static int compare_source(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* What stands before the anchor, the shortest where there are several. */
static bool find_prefix(const struct checkpoint *file, const char *anchor, char prefix[IMPORT_NAME])
{
    size_t length = strlen(anchor), best = IMPORT_NAME;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->tensor[i].name;
        if (strlen(name) < length || strlen(name) - length >= best)
            continue;
        size_t before = strlen(name) - length;
        if (strcmp(name + before, anchor) || (before && name[before - 1] != '.'))
            continue;
        best = before;
        memcpy(prefix, name, before);
        prefix[before] = 0;
    }
    return best < IMPORT_NAME;
}

static int add_source(struct import *import, struct checkpoint *file,
                      const struct checkpoint_tensor *tensor, const char *name, struct error *error)
{
    char *copy = strdup(name);
    if (!copy)
        return error_set(error, "out of memory");
    import->source[import->sources++] = (struct source){copy, file, tensor};
    return 0;
}

/* What stands under the anchor's prefix. Empty tensors are no weights. */
static int add_sources(struct import *import, struct checkpoint *file, const char *anchor,
                       struct error *error)
{
    enum part part = import->settings->part;
    char prefix[IMPORT_NAME], name[IMPORT_NAME];
    if (!find_prefix(file, anchor, prefix))
        return 0;
    for (int64_t i = 0; i < file->count; i++) {
        const struct checkpoint_tensor *tensor = &file->tensor[i];
        if (!tensor->count || strncmp(tensor->name, prefix, strlen(prefix)) ||
            !part_rename(part, anchor, tensor->name + strlen(prefix), name, sizeof name))
            continue;
        if (add_source(import, file, tensor, name, error))
            return -1;
    }
    return 0;
}

int import_list(struct import *import, struct error *error)
{
    enum part part = import->settings->part;
    int64_t count = 0, anchors = 0;
    while (part_anchor(part, (int)anchors))
        anchors++;
    for (int64_t i = 0; i < import->files; i++)
        count += import->file[i].count * anchors;
    import->source = calloc((size_t)count + 1, sizeof *import->source);
    if (!import->source)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < import->files; i++)
        for (int64_t k = 0; k < anchors; k++)
            if (add_sources(import, &import->file[i], part_anchor(part, (int)k), error))
                return -1;
    if (!import->sources)
        return error_set(error, "%s: no %s: there is no tensor %s", import->file->path,
                         part_names[part], part_anchor(part, 0));
    qsort(import->source, (size_t)import->sources, sizeof *import->source, compare_source);
    return 0;
}

/* The one source of that name; NULL where there is none. */
int import_find(const struct import *import, const char *name, const struct source **found,
                struct error *error)
{
    const struct source wanted = {.name = (char *)(uintptr_t)name};
    const struct source *s =
        bsearch(&wanted, import->source, (size_t)import->sources, sizeof wanted, compare_source);
    *found = s;
    for (int way = -1; s && way <= 1; way += 2)
        for (const struct source *o = s + way;
             o >= import->source && o < import->source + import->sources && !strcmp(o->name, name);
             o += way)
            if (o->tensor != s->tensor)
                return error_set(error, "%.200s is in %.80s and in %.80s", name, s->file->path,
                                 o->file->path);
    return 0;
}
