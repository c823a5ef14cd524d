#include "lib/models/weights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 192 };

struct weights {
    struct safetensors file;
    bool declaring, ema, frozen;
    struct parameters *parameters; /* training; not owned */
    const char *const *only;       /* texts in the keys of what learns; NULL: all */
    char prefix[KEY];

    struct safetensor *list; /* declaring: what was asked for; names are owned */
    int64_t count;
    char *metadata[2 * WEIGHTS_METADATA + 1];
    int metadata_count;
};

int weights_open(struct weights **weights, const char *path, bool ema, struct error *error)
{
    struct weights *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(error, "out of memory");
    if (safetensors_open(&w->file, path, error)) {
        free(w);
        return -1;
    }
    w->ema = ema;
    bool averaged = false;
    for (int64_t i = 0; i < w->file.count; i++)
        averaged |= !strncmp(w->file.tensor[i].name, "model_ema.", 10);
    if (ema && !averaged) {
        weights_close(w);
        return error_set(error, "%s holds no averaged weights (model_ema.…)", path);
    }
    *weights = w;
    return 0;
}

int weights_describe(struct weights **weights, const char *path, const struct safetensor *tensor,
                     int64_t count, struct error *error)
{
    struct weights *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(error, "out of memory");
    w->file.path = strdup(path);
    w->file.tensor = calloc((size_t)count + 1, sizeof *tensor);
    if (!w->file.path || !w->file.tensor) {
        weights_close(w);
        return error_set(error, "out of memory");
    }
    for (int64_t i = 0; i < count; i++)
        w->file.tensor[w->file.count++] = tensor[i];
    *weights = w;
    return 0;
}

struct weights *weights_declare(void)
{
    struct weights *w = calloc(1, sizeof *w);
    if (w)
        w->declaring = true;
    return w;
}

void weights_close(struct weights *w)
{
    if (!w)
        return;
    if (!w->declaring)
        safetensors_close(&w->file);
    for (int64_t i = 0; i < w->count; i++)
        free((void *)(uintptr_t)w->list[i].name);
    for (int i = 0; i < 2 * w->metadata_count; i++)
        free(w->metadata[i]);
    free(w->list);
    free(w);
}

int weights_anchor(struct weights *w, const char *anchor, const char *usual, const char *network,
                   struct error *error)
{
    if (w->declaring) {
        snprintf(w->prefix, sizeof w->prefix, "%s", usual);
        return 0;
    }
    size_t length = strlen(anchor), best = sizeof w->prefix;
    for (int64_t i = 0; i < w->file.count; i++) {
        const char *name = w->file.tensor[i].name;
        size_t before = strlen(name) - length;
        if (strlen(name) < length || strcmp(name + before, anchor) || before >= best ||
            (before && name[before - 1] != '.'))
            continue;
        best = before;
        snprintf(w->prefix, sizeof w->prefix, "%.*s", (int)before, name);
    }
    if (best == sizeof w->prefix)
        return error_set(error, "%s holds no %s (no tensor %s)", w->file.path, network, anchor);
    return 0;
}

void weights_averaged_name(const char *name, char *averaged)
{
    if (!strncmp(name, "model.", 6))
        name += 6;
    strcpy(averaged, "model_ema.");
    char *to = averaged + strlen(averaged);
    for (; *name; name++)
        if (*name != '.')
            *to++ = *name;
    *to = 0;
}

const struct safetensor *weights_find(const struct weights *w, const char *key)
{
    char name[2 * KEY], averaged[2 * KEY + 16];
    if (w->declaring)
        return NULL;
    snprintf(name, sizeof name, "%s%s", w->prefix, key);
    if (w->ema) {
        weights_averaged_name(name, averaged);
        const struct safetensor *tensor = safetensors_find(&w->file, averaged);
        if (tensor)
            return tensor;
    }
    return safetensors_find(&w->file, name);
}

static void print_shape(char *text, size_t size, int rank, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %lld" : "%lld", (long long)shape[i]);
    if (at < size)
        snprintf(text + at, size - at, ")");
}

static int declare(struct weights *w, const char *key, int rank, const int64_t *shape,
                   struct error *error)
{
    char name[2 * KEY];
    snprintf(name, sizeof name, "%s%s", w->prefix, key);
    for (int64_t i = 0; i < w->count; i++)
        if (!strcmp(w->list[i].name, name))
            return 0;
    struct safetensor tensor = {.name = strdup(name), .dtype = DTYPE_F32, .rank = rank};
    struct safetensor *list = realloc(w->list, (size_t)(w->count + 1) * sizeof *list);
    if (list)
        w->list = list;
    if (!list || !tensor.name) {
        free((void *)(uintptr_t)tensor.name);
        return error_set(error, "out of memory");
    }
    for (int i = 0; i < rank; i++)
        tensor.shape[i] = shape[i];
    w->list[w->count++] = tensor;
    return 0;
}

void weights_train(struct weights *w, struct parameters *parameters)
{
    w->parameters = parameters;
}

void weights_freeze(struct weights *w, bool frozen)
{
    w->frozen = frozen;
}

void weights_train_only(struct weights *w, const char *const *parts)
{
    w->only = parts;
}

static bool is_frozen(const struct weights *w, const char *key)
{
    bool chosen = !w->only;
    for (const char *const *part = w->only; part && *part; part++)
        chosen |= strstr(key, *part) != NULL;
    return w->frozen || !chosen;
}

bool weights_trains(const struct weights *w)
{
    return w->parameters && !w->frozen;
}

