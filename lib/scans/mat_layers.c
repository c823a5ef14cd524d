#include "lib/scans/mat_layers.h"

#include "lib/io/array.h"
#include "lib/scans/deflate.h"
#include "lib/scans/mat_check.h"

#include <matio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char variable_name[] = "Layer";

static int find_dtype(enum matio_classes class, enum dtype *dtype, struct error *error)
{
    static const struct {
        enum matio_classes class;
        enum dtype dtype;
    } known[] = {
        {MAT_C_DOUBLE, DTYPE_F64}, {MAT_C_SINGLE, DTYPE_F32}, {MAT_C_INT8, DTYPE_I8},
        {MAT_C_UINT8, DTYPE_U8},   {MAT_C_INT16, DTYPE_I16},  {MAT_C_UINT16, DTYPE_U16},
        {MAT_C_INT32, DTYPE_I32},  {MAT_C_UINT32, DTYPE_U32}, {MAT_C_INT64, DTYPE_I64},
        {MAT_C_UINT64, DTYPE_U64},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].class == class) {
            *dtype = known[i].dtype;
            return 0;
        }
    return error_set(error, "its variable %s holds no real numbers", variable_name);
}

/* An element takes at least a byte before compression, whatever its class. */
static int check_variable(const matvar_t *variable, const char *path, int64_t limit,
                          int64_t shape[3], enum dtype *dtype, struct error *error)
{
    struct stat status;
    int64_t bytes = sizeof(double);
    if (find_dtype(variable->class_type, dtype, error) < 0)
        return -1;
    if (variable->isComplex || variable->rank != 3)
        return error_set(error, "its variable %s is not real of three axes", variable_name);
    for (int i = 0; i < 3; i++) {
        if (variable->dims[i] == 0 || variable->dims[i] > INT32_MAX)
            return error_set(error, "its variable %s has %zu elements along axis %d", variable_name,
                             variable->dims[i], i + 1);
        shape[i] = (int64_t)variable->dims[i];
        if (__builtin_mul_overflow(bytes, shape[i], &bytes) || bytes > limit)
            return error_set(error, "absurd size of its variable %s", variable_name);
    }
    if (stat(path, &status) != 0 || bytes / (int64_t)sizeof(double) / DEFLATE_MOST > status.st_size)
        return error_set(error, "its variable %s is cut off", variable_name);
    return 0;
}

/* MATLAB's first axis is the fastest one, ours the last. */
static void reorder(const float *from, const int64_t shape[3], float *to)
{
    for (int64_t s = 0; s < shape[0]; s++)
        for (int64_t d = 0; d < shape[1]; d++)
            for (int64_t w = 0; w < shape[2]; w++)
                *to++ = from[s + shape[0] * (d + shape[1] * w)];
}

static int convert(const matvar_t *variable, enum dtype dtype, const int64_t shape[3], float **rows,
                   struct error *error)
{
    int64_t count = shape[0] * shape[1] * shape[2];
    if (!variable->data || (int64_t)variable->nbytes < count * dtype_size(dtype))
        return error_set(error, "its variable %s is damaged", variable_name);
    float *stored = malloc((size_t)count * sizeof *stored);
    *rows = malloc((size_t)count * sizeof **rows);
    if (!stored || !*rows) {
        free(stored);
        free(*rows);
        return error_set(error, "out of memory");
    }
    array_to_f32(variable->data, dtype, stored, count);
    reorder(stored, shape, *rows);
    free(stored);
    return 0;
}

int mat_layers_read(const char *path, int64_t limit, float **rows, int64_t shape[3],
                    struct error *error)
{
    enum dtype dtype = DTYPE_F64;
    if (mat_check(path, limit, error) < 0)
        return -1;
    mat_t *file = Mat_Open(path, MAT_ACC_RDONLY);
    if (!file)
        return error_set(error, "no MATLAB file");
    matvar_t *variable = Mat_VarReadInfo(file, variable_name);
    int status = -1;
    if (!variable)
        error_set(error, "a MATLAB file without a variable %s, or a damaged one", variable_name);
    else if (check_variable(variable, path, limit, shape, &dtype, error) < 0)
        status = -1;
    else if (Mat_VarReadDataAll(file, variable) != 0)
        error_set(error, "its variable %s is damaged or cut off", variable_name);
    else
        status = convert(variable, dtype, shape, rows, error);
    Mat_VarFree(variable);
    Mat_Close(file);
    return status;
}
