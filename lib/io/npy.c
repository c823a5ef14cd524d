#include "lib/io/npy.h"

#include "lib/io/metadata.h"

#include <stdio.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
static const char metadata_mark[] = "# octpipe {", trailer_mark[] = "# octpipe trailer";

int npy_measure(const unsigned char start[NPY_START], int *offset, int64_t *length,
                struct error *error)
{
    if (memcmp(start, magic, sizeof magic - 1))
        return error_set(error, "not an NPY array (bad magic)");
    int major = start[6];
    if (major < 1 || major > 3 || start[7] != 0)
        return error_set(error, "NPY version %d.%d is not known", major, start[7]);
    *offset = major == 1 ? 10 : 12;
    *length = start[8] | start[9] << 8;
    if (major > 1)
        *length |= (int64_t)start[10] << 16 | (int64_t)start[11] << 24;
    if (*length >= NPY_HEADER)
        return error_set(error, "an NPY header of %lld bytes; at most %d are read",
                         (long long)*length, NPY_HEADER);
    return 0;
}

/* The dictionary is read by functions that move *at past what they take, or return −1. */

static int take(const char **at, char character)
{
    *at += strspn(*at, " \t\n");
    if (**at != character)
        return -1;
    ++*at;
    return 0;
}

static int take_string(const char **at, char *text, size_t size)
{
    *at += strspn(*at, " \t\n");
    char quote = **at;
    if (quote != '\'' && quote != '"')
        return -1;
    const char *end = strchr(*at + 1, quote);
    size_t length = end ? (size_t)(end - *at) - 1 : size;
    if (length >= size)
        return -1;
    memcpy(text, *at + 1, length);
    text[length] = 0;
    *at = end + 1;
    return 0;
}

static int take_bool(const char **at, bool *value)
{
    *at += strspn(*at, " \t\n");
    *value = !strncmp(*at, "True", 4);
    if (!*value && strncmp(*at, "False", 5))
        return -1;
    *at += *value ? 4 : 5;
    return 0;
}

/* An extent beyond int64_t becomes INT64_MAX, which array_check refuses with other extents, and
 * the slice limit of the reader alone. */
static int take_extent(const char **at, int64_t *extent)
{
    *at += strspn(*at, " \t\n");
    size_t digits = strspn(*at, "0123456789");
    if (!digits)
        return -1;
    *extent = 0;
    for (; digits; digits--, ++*at)
        if (__builtin_mul_overflow(*extent, 10, extent) ||
            __builtin_add_overflow(*extent, **at - '0', extent))
            *extent = INT64_MAX;
    *at += **at == 'L'; /* as NumPy wrote them under Python 2 */
    return 0;
}

static int take_shape(const char **at, struct array *array)
{
    if (take(at, '('))
        return -1;
    for (array->rank = 0; take(at, ')'); array->rank++) {
        if (array->rank == ARRAY_RANK || take_extent(at, &array->shape[array->rank]))
            return -1;
        if (take(at, ',') && **at != ')')
            return -1;
    }
    return 0;
}

static int take_type(const char **at, struct npy_header *header, struct error *error)
{
    char type[16];
    if (take_string(at, type, sizeof type))
        return error_set(error, "structured types are not supported");
    for (char *letter = type; *letter; letter++) /* it may stand in a message */
        *letter = *letter > ' ' && *letter <= '~' ? *letter : '?';
    if (strlen(type) != 3 || !strchr("<>=|", type[0]) ||
        dtype_from_name(type + 1, &header->array.dtype))
        return error_set(
            error, "type '%s' is not supported; f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 are", type);
    header->big_endian = type[0] == '>';
    return 0;
}

