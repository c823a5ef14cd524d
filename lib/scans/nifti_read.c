/* NIfTI files as scans. zlib reads plain and compressed ones alike. */
#include "lib/scans/deflate.h"
#include "lib/scans/formats.h"
#include "lib/scans/nifti.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

struct nifti {
    gzFile file;
    struct nifti_header header;
    bool scaled;
    int64_t slices_left, count; /* of all volumes; voxels of a slice */
    void *stored;               /* a slice as it is stored, where values are scaled */
    double *value;
};

static void close_nifti(void *state)
{
    struct nifti *nifti = state;
    if (nifti->file)
        gzclose(nifti->file);
    free(nifti->stored);
    free(nifti->value);
    free(nifti);
}

/* Read `bytes` bytes, fewer only at the end of the file; how many, or −1. */
static int64_t read_some(gzFile file, void *data, int64_t bytes, struct error *error)
{
    enum { PIECE = 1 << 30 };
    int64_t done = 0;
    while (done < bytes) {
        int64_t left = bytes - done;
        int code, got = gzread(file, (char *)data + done, (unsigned)(left < PIECE ? left : PIECE));
        gzerror(file, &code);
        if (got < 0 || (got == 0 && code == Z_BUF_ERROR))
            return error_set(error, "%s",
                             code == Z_ERRNO       ? strerror(errno)
                             : code == Z_BUF_ERROR ? "cut off"
                                                   : "damaged gzip data, or a wrong checksum");
        if (got == 0)
            break;
        done += got;
    }
    return done;
}

/* A file that cannot hold what its header says is refused before memory is taken for it. */
static int check_length(const struct nifti *nifti, const char *path, int64_t bytes,
                        struct error *error)
{
    struct stat status;
    int64_t end;
    if (stat(path, &status) != 0)
        return error_set(error, "%s", strerror(errno));
    int64_t most = status.st_size;
    if (!gzdirect(nifti->file) && __builtin_mul_overflow(most, (int64_t)DEFLATE_MOST, &most))
        most = INT64_MAX;
    if (__builtin_add_overflow(bytes, nifti->header.data, &end) || end > most)
        return error_set(error, "cut off: %lld bytes cannot hold what its header says",
                         (long long)status.st_size);
    return 0;
}

static int describe(struct nifti *nifti, const char *path, const struct scan_settings *settings,
                    struct array *array, struct error *error)
{
    char start[NIFTI_HEADER];
    const struct nifti_header *header = &nifti->header;
    int64_t bytes = read_some(nifti->file, start, sizeof start, error), all;
    if (bytes < 0 || nifti_parse(&nifti->header, start, (size_t)bytes, error) < 0)
        return -1;
    array->dtype = header->dtype;
    memcpy(array->shape, header->extent, sizeof header->extent);
    memcpy(array->spacing, header->spacing, sizeof header->spacing);
    if (array_check(array, error) < 0)
        return -1;
    if (__builtin_mul_overflow(array_bytes(array), header->volumes, &all))
        return error_set(error, "absurd number of volumes: %lld", (long long)header->volumes);
    nifti->count = array_slice_count(array);
    nifti->slices_left = array->shape[0] * header->volumes;
    nifti->scaled = header->slope != 1 || header->offset != 0;
    if (check_length(nifti, path, all, error) < 0)
        return -1;
    if (nifti->count > settings->limit / (int64_t)sizeof(double))
        return error_set(error,
                         "absurd size: a slice of %lld voxels passes the bound of %lld bytes",
                         (long long)nifti->count, (long long)settings->limit);
    if (nifti->scaled) {
        array->dtype = DTYPE_F32;
        nifti->stored = malloc((size_t)(nifti->count * dtype_size(header->dtype)));
        nifti->value = malloc((size_t)nifti->count * sizeof *nifti->value);
        if (!nifti->stored || !nifti->value)
            return error_set(error, "out of memory");
    }
    if (gzseek(nifti->file, header->data, SEEK_SET) != header->data)
        return error_set(error, "cut off before its voxels");
    return 0;
}

static int open_nifti(void **state, const char *path, const struct scan_settings *settings,
                      int64_t *volumes, struct array *array, struct error *error)
{
    struct nifti *nifti = calloc(1, sizeof *nifti);
    if (!nifti)
        return error_set(error, "out of memory");
    nifti->file = gzopen(path, "rbe");
    int status = nifti->file ? describe(nifti, path, settings, array, error)
                             : error_set(error, "%s", strerror(errno));
    if (status < 0) {
        close_nifti(nifti);
        return -1;
    }
    *volumes = nifti->header.volumes;
    *state = nifti;
    return 0;
}

/* Read on to the end of the file: only there zlib compares its checksum. */
static int finish(struct nifti *nifti, struct error *error)
{
    char rest[4096];
    int64_t got;
    do
        got = read_some(nifti->file, rest, sizeof rest, error);
    while (got > 0);
    return got < 0 ? -1 : 0;
}

static int read_nifti(void *state, void *slice, struct error *error)
{
    struct nifti *nifti = state;
    enum dtype dtype = nifti->header.dtype;
    int64_t count = nifti->count, bytes = count * dtype_size(dtype);
    void *stored = nifti->scaled ? nifti->stored : slice;
    int64_t got = read_some(nifti->file, stored, bytes, error);
    if (got < 0)
        return -1;
    if (got < bytes)
        return error_set(error, "cut off: %lld slices are missing", (long long)nifti->slices_left);
    if (nifti->header.swapped)
        array_swap_bytes(stored, count, dtype_size(dtype));
    if (nifti->scaled) {
        array_to_f64(stored, dtype, nifti->value, count);
        for (int64_t i = 0; i < count; i++)
            nifti->value[i] = nifti->value[i] * nifti->header.slope + nifti->header.offset;
        array_from_f64(nifti->value, DTYPE_F32, slice, count);
    }
    return --nifti->slices_left == 0 ? finish(nifti, error) : 0;
}

const struct scan_format scan_nifti = {
    .open = open_nifti, .read = read_nifti, .close = close_nifti};
