#include "lib/training/state.h"

#include "lib/engine/memory.h"
#include "lib/training/tensor_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBER = 40, NUMBERS = 2 + STATE_SETS + STATE_NUMBERS, PREFIX = 24, NAME = 512 };

void state_destroy(struct training_state *s)
{
    for (int i = 0; i < s->sets; i++)
        adamw_destroy(&s->adamw[i]);
    ema_destroy(&s->ema);
}

int64_t state_bytes(const struct parameters *parameters, bool averaged)
{
    int64_t floats = (averaged ? 4 : 3) * parameters_learning(parameters);
    for (int64_t i = 0; i < parameters->count; i++)
        floats += parameters->list[i]->count;
    return floats * (int64_t)sizeof(float);
}

static struct safetensor tensor_of(const struct parameter *p, const float *data)
{
    struct safetensor tensor = {.name = p->name, .dtype = DTYPE_F32, .rank = p->rank, .data = data};
    memcpy(tensor.shape, p->shape, sizeof p->shape);
    return tensor;
}

/* The state's arrays in a fixed order: a call for each with its prefix. */
typedef int visit_function(void *context, const char *prefix, const struct parameter *parameter,
                           float *data, struct error *error);

static int visit(const struct training_state *s, visit_function *function, void *context,
                 struct error *error)
{
    for (int i = 0; i < s->sets; i++) {
        char value[PREFIX], m[PREFIX], v[PREFIX];
        int64_t at = 0;
        snprintf(value, sizeof value, "%d.value.", i);
        snprintf(m, sizeof m, "%d.m.", i);
        snprintf(v, sizeof v, "%d.v.", i);
        for (int64_t k = 0; k < s->parameters[i]->count; k++) {
            const struct parameter *p = s->parameters[i]->list[k];
            bool averaged = p->gradient && s->ema.parameters == s->parameters[i];
            if (function(context, value, p, p->value, error) ||
                (p->gradient && (function(context, m, p, s->adamw[i].m + at, error) ||
                                 function(context, v, p, s->adamw[i].v + at, error))) ||
                (averaged && function(context, "ema.", p, s->ema.average + at, error)))
                return -1;
            at += p->gradient ? p->count : 0;
        }
    }
    return 0;
}

static const struct backend *backend_of(const struct training_state *s)
{
    return s->parameters[0]->backend;
}

static int list_one(void *context, const char *prefix, const struct parameter *p, float *data,
                    struct error *error)
{
    struct safetensor tensor = tensor_of(p, data);
    return tensor_list_add(context, prefix, &tensor, error);
}

/* The state's numbers as text, exactly. */
static void format_numbers(const struct training_state *s, char text[NUMBERS][NUMBER])
{
    snprintf(text[0], NUMBER, "%" PRId64, s->step);
    snprintf(text[1], NUMBER, "%" PRId64, s->ema.updates);
    for (int i = 0; i < STATE_SETS; i++)
        snprintf(text[2 + i], NUMBER, "%" PRId64, s->adamw[i].updates);
    for (int i = 0; i < STATE_NUMBERS; i++)
        snprintf(text[2 + STATE_SETS + i], NUMBER, "%a", s->number[i]);
}

static const char *const number_names[NUMBERS] = {"step",    "averaged", "updates0", "updates1",
                                                  "number0", "number1",  "number2",  "number3"};

int state_save(const struct training_state *s, const char *command, const char *path,
               struct error *error)
{
    char text[NUMBERS][NUMBER];
    const char *metadata[2 * NUMBERS + 3] = {"command", command};
    struct tensor_list list = {0};
    format_numbers(s, text);
    for (int i = 0; i < NUMBERS; i++) {
        metadata[2 + 2 * i] = number_names[i];
        metadata[3 + 2 * i] = text[i];
    }
    int status = visit(s, list_one, &list, error);
    if (!status)
        status = tensor_list_write(&list, backend_of(s), path, metadata, error);
    tensor_list_free(&list);
    return status;
}

/* The file that a state is read from, and where its arrays are. */
struct source {
    const struct safetensors *file;
    const struct backend *backend;
};

static int load_one(void *context, const char *prefix, const struct parameter *p, float *data,
                    struct error *error)
{
    const struct source *source = context;
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    const struct safetensor *tensor = safetensors_find(source->file, name);
    if (!tensor || tensor->dtype != DTYPE_F32 || tensor->bytes != p->count * (int64_t)sizeof *data)
        return error_set(error, "it holds no %s of %" PRId64 " numbers", name, p->count);
    return memory_write(source->backend, data, tensor->data, p->count, error);
}

