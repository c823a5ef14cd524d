#include "lib/checkpoint/import_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names in a message, as many as fit, and their number. */
struct names {
    char text[256];
    int64_t count;
};

static void add_name(struct names *names, const char *name)
{
    size_t at = strlen(names->text);
    snprintf(names->text + at, sizeof names->text - at, names->count++ ? ", %s" : "%s", name);
}

static bool is_real(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64;
}

static void print_shape(char *text, size_t size, int rank, const int64_t *shape)
{
    snprintf(text, size, "(");
    for (int i = 0; i < rank; i++) {
        size_t at = strlen(text);
        snprintf(text + at, size - at, i ? ", %lld" : "%lld", (long long)shape[i]);
    }
    strncat(text, ")", size - strlen(text) - 1);
}

static int check(const struct source *source, const struct safetensor *wanted, struct error *error)
{
    const struct checkpoint_tensor *t = source->tensor;
    char is[96], needed[96];
    print_shape(is, sizeof is, t->rank, t->shape);
    print_shape(needed, sizeof needed, wanted->rank, wanted->shape);
    if (strcmp(is, needed))
        return error_set(error, "%s: %.200s is %s, the network needs %s", source->file->path,
                         t->name, is, needed);
    if (!is_real(t->storage.dtype))
        return error_set(error, "%s: %.200s holds whole numbers (%s)", source->file->path, t->name,
                         safetensors_dtype_name(t->storage.dtype));
    return 0;
}

static int choose(struct import *import, const char *name, struct source source,
                  const struct safetensor *wanted, struct error *error)
{
    if (check(&source, wanted, error))
        return -1;
    source.name = strdup(name);
    if (!source.name)
        return error_set(error, "out of memory");
    import->chosen[import->chosen_count++] = source;
    return 0;
}

/* The source of a wanted tensor and its average, or the average alone. */
static int choose_both(struct import *import, const struct source *source,
                       const struct safetensor *wanted, struct names *without, struct error *error)
{
    bool ema = import->settings->ema;
    char name[IMPORT_NAME + 16];
    struct source average = *source;
    if (strlen(source->tensor->name) >= IMPORT_NAME || strlen(wanted->name) >= IMPORT_NAME)
        return error_set(error, "%s: a name of more than %d bytes", source->file->path,
                         IMPORT_NAME);
    weights_averaged_name(source->tensor->name, name);
    average.tensor = checkpoint_find(source->file, name);
    if (!average.tensor)
        add_name(without, name);
    else
        import->averages++;
    if (!ema && choose(import, wanted->name, *source, wanted, error))
        return -1;
    weights_averaged_name(wanted->name, name);
    if (!average.tensor)
        return 0;
    return choose(import, ema ? wanted->name : name, average, wanted, error);
}

static int check_complete(const struct import *import, const struct names *missing,
                          const struct names *without, int64_t wanted, struct error *error)
{
    const char *path = import->file->path, *part = part_names[import->settings->part];
    if (missing->count)
        return error_set(error, "%s: %lld of the %lld tensors of %s are missing: %s", path,
                         (long long)missing->count, (long long)wanted, part, missing->text);
    if (import->settings->ema && !import->averages)
        return error_set(error, "%s: holds no averages of %s (no %.100s)", path, part,
                         without->text);
    if (import->averages && without->count)
        return error_set(error, "%s: %lld of the %lld averages of %s are missing: %s", path,
                         (long long)without->count, (long long)wanted, part, without->text);
    return 0;
}

int import_choose(struct import *import, const struct safetensor *list, int64_t count,
                  struct error *error)
{
    struct names missing = {0}, without = {0};
    int64_t wanted = 0;
    import->chosen = calloc(2 * (size_t)count + 1, sizeof *import->chosen);
    if (!import->chosen)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < count; i++) {
        const struct source *source;
        if (!part_has(import->settings->part, list[i].name))
            continue;
        wanted++;
        if (import_find(import, list[i].name, &source, error))
            return -1;
        if (!source)
            add_name(&missing, list[i].name);
        else if (choose_both(import, source, &list[i], &without, error))
            return -1;
    }
    return check_complete(import, &missing, &without, wanted, error);
}