/* The dictionary up to its closing brace. */
static int take_dictionary(const char **at, struct npy_header *header, bool *fortran,
                           struct error *error)
{
    bool type = false, order = false, shape = false;
    int status = take(at, '{');
    while (!status && take(at, '}')) {
        char key[16];
        status = take_string(at, key, sizeof key) || take(at, ':');
        if (status)
            break;
        if (!strcmp(key, "descr")) {
            if (take_type(at, header, error))
                return -1;
            type = true;
        } else if (!strcmp(key, "fortran_order")) {
            status = take_bool(at, fortran);
            order = true;
        } else {
            status = strcmp(key, "shape") || take_shape(at, &header->array);
            shape = true;
        }
        if (take(at, ',') && **at != '}')
            status = -1;
    }
    if (status || !type || !order || !shape)
        return error_set(error,
                         "damaged NPY header: not a dictionary of descr, fortran_order and "
                         "a shape of at most %d axes",
                         ARRAY_RANK);
    return 0;
}

/* Fortran order is C order when at most one axis is longer than 1. */
static bool order_matters(const struct array *array)
{
    int longer = 0;
    for (int axis = 0; axis < array->rank; axis++)
        longer += array->shape[axis] > 1;
    return longer > 1;
}

int npy_parse(const char *text, int64_t length, struct npy_header *header, struct error *error)
{
    *header = (struct npy_header){0};
    bool fortran = false;
    const char *at = text;
    if ((int64_t)strlen(text) != length)
        return error_set(error, "damaged NPY header: it holds a zero byte");
    if (take_dictionary(&at, header, &fortran, error) || array_check(&header->array, error))
        return -1;
    if (fortran && order_matters(&header->array))
        return error_set(error, "an array in Fortran order; save numpy.ascontiguousarray(a)");
    at += strspn(at, " \t\n");
    if (*at && *at != '#')
        return error_set(error, "damaged NPY header: text after the dictionary");
    if (!strncmp(at, trailer_mark, sizeof trailer_mark - 1))
        header->role = NPY_TRAILER;
    else if (!strncmp(at, metadata_mark, sizeof metadata_mark - 1))
        return metadata_parse(at + sizeof metadata_mark - 2, &header->array, error);
    return 0;
}

/* Magic, version 1.0 and length around the dictionary that is at text + 10, padded with spaces
 * and ended by a newline, so that the length is a multiple of NPY_ALIGNMENT; that length. */
static int finish(char *text)
{
    int used = 10 + (int)strlen(text + 10);
    int length = (used + NPY_ALIGNMENT) / NPY_ALIGNMENT * NPY_ALIGNMENT;
    memset(text + used, ' ', (size_t)(length - used));
    text[length - 1] = '\n';
    memcpy(text, magic, sizeof magic - 1);
    text[6] = 1;
    text[7] = 0;
    text[8] = (char)((length - 10) & 255);
    text[9] = (char)((length - 10) >> 8);
    return length;
}

int npy_format(const struct array *array, char text[NPY_WRITTEN], int *length, struct error *error)
{
    if (array->dtype == DTYPE_BF16)
        return error_set(error, "NPY has no type for bf16");
    if (array_check(array, error))
        return -1;
    char order = dtype_size(array->dtype) == 1 ? '|' : '<';
    int used = snprintf(text + 10, NPY_WRITTEN - 10,
                        "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order,
                        dtype_name(array->dtype)) +
               10;
    for (int axis = 0; axis < array->rank; axis++)
        used += snprintf(text + used, (size_t)(NPY_WRITTEN - used), "%s%lld", axis ? ", " : "",
                         (long long)array->shape[axis]);
    used +=
        snprintf(text + used, (size_t)(NPY_WRITTEN - used), array->rank == 1 ? ",), }" : "), }");
    if (array->marked) {
        char json[METADATA_SIZE];
        if (metadata_format(array, json, error))
            return -1;
        snprintf(text + used, (size_t)(NPY_WRITTEN - used), " # octpipe %s", json);
    }
    *length = finish(text);
    return 0;
}

int npy_format_trailer(int64_t bytes, char text[NPY_WRITTEN])
{
    snprintf(text + 10, NPY_WRITTEN - 10,
             "{'descr': '|u1', 'fortran_order': False, 'shape': (%lld,), } %s", (long long)bytes,
             trailer_mark);
    return finish(text);
}
