#include "lib/io/array.h"

#include <stdio.h>
#include <string.h>

int64_t array_slices(const struct array *array)
{
    return array->rank ? array->shape[0] : 1;
}

int64_t array_slice_count(const struct array *array)
{
    int64_t count = 1;
    for (int axis = 1; axis < array->rank; axis++)
        count *= array->shape[axis];
    return count;
}

int64_t array_count(const struct array *array)
{
    return array_slices(array) * array_slice_count(array);
}

int64_t array_bytes(const struct array *array)
{
    return array_count(array) * dtype_size(array->dtype);
}

int64_t array_batch(const struct array *array, int64_t left)
{
    enum { BATCH_BYTES = 1 << 18 };
    int64_t batch = BATCH_BYTES / (array_slice_count(array) * dtype_size(array->dtype));
    return batch < 1 ? 1 : batch < left ? batch : left;
}

int array_check(const struct array *array, struct error *error)
{
    char text[256];
    if (array->rank < 0 || array->rank > ARRAY_RANK)
        return error_set(error, "an array of %d axes; at most %d are supported", array->rank,
                         ARRAY_RANK);
    int64_t bytes = dtype_size(array->dtype);
    bool overflow = false;
    for (int axis = 0; axis < array->rank; axis++) {
        if (array->shape[axis] <= 0)
            return error_set(error, "an array without elements: %s",
                             array_describe(array, text, sizeof text));
        overflow |= __builtin_mul_overflow(bytes, array->shape[axis], &bytes);
    }
    if (overflow)
        return error_set(error, "absurd shape: %s", array_describe(array, text, sizeof text));
    return 0;
}

const char *array_describe(const struct array *array, char *text, int size)
{
    size_t room = (size_t)size;
    size_t used = (size_t)snprintf(text, room, "%s (", dtype_name(array->dtype));
    for (int axis = 0; axis < array->rank && used < room; axis++)
        used += (size_t)snprintf(text + used, room - used, "%s%lld", axis ? ", " : "",
                                 (long long)array->shape[axis]);
    if (used < room)
        snprintf(text + used, room - used, array->rank == 1 ? ",)" : ")");
    return text;
}

static const struct {
    const char *name;
    enum dtype dtype;
} dtype_names[] = {
    {"f4", DTYPE_F32},  {"f2", DTYPE_F16}, {"bf16", DTYPE_BF16}, {"f8", DTYPE_F64},
    {"u1", DTYPE_U8},   {"i1", DTYPE_I8},  {"u2", DTYPE_U16},    {"i2", DTYPE_I16},
    {"u4", DTYPE_U32},  {"i4", DTYPE_I32}, {"u8", DTYPE_U64},    {"i8", DTYPE_I64},
    {"b1", DTYPE_BOOL},
};
enum { DTYPE_NAMES = sizeof dtype_names / sizeof dtype_names[0] };

const char *dtype_name(enum dtype dtype)
{
    for (int i = 0; i < DTYPE_NAMES; i++)
        if (dtype_names[i].dtype == dtype)
            return dtype_names[i].name;
    return "?";
}

int dtype_from_name(const char *name, enum dtype *dtype)
{
    for (int i = 0; i < DTYPE_NAMES; i++)
        if (!strcmp(dtype_names[i].name, name)) {
            *dtype = dtype_names[i].dtype;
            return 0;
        }
    return -1;
}

void array_unpadded(const struct array *array, int64_t extent[3])
{
    for (int i = 0; i < 3; i++) {
        extent[i] = array->shape[array->rank == 4 && i > 0 ? i + 1 : i];
        if (array->original[i] > 0) {
            double scale = array->padded[i] > 0 ? (double)extent[i] / (double)array->padded[i] : 1;
            double scaled = (double)array->original[i] * scale + 0.5;
            if (scaled < (double)extent[i])
                extent[i] = scaled >= 1 ? (int64_t)scaled : 1;
        }
    }
}

void array_derive(struct array *to, const struct array *from)
{
    memcpy(to->spacing, from->spacing, sizeof to->spacing);
    memcpy(to->original, from->original, sizeof to->original);
    memcpy(to->padded, from->padded, sizeof to->padded);
    to->index = from->index;
    to->of = from->of;
    memcpy(to->history, from->history, sizeof to->history);
}

void array_cut_history(struct array *array)
{
    static const char cut[] = "(earlier stages cut)";
    char *oldest = array->history;
    if (!strncmp(oldest, cut, sizeof cut - 1))
        oldest += sizeof cut - 1 + (oldest[sizeof cut - 1] == '\n');
    const char *rest = strchr(oldest, '\n');
    while (rest && sizeof cut + strlen(rest) > ARRAY_HISTORY) /* the entry may be short */
        rest = strchr(rest + 1, '\n');
    memmove(array->history + sizeof cut - 1, rest ? rest : "", rest ? strlen(rest) + 1 : 1);
    memcpy(array->history, cut, sizeof cut - 1);
}

void array_add_history(struct array *array, const char *command_line)
{
    size_t length = strlen(command_line);
    if (length > ARRAY_HISTORY / 2) /* cut the line itself, so that earlier stages stay */
        length = ARRAY_HISTORY / 2;
    while (strlen(array->history) + 1 + length >= ARRAY_HISTORY)
        array_cut_history(array);
    size_t used = strlen(array->history);
    if (used)
        array->history[used++] = '\n';
    for (size_t i = 0; i < length; i++)
        array->history[used + i] = command_line[i] == '\n' ? ' ' : command_line[i];
    array->history[used + length] = 0;
}
