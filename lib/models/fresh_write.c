#include "lib/core/random.h"
#include "lib/io/array.h"
#include "lib/models/fresh.h"

#include <math.h>
#include <stdio.h>
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
enum distribution {
    CONSTANT,
    UNIFORM,
    NORMAL,
    IDENTITY, /* of a 1×1 kernel: (C, C) */
    STRETCH,  /* of a transposed convolution, (C, C, 4, 4, 4) */
};

struct start {
    enum distribution distribution;
    float value; /* the constant, or the bound of the uniform distribution */
};

/* Where SiLU is nearly the identity for what a norm leaves: x + 3 ± 2. */
static const float straight = 3;

static float bound(const struct safetensor *kernel)
{
    double fan_in = 1;
    for (int i = 1; i < kernel->rank; i++)
        fan_in *= (double)kernel->shape[i];
    return (float)(1 / sqrt(fan_in));
}

/* The latent super-resolution starts as what its name says: channels pass, normalized, and are
 * stretched along D linearly. Returns whether the tensor is of it and starts so. */
static bool starts_as_stretch(const struct safetensor *tensor, struct start *start)
{
    static const struct {
        const char *end;
        enum distribution distribution;
        float value;
    } starts[] = {
        {"SR3D.final_block.0.bias", CONSTANT, straight},
        {"SR3D.conv_blocks.0.up.convt.bias", CONSTANT, -straight},
        {".up.convt.bias", CONSTANT, 0},
        {".up.convt.weight", STRETCH, 0},
        {".res1.conv2.conv.weight", CONSTANT, 0},
        {".res1.conv2.conv.bias", CONSTANT, 0},
        {"quant_conv_3D.weight", IDENTITY, 0},
        {"quant_conv_3D.bias", CONSTANT, 0},
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (ends_with(tensor->name, starts[i].end)) {
            *start = (struct start){starts[i].distribution, starts[i].value};
            return true;
        }
    return false;
}

/* A kernel before a batch norm with statistics of its own, and a ReLU: with weights of variance
 * 2/fan_in (He et al., ICCV 2015) maps keep their size; by PyTorch's default the features of the
 * Inception network would be of order 1e-8. */
static bool keeps_size(const struct safetensor *kernel, const struct safetensor *after)
{
    return ends_with(kernel->name, ".conv.weight") && ends_with(after->name, ".bn.weight");
}

/* before, after: the tensors listed before this one, where a bias has its weight, and after it. */
static struct start start_of(const struct safetensor *tensor, const struct safetensor *before,
                             const struct safetensor *after)
{
    struct start start;
    if (starts_as_stretch(tensor, &start))
        return start;
    if (ends_with(tensor->name, "embedding.weight"))
        return (struct start){NORMAL, 1};
    if (strstr(tensor->name, "mix_factor"))
        return (struct start){CONSTANT, -2};
    if (ends_with(tensor->name, "running_mean"))
        return (struct start){CONSTANT, 0};
    if (tensor->rank > 1)
        return (struct start){UNIFORM, bound(tensor) * (keeps_size(tensor, after) ? sqrtf(6) : 1)};
    if (ends_with(tensor->name, ".bias") && before->rank > 1)
        return (struct start){UNIFORM, bound(before)};
    return (struct start){CONSTANT, ends_with(tensor->name, ".bias") ? 0 : 1};
}

/* Kernels that pass each channel to itself, of `taps` taps each. */
static void fill_diagonal(const float *kernel, int64_t taps, float *out, int64_t count)
{
    int64_t channels = llround(sqrt((double)(count / taps)));
    memset(out, 0, (size_t)count * sizeof *out);
    for (int64_t c = 0; c < channels; c++)
        memcpy(out + c * (channels + 1) * taps, kernel, (size_t)taps * sizeof *out);
}

static void fill(struct start start, struct random_key *key, float *out, int64_t count)
{
    /* The tap (1, 1) of H and W leaves a voxel where it is (lib/models/nhae.c pads before). */
    static const float stretch[4][4][4] = {
        {[1] = {0, 0.25f}}, {[1] = {0, 0.75f}}, {[1] = {0, 0.75f}}, {[1] = {0, 0.25f}}};
    if (start.distribution == NORMAL)
        random_normal(key, out, count);
    else if (start.distribution == UNIFORM)
        random_uniform(key, -start.value, start.value, out, count);
    else if (start.distribution == IDENTITY)
        fill_diagonal(&(const float){1}, 1, out, count);
    else if (start.distribution == STRETCH)
        fill_diagonal(&stretch[0][0][0], sizeof stretch / sizeof(float), out, count);
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

/* A tensor of another file, in f32. */
static int copy_tensor(struct safetensors_writer *writer, const struct safetensor *tensor,
                       const struct safetensor *from, float *buffer, struct error *error)
{
    if (from->rank != tensor->rank ||
        memcmp(from->shape, tensor->shape, (size_t)tensor->rank * sizeof *tensor->shape))
        return error_set(error, "%s has another shape in the file that it is taken from",
                         tensor->name);
    if (from->dtype != DTYPE_F32 && from->dtype != DTYPE_F16 && from->dtype != DTYPE_BF16)
        return error_set(error, "%s is neither F32, F16 nor BF16", tensor->name);
    int64_t size = dtype_size(from->dtype), count = from->bytes / size;
    for (int64_t at = 0; at < count; at += CHUNK) {
        int64_t now = count - at < CHUNK ? count - at : CHUNK;
        array_to_f32((const char *)from->data + at * size, from->dtype, buffer, now);
        if (safetensors_writer_write(writer, buffer, now * (int64_t)sizeof(float), error))
            return -1;
    }
    return 0;
}

static int write_all(struct safetensors_writer *writer, const struct weights *weights,
                     const struct safetensors *from, uint64_t seed, struct error *error)
{
    const struct safetensor *list;
    int64_t count = weights_declared(weights, &list);
    float *buffer = malloc(CHUNK * sizeof *buffer);
    int status = buffer ? 0 : error_set(error, "out of memory");
    for (int64_t i = 0; i < count && !status; i++) {
        const struct safetensor *known = from ? safetensors_find(from, list[i].name) : NULL;
        struct start start =
            start_of(&list[i], &list[i ? i - 1 : 0], &list[i + 1 < count ? i + 1 : i]);
        status = known ? copy_tensor(writer, &list[i], known, buffer, error)
                       : write_tensor(writer, &list[i], start, seed, buffer, error);
    }
    free(buffer);
    return status;
}

/* The declared metadata and the history into `list`, which has room; the caller frees *history. */
static int list_metadata(const struct weights *weights, const struct safetensors *from,
                         const char *command, const char **list, char **history)
{
    const char *before = from ? safetensors_metadata(from, "history") : NULL;
    if (asprintf(history, "%s%s%s", before ? before : "", before ? "\n" : "", command) < 0)
        return -1;
    for (const char *const *m = weights_declared_metadata(weights); *m; m++)
        *list++ = *m;
    *list++ = "history";
    *list++ = *history;
    *list = NULL;
    return 0;
}

static int write_file(const struct weights *weights, uint64_t seed, const struct safetensors *from,
                      const char *command, const char *path, struct error *error)
{
    const struct safetensor *list;
    int64_t count = weights_declared(weights, &list);
    const char *metadata[2 * WEIGHTS_METADATA + 3];
    char *history;
    struct safetensors_writer *writer;
    if (list_metadata(weights, from, command, metadata, &history))
        return error_set(error, "out of memory");
    int status = safetensors_writer_open(&writer, path, list, count, metadata, error);
    free(history);
    if (status)
        return -1;
    if (!write_all(writer, weights, from, seed, error))
        return safetensors_writer_close(writer, error);
    safetensors_writer_abort(writer);
    return -1;
}

int fresh_write(const struct weights *weights, uint64_t seed, const char *from, const char *command,
                const char *path, struct error *error)
{
    struct safetensors file;
    if (from && safetensors_open(&file, from, error))
        return -1;
    int status = write_file(weights, seed, from ? &file : NULL, command, path, error);
    if (from)
        safetensors_close(&file);
    return status;
}
