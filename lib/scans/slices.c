/* A folder of pictures, or one picture, as slices. */
#include "lib/scans/formats.h"
#include "lib/scans/image.h"
#include "lib/scans/natural.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct slices {
    char **path;
    int64_t count, next;
    bool folder; /* messages name the slice */
    struct image_settings settings;
    struct image image; /* that all are */
};

static int compare(const struct dirent **a, const struct dirent **b)
{
    return natural_compare((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool has_extension(const char *name)
{
    static const char *const extensions[] = {".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcasecmp(dot, extensions[i]) == 0)
            return true;
    return false;
}

/* A picture by its content, or by its name, so that a damaged slice is not passed over. */
static bool is_slice(const char *path)
{
    unsigned char start[IMAGE_START] = {0};
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    if (has_extension(path))
        return true;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return false;
    size_t bytes = fread(start, 1, sizeof start, file);
    fclose(file);
    return bytes == sizeof start && image_known(start);
}

static void close_slices(void *state)
{
    struct slices *slices = state;
    for (int64_t i = 0; i < slices->count; i++)
        free(slices->path[i]);
    free(slices->path);
    free(slices);
}

/* Keep the path of a slice; other files of the folder are none. */
static int add(struct slices *slices, const char *folder, const char *name, struct error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return error_set(error, "out of memory");
    if (is_slice(path))
        slices->path[slices->count++] = path;
    else
        free(path);
    return 0;
}

static int list_folder(struct slices *slices, const char *folder, struct error *error)
{
    struct dirent **entry;
    int entries = scandir(folder, &entry, is_visible, compare), status = 0;
    if (entries < 0)
        return error_set(error, "%s", strerror(errno));
    slices->folder = true;
    slices->path = calloc((size_t)entries + 1, sizeof *slices->path);
    if (!slices->path)
        status = error_set(error, "out of memory");
    for (int i = 0; i < entries; i++) {
        if (status == 0)
            status = add(slices, folder, entry[i]->d_name, error);
        free(entry[i]);
    }
    free(entry);
    if (status == 0 && slices->count == 0)
        status = error_set(error, "the folder holds no PNG, BMP, JPEG or TIFF; a volume's folder "
                                  "holds its slices");
    return status;
}

static int name_slice(const struct slices *slices, int64_t i, struct error *error)
{
    return slices->folder ? error_prefix(error, "%s", basename(slices->path[i])) : -1;
}

/* Look at all headers, so that what does not fit together is refused before anything is written. */
static int describe(struct slices *slices, struct error *error)
{
    for (int64_t i = 0; i < slices->count; i++) {
        struct image image, *first = &slices->image;
        if (image_describe(slices->path[i], &slices->settings, &image, error) < 0)
            return name_slice(slices, i, error);
        if (i == 0)
            *first = image;
        if (image.rows != first->rows || image.columns != first->columns ||
            image.dtype != first->dtype)
            return error_set(error, "%s is %lldx%lld %s, but %s is %lldx%lld %s",
                             basename(slices->path[i]), (long long)image.rows,
                             (long long)image.columns, dtype_name(image.dtype),
                             basename(slices->path[0]), (long long)first->rows,
                             (long long)first->columns, dtype_name(first->dtype));
    }
    return 0;
}

static int open_slices(void **state, const char *path, const struct scan_settings *settings,
                       int64_t *volumes, struct array *array, struct error *error)
{
    struct stat about;
    struct slices *slices = calloc(1, sizeof *slices);
    if (!slices)
        return error_set(error, "out of memory");
    slices->settings = (struct image_settings){settings->limit, settings->labels};
    int status = 0;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        status = list_folder(slices, path, error);
    } else {
        slices->path = calloc(1, sizeof *slices->path);
        if (slices->path && (slices->path[0] = strdup(path)) != NULL)
            slices->count = 1;
        else
            status = error_set(error, "out of memory");
    }
    if (status < 0 || describe(slices, error) < 0) {
        close_slices(slices);
        return -1;
    }
    array->dtype = slices->image.dtype;
    array->shape[0] = slices->count;
    array->shape[1] = slices->image.rows;
    array->shape[2] = slices->image.columns;
    array->spacing[1] = slices->image.spacing[0];
    array->spacing[2] = slices->image.spacing[1];
    *volumes = 1;
    *state = slices;
    return 0;
}

static int read_slice(void *state, void *slice, struct error *error)
{
    struct slices *slices = state;
    int64_t i = slices->next++;
    if (image_read(slices->path[i], &slices->settings, &slices->image, slice, error) < 0)
        return name_slice(slices, i, error);
    return 0;
}

const struct scan_format scan_slices = {
    .open = open_slices, .read = read_slice, .close = close_slices};
