#include "lib/training/dataset.h"

#include "lib/io/crc32c.h"
#include "lib/io/metadata.h"
#include "lib/io/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct dataset_map {
    void *start;
    size_t bytes;
};

/* A mapped file being read. */
struct cursor {
    const unsigned char *at, *end;
    char text[NPY_HEADER + 1];
    uint32_t checksum; /* of the last header */
};

static int map_file(struct dataset_map *map, const char *path, struct error *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, "%s", strerror(errno));
    void *start = MAP_FAILED;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
        error_set(error, "not a regular file: training data are memory-mapped");
    } else if (!status.st_size) {
        error_set(error, "the file is empty");
    } else {
        start = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (start == MAP_FAILED)
            error_set(error, "cannot map: %s", strerror(errno));
    }
    close(fd);
    if (start == MAP_FAILED)
        return -1;
    *map = (struct dataset_map){start, (size_t)status.st_size};
    return 0;
}

static int read_header(struct cursor *c, struct npy_header *header, struct error *error)
{
    int offset;
    int64_t length;
    if (c->end - c->at < NPY_START)
        return error_set(error, "the file ends inside an array's header");
    if (npy_measure(c->at, &offset, &length, error))
        return -1;
    if (c->end - c->at < offset + length)
        return error_set(error, "the file ends inside an array's header");
    memcpy(c->text, c->at + offset, (size_t)length);
    c->text[length] = 0;
    c->checksum = crc32c(0, c->at, (size_t)(offset + length));
    c->at += offset + length;
    return npy_parse(c->text, length, header, error);
}

/* The trailer of the marked array whose payload ended here. */
static int check_trailer(struct cursor *c, const struct array *array, uint32_t header_checksum,
                         uint32_t payload_checksum, struct error *error)
{
    struct npy_header header;
    struct trailer trailer;
    if (read_header(c, &header, error))
        return error_prefix(error, "after the payload");
    int64_t bytes = array_bytes(&header.array);
    if (header.role != NPY_TRAILER || bytes >= NPY_HEADER || c->end - c->at < bytes)
        return error_set(error, "no trailer after the payload; it may be cut");
    memcpy(c->text, c->at, (size_t)bytes);
    c->text[bytes] = 0;
    c->at += bytes;
    if (trailer_parse(c->text, &trailer, error))
        return -1;
    if (!trailer.complete)
        return error_set(error, "the program that wrote it gave up");
    if (trailer.bytes != array_bytes(array) || trailer.header != header_checksum ||
        trailer.payload != payload_checksum)
        return error_set(error, "wrong checksum");
    return 0;
}

static int check_array(const struct npy_header *header, int64_t channels, struct error *error)
{
    const struct array *a = &header->array;
    char found[128];
    array_describe(a, found, sizeof found);
    if (header->role != NPY_ARRAY || header->big_endian)
        return error_set(error, "damaged, or of the other byte order");
    if (channels && (a->rank != 4 || a->shape[1] != channels || a->dtype != DTYPE_F32 ||
                     (*a->kind && strcmp(a->kind, "latent"))))
        return error_set(error, "a latent f4 (D,%lld,H,W) is expected, not %s %s",
                         (long long)channels, *a->kind ? a->kind : "an array", found);
    if (!channels && (a->rank != 3 || (a->dtype != DTYPE_F32 && a->dtype != DTYPE_U8) ||
                      (*a->kind && strcmp(a->kind, "volume"))))
        return error_set(error, "a volume u1 or f4 (D,H,W) is expected, not %s %s",
                         *a->kind ? a->kind : "an array", found);
    return 0;
}

static struct dataset_array *grow(struct dataset *d, struct error *error)
{
    struct dataset_array *list = realloc(d->list, (size_t)(d->count + 1) * sizeof *list);
    if (list)
        d->list = list;
    else
        error_set(error, "out of memory");
    return list ? list + d->count : NULL;
}

static int read_array(struct dataset *d, struct cursor *c, const char *path, int64_t channels,
                      struct error *error)
{
    struct npy_header header;
    if (read_header(c, &header, error) || check_array(&header, channels, error))
        return -1;
    uint32_t of_header = c->checksum;
    int64_t bytes = array_bytes(&header.array);
    if (c->end - c->at < bytes)
        return error_set(error, "the payload is cut: %lld of %lld bytes are there",
                         (long long)(c->end - c->at), (long long)bytes);
    const unsigned char *data = c->at;
    uint32_t checksum = crc32c(0, data, (size_t)bytes);
    c->at += bytes;
    if (header.array.marked && check_trailer(c, &header.array, of_header, checksum, error))
        return -1;
    struct dataset_array *array = grow(d, error);
    if (!array)
        return -1;
    *array = (struct dataset_array){header.array, path, data, checksum};
    d->count++;
    return 0;
}

