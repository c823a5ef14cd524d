#include "lib/core/random.h"
#include "lib/models/fresh.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers are made and written this many at a time. */
enum { CHUNK = 1 << 20 };

/* 64-bit FNV-1a: a tensor's numbers are keyed by its name, not by its place in the file. */
static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* How a tensor starts. */
enum distribution { CONSTANT, UNIFORM, NORMAL };

struct start {
    enum distribution distribution;
    float value; /* the constant, or the bound of the uniform distribution */
};

static float bound(const struct safetensor *kernel)
{
    double fan_in = 1;
    for (int i = 1; i < kernel->rank; i++)
        fan_in *= (double)kernel->shape[i];
    return (float)(1 / sqrt(fan_in));
}

/* before: the tensor listed before this one; a bias follows its weight. */
static struct start start_of(const struct safetensor *tensor, const struct safetensor *before)
{
    if (ends_with(tensor->name, "embedding.weight"))
        return (struct start){NORMAL, 1};
    if (strstr(tensor->name, "mix_factor"))
        return (struct start){CONSTANT, -2};
    if (tensor->rank > 1)
        return (struct start){UNIFORM, bound(tensor)};
    if (ends_with(tensor->name, ".bias") && before->rank > 1)
        return (struct start){UNIFORM, bound(before)};
    return (struct start){CONSTANT, ends_with(tensor->name, ".bias") ? 0 : 1};
}

static void fill(struct start start, struct random_key *key, float *out, int64_t count)
{
    if (start.distribution == NORMAL)
        random_normal(key, out, count);
    else if (start.distribution == UNIFORM)
        random_uniform(key, -start.value, start.value, out, count);
    else
        for (int64_t i = 0; i < count; i++)
            out[i] = start.value;
}

static int write_tensor(struct safetensors_writer *writer, const struct safetensor *tensor,
                        struct start start, uint64_t seed, float *buffer, struct error *error)
{
    struct random_key key = {
        .seed = seed, .stage = RANDOM_WEIGHTS, .array = (int64_t)(hash(tensor->name) >> 1)};
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    for (; count > 0; count -= CHUNK, key.slice++) {
        int64_t now = count < CHUNK ? count : CHUNK;
        fill(start, &key, buffer, now);
        if (safetensors_writer_write(writer, buffer, now * (int64_t)sizeof(float), error))
            return -1;
    }
    return 0;
}

static int write_all(struct safetensors_writer *writer, const struct weights *weights,
                     uint64_t seed, struct error *error)
{
    const struct safetensor *list;
    int64_t count = weights_declared(weights, &list);
    float *buffer = malloc(CHUNK * sizeof *buffer);
    int status = buffer ? 0 : error_set(error, "out of memory");
    for (int64_t i = 0; i < count && !status; i++)
        status = write_tensor(writer, &list[i], start_of(&list[i], &list[i ? i - 1 : 0]), seed,
                              buffer, error);
    free(buffer);
    return status;
}

int fresh_write(const struct weights *weights, uint64_t seed, const char *history, const char *path,
                struct error *error)
{
    const struct safetensor *list;
    int64_t count = weights_declared(weights, &list);
    const char *metadata[16] = {NULL};
    int n = 0;
    for (const char *const *m = weights_declared_metadata(weights); *m && n < 12; m++)
        metadata[n++] = *m;
    if (history) {
        metadata[n++] = "history";
        metadata[n++] = history;
    }
    struct safetensors_writer *writer;
    if (safetensors_writer_open(&writer, path, list, count, metadata, error))
        return -1;
    if (write_all(writer, weights, seed, error)) {
        safetensors_writer_abort(writer);
        return -1;
    }
    return safetensors_writer_close(writer, error);
}