static struct parameter *find_parameter(const struct weights *w, const char *key)
{
    char name[2 * KEY];
    snprintf(name, sizeof name, "%s%s", w->prefix, key);
    return w->parameters ? parameters_find(w->parameters, name) : NULL;
}

float *weights_gradient(const struct weights *w, const char *key)
{
    struct parameter *parameter = is_frozen(w, key) ? NULL : find_parameter(w, key);
    return parameter ? parameter->gradient : NULL;
}

/* Turn a weight of the file into a parameter, unless it is one that stays frozen. */
static int hand_out_parameter(struct weights *w, const char *key, const char *name, bool learns,
                              struct weight *weight, struct error *error)
{
    struct parameter *parameter = find_parameter(w, key);
    bool frozen = is_frozen(w, key);
    if (!parameter && frozen)
        return 0;
    if (!parameter)
        parameter = parameters_add(w->parameters, name, weight, error);
    if (!parameter ||
        (learns && !frozen && parameters_want_gradient(w->parameters, parameter, error)))
        return -1;
    weight->data = parameter->value;
    weight->dtype = DTYPE_F32;
    weight->mapped = false;
    return 0;
}

static int get(struct weights *w, const char *key, int rank, const int64_t *shape, bool learns,
               struct weight *weight, struct error *error)
{
    *weight = (struct weight){.dtype = DTYPE_F32, .rank = rank};
    for (int i = 0; i < rank; i++)
        weight->shape[i] = shape[i];
    if (w->declaring)
        return declare(w, key, rank, shape, error);

    char wanted[128], found[128];
    print_shape(wanted, sizeof wanted, rank, shape);
    const struct safetensor *tensor = weights_find(w, key);
    if (!tensor)
        return error_set(error, "%s: no tensor %s%s %s", w->file.path, w->prefix, key, wanted);
    print_shape(found, sizeof found, tensor->rank, tensor->shape);
    if (strcmp(wanted, found))
        return error_set(error, "%s: %s is %s, the network needs %s", w->file.path, tensor->name,
                         found, wanted);
    if (tensor->dtype != DTYPE_F32 && tensor->dtype != DTYPE_F16 && tensor->dtype != DTYPE_BF16)
        return error_set(error, "%s: %s is neither F32, F16 nor BF16", w->file.path, tensor->name);
    const char *data = tensor->data, *map = w->file.map;
    weight->data = data;
    weight->dtype = tensor->dtype;
    weight->mapped = data >= map && data < map + w->file.map_bytes; /* else a realigned copy */
    if (!w->parameters)
        return 0;
    return hand_out_parameter(w, key, tensor->name, learns, weight, error);
}

int weights_get(struct weights *w, const char *key, int rank, const int64_t *shape,
                struct weight *weight, struct error *error)
{
    return get(w, key, rank, shape, true, weight, error);
}

int weights_get_state(struct weights *w, const char *key, int rank, const int64_t *shape,
                      struct weight *weight, struct error *error)
{
    return get(w, key, rank, shape, false, weight, error);
}

const char *weights_metadata_text(const struct weights *w, const char *key)
{
    for (int i = 0; i < w->metadata_count; i++)
        if (!strcmp(w->metadata[2 * i], key))
            return w->metadata[2 * i + 1];
    return w->declaring ? NULL : safetensors_metadata(&w->file, key);
}

static int bad_metadata(const struct weights *w, const char *key, const char *text,
                        struct error *error)
{
    return error_set(error, "%s: metadata %s = \"%s\" does not read",
                     w->declaring ? "new weights" : w->file.path, key, text);
}

int weights_metadata_int(const struct weights *w, const char *key, int64_t otherwise,
                         int64_t *value, struct error *error)
{
    const char *text = weights_metadata_text(w, key);
    char *end;
    *value = otherwise;
    if (!text)
        return 0;
    errno = 0;
    *value = strtoll(text, &end, 10);
    bool reads = !errno && end != text && !*end && *value >= 1 && *value <= INT32_MAX;
    return reads ? 0 : bad_metadata(w, key, text, error);
}

int weights_metadata_real(const struct weights *w, const char *key, double otherwise, double *value,
                          struct error *error)
{
    const char *text = weights_metadata_text(w, key);
    char *end;
    *value = otherwise;
    if (!text)
        return 0;
    *value = strtod(text, &end);
    return end == text || *end || *value != *value ? bad_metadata(w, key, text, error) : 0;
}

int weights_declare_metadata(struct weights *w, const char *key, const char *value)
{
    char *v = strdup(value);
    for (int i = 0; v && i < w->metadata_count; i++)
        if (!strcmp(w->metadata[2 * i], key)) {
            free(w->metadata[2 * i + 1]);
            w->metadata[2 * i + 1] = v;
            return 0;
        }
    char *k = w->metadata_count < WEIGHTS_METADATA ? strdup(key) : NULL;
    if (!k || !v) {
        free(k);
        free(v);
        return -1;
    }
    w->metadata[2 * w->metadata_count] = k;
    w->metadata[2 * w->metadata_count + 1] = v;
    w->metadata_count++;
    return 0;
}

int64_t weights_declared(const struct weights *w, const struct safetensor **list)
{
    *list = w->list;
    return w->count;
}

int64_t weights_parameters(const struct weights *w)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < w->count; i++) {
        int64_t count = 1;
        for (int k = 0; k < w->list[i].rank; k++)
            count *= w->list[i].shape[k];
        sum += count;
    }
    return sum;
}

const struct safetensors *weights_file(const struct weights *w)
{
    return w->declaring ? NULL : &w->file;
}

const char *const *weights_declared_metadata(const struct weights *w)
{
    return (const char *const *)w->metadata;
}
