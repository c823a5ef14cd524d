#include "lib/scans/scan.h"

#include "lib/scans/formats.h"
#include "lib/scans/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scan {
    const struct scan_format *format;
    void *state;
    struct scan_settings settings;
    int64_t volumes, next;
    struct array array; /* each volume, where they are alike */
};

/* A TIFF stack is read as one, also where it has a single page; other pictures are slices. */
static const struct scan_format *find_by_start(const unsigned char start[], size_t bytes)
{
    static const unsigned char npy[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    static const unsigned char gzip[] = {0x1f, 0x8b};
    static const unsigned char nifti[][4] = {
        {0x5c, 1, 0, 0}, {0, 0, 1, 0x5c}, {0x1c, 2, 0, 0}, {0, 0, 2, 0x1c}}; /* 348 and 540 */
    if (bytes >= sizeof npy && memcmp(start, npy, sizeof npy) == 0)
        return &scan_npy;
    if (bytes < IMAGE_START)
        return NULL;
    if (memcmp(start, gzip, sizeof gzip) == 0)
        return &scan_nifti;
    for (int i = 0; i < 4; i++)
        if (memcmp(start, nifti[i], sizeof nifti[i]) == 0)
            return &scan_nifti;
    if (!image_known(start))
        return NULL;
    return (start[0] == 'I' || start[0] == 'M') ? &scan_tiff : &scan_slices;
}

static int find_format(struct scan *scan, const char *path, struct error *error)
{
    enum { START = 6 };
    unsigned char start[START];
    struct stat status;
    if (stat(path, &status) != 0)
        return error_set(error, "%s", strerror(errno));
    if (S_ISDIR(status.st_mode)) {
        scan->format = &scan_slices;
        return 0;
    }
    if (!S_ISREG(status.st_mode))
        return error_set(error, "no regular file and no folder");
    if (scan->settings.raw) {
        scan->format = &scan_raw;
        return 0;
    }
    FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set(error, "%s", strerror(errno));
    size_t bytes = fread(start, 1, sizeof start, file);
    fclose(file);
    scan->format = find_by_start(start, bytes);
    if (!scan->format)
        return error_set(error, "no TIFF, PNG, JPEG, BMP, NIfTI or NPY by its first bytes; raw "
                                "numbers need --shape and --type");
    return 0;
}

int scan_open(struct scan **result, const char *path, const struct scan_settings *settings,
              struct error *error)
{
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return error_set(error, "out of memory");
    scan->settings = *settings;
    if (scan->settings.limit <= 0)
        scan->settings.limit = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
    scan->array = (struct array){.rank = 3, .marked = true, .axes = "DHW"};
    if (find_format(scan, path, error) < 0 ||
        scan->format->open(&scan->state, path, &scan->settings, &scan->volumes, &scan->array,
                           error) < 0) {
        free(scan);
        return -1;
    }
    *result = scan;
    return 0;
}

int64_t scan_volumes(const struct scan *scan)
{
    return scan->volumes;
}

static int check_slice(const struct scan *scan, const struct array *array, struct error *error)
{
    char text[256];
    int64_t bytes;
    if (array_check(array, error) < 0)
        return -1;
    bytes = array_slice_count(array) * dtype_size(array->dtype);
    if (bytes > scan->settings.limit)
        return error_set(error,
                         "absurd shape: %s has slices of %lld bytes, beyond the bound of %lld",
                         array_describe(array, text, sizeof text), (long long)bytes,
                         (long long)scan->settings.limit);
    return 0;
}

int scan_next(struct scan *scan, struct array *array, struct error *error)
{
    char text[256];
    struct array found = scan->array;
    int status = scan->next < scan->volumes;
    if (scan->format->next)
        status = scan->format->next(scan->state, &found, error);
    scan->next++;
    if (status <= 0)
        return status;
    if (scan->settings.labels && found.dtype != DTYPE_U8)
        return error_set(error, "labels are u1, not %s", array_describe(&found, text, sizeof text));
    if (scan->settings.labels)
        strcpy(found.kind, "labels");
    else if (!*found.kind && found.dtype == DTYPE_U8)
        strcpy(found.kind, "volume");
    *array = found;
    return check_slice(scan, array, error) < 0 ? -1 : 1;
}

int scan_read(struct scan *scan, void *slice, struct error *error)
{
    return scan->format->read(scan->state, slice, error);
}

void scan_close(struct scan *scan)
{
    if (!scan)
        return;
    scan->format->close(scan->state);
    free(scan);
}