static int load_numbers(struct training_state *s, const struct safetensors *file,
                        struct error *error)
{
    int64_t *whole[2 + STATE_SETS] = {&s->step, &s->ema.updates, &s->adamw[0].updates,
                                      &s->adamw[1].updates};
    for (int i = 0; i < NUMBERS; i++) {
        const char *text = safetensors_metadata(file, number_names[i]);
        char *end = NULL;
        if (text && i < 2 + STATE_SETS)
            *whole[i] = strtoll(text, &end, 10);
        else if (text)
            s->number[i - 2 - STATE_SETS] = strtod(text, &end);
        if (!text || end == text || *end)
            return error_set(error, "its metadata has no %s", number_names[i]);
    }
    return 0;
}

int state_load(struct training_state *s, const char *command, const char *path, struct error *error)
{
    struct safetensors file;
    if (access(path, F_OK) && errno == ENOENT)
        return 0;
    if (safetensors_open(&file, path, error))
        return -1;
    struct source source = {&file, backend_of(s)};
    const char *other = safetensors_metadata(&file, "command");
    int status = 1;
    if (!other)
        status = error_set(error, "not a checkpoint");
    else if (strcmp(other, command))
        status = error_set(error,
                           "is of another run (%s): give the same command to continue it, remove "
                           "it, or give another -o",
                           other);
    else if (load_numbers(s, &file, error) || visit(s, load_one, &source, error))
        status = -1;
    safetensors_close(&file);
    return status < 0 ? error_prefix(error, "%s", path) : status;
}

/* Trained tensors first, then what else the file holds: wide types before narrow ones. */
static int list_weights(const struct training_state *s, const struct safetensors *file,
                        struct tensor_list *list, struct error *error)
{
    static const char adversary[] = "loss.discriminator.", averaged[] = "model_ema.";
    char name[NAME];
    for (int i = 0; i < s->sets; i++)
        for (int64_t k = 0, at = 0; k < s->parameters[i]->count; k++) {
            const struct parameter *p = s->parameters[i]->list[k];
            struct safetensor tensor = tensor_of(p, p->value);
            bool prefixed = i > 0 && strncmp(p->name, adversary, sizeof adversary - 1);
            if (tensor_list_add(list, prefixed ? adversary : "", &tensor, error))
                return -1;
            if (i == 0 && p->gradient && s->ema.parameters) {
                weights_averaged_name(p->name, name);
                tensor.name = name;
                tensor.data = s->ema.average + at;
                at += p->count;
                if (tensor_list_add(list, "", &tensor, error))
                    return -1;
            }
        }
    for (int64_t width = 8; width > 0; width /= 2)
        for (int64_t i = 0; i < file->count; i++) {
            const struct safetensor *tensor = &file->tensor[i];
            bool old = !strncmp(tensor->name, averaged, sizeof averaged - 1) ||
                       (s->sets > 1 && !strncmp(tensor->name, adversary, sizeof adversary - 1));
            if (dtype_size(tensor->dtype) == width && !old &&
                !parameters_find(s->parameters[0], tensor->name) &&
                tensor_list_add(list, "", tensor, error))
                return -1;
        }
    return 0;
}

/* The metadata of the file with what was declared in its place. */
static const char **list_metadata(const struct weights *w)
{
    const struct safetensors *file = weights_file(w);
    const char *const *declared = weights_declared_metadata(w);
    int64_t count = file->metadata_count, n = 0;
    while (declared[n])
        n++;
    const char **list = calloc((size_t)(2 * count + n + 1), sizeof *list);
    if (!list)
        return NULL;
    memcpy(list, declared, (size_t)n * sizeof *list);
    for (int64_t i = 0; i < count; i++) {
        const char *key = file->metadata_key[i];
        bool replaced = false;
        for (const char *const *d = declared; *d; d += 2)
            replaced |= !strcmp(*d, key);
        if (!replaced) {
            list[n++] = key;
            list[n++] = file->metadata_value[i];
        }
    }
    return list;
}

int state_write_weights(const struct training_state *s, const struct weights *weights,
                        const char *path, struct error *error)
{
    struct tensor_list list = {0};
    const char **metadata = list_metadata(weights);
    int status = metadata ? list_weights(s, weights_file(weights), &list, error)
                          : error_set(error, "out of memory");
    if (!status)
        status = tensor_list_write(&list, backend_of(s), path, metadata, error);
    tensor_list_free(&list);
    free(metadata);
    return status;
}