static int read_file(struct dataset *d, const char *path, int64_t channels, struct error *error)
{
    struct dataset_map *map = &d->map[d->maps];
    if (map_file(map, path, error))
        return -1;
    d->maps++;
    struct cursor c = {.at = map->start, .end = (unsigned char *)map->start + map->bytes};
    while (c.at < c.end)
        if (read_array(d, &c, path, channels, error))
            return -1;
    return 0;
}

int dataset_open(struct dataset *d, const char *const *paths, int count, int64_t channels,
                 struct error *error)
{
    *d = (struct dataset){.map = calloc((size_t)count + 1, sizeof *d->map)};
    if (!d->map)
        return error_set(error, "out of memory");
    for (int i = 0; i < count; i++)
        if (read_file(d, paths[i], channels, error)) {
            dataset_close(d);
            return error_prefix(error, "%s", paths[i]);
        }
    return 0;
}

void dataset_close(struct dataset *d)
{
    for (int i = 0; i < d->maps; i++)
        munmap(d->map[i].start, d->map[i].bytes);
    free(d->map);
    free(d->list);
    *d = (struct dataset){0};
}

int64_t dataset_slices(const struct dataset *d, int64_t first, int64_t count)
{
    int64_t sum = 0;
    for (int64_t i = first; i < first + count; i++)
        sum += d->list[i].array.shape[0];
    return sum;
}

void dataset_locate(const struct dataset *d, int64_t first, int64_t n, int64_t *array,
                    int64_t *slice)
{
    while (n >= d->list[first].array.shape[0])
        n -= d->list[first++].array.shape[0];
    *array = first;
    *slice = n;
}

void dataset_read(const struct dataset_array *a, int64_t slice, int64_t slices, float *out)
{
    size_t bytes = (size_t)array_slice_count(&a->array) * sizeof *out;
    memcpy(out, (const char *)a->data + (size_t)slice * bytes, (size_t)slices * bytes);
}

/* Element i of a row of a volume. */
static float voxel(const struct dataset_array *a, const char *row, int64_t i)
{
    float value;
    if (a->array.dtype == DTYPE_U8)
        return (float)((const uint8_t *)row)[i] / 127.5f - 1.0f;
    memcpy(&value, row + i * (int64_t)sizeof value, sizeof value);
    return value;
}

void dataset_read_box(const struct dataset_array *a, const struct dataset_box *box, float *out)
{
    const int64_t *extent = a->array.shape, *size = box->size;
    int64_t element = dtype_size(a->array.dtype);
#pragma omp parallel for collapse(2)
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0; h < size[1]; h++) {
            int64_t z = box->from[0] + (box->flip[0] ? size[0] - 1 - d : d);
            int64_t y = box->from[1] + (box->flip[1] ? size[1] - 1 - h : h);
            int64_t start = (z * extent[1] + y) * extent[2] + box->from[2];
            const char *row = (const char *)a->data + start * element;
            float *to = out + (d * size[1] + h) * size[2];
            for (int64_t w = 0; w < size[2]; w++)
                to[w] = voxel(a, row, box->flip[2] ? size[2] - 1 - w : w);
        }
}

int dataset_measure(const struct dataset *d, int64_t first, int64_t count, double *deviation,
                    double *largest, struct error *error)
{
    double sum = 0.0, square = 0.0, total = 0.0;
    *largest = 0.0;
    for (int64_t i = first; i < first + count; i++) {
        const struct dataset_array *a = &d->list[i];
        for (int64_t k = 0; k < array_count(&a->array); k++) {
            double x = (double)voxel(a, a->data, k);
            if (!isfinite(x))
                return error_set(error, "%s: holds values that are not finite", a->path);
            sum += x;
            square += x * x;
            *largest = fmax(*largest, fabs(x));
        }
        total += (double)array_count(&a->array);
    }
    double variance = square / total - sum / total * (sum / total);
    *deviation = sqrt(fmax(variance, 0.0));
    return 0;
}
