#include "lib/scans/octa500_read.h"

#include "lib/scans/image.h"
#include "lib/scans/mat_layers.h"
#include "lib/scans/octa500.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const octa500_label_names[OCTA500_LABELS + 1] = {
    "layers",       "artery-vein", "cavf",         "capillary", "faz",
    "large-vessel", "oct-full",    "octa-ilm-opl", NULL};

struct map {
    const char *folder;
    enum octa500_kind kind;
    bool binary; /* any value but 0 is 1 */
};
static const struct map maps[OCTA500_LABELS] = {
    [OCTA500_LABEL_LAYERS] = {"GT_Layers", OCTA500_LAYERS, false},
    [OCTA500_LABEL_ARTERY_VEIN] = {"GT_Artery", OCTA500_EN_FACE, true},
    [OCTA500_LABEL_CAVF] = {"GT_CAVF", OCTA500_EN_FACE, false},
    [OCTA500_LABEL_CAPILLARY] = {"GT_Capillary", OCTA500_EN_FACE, true},
    [OCTA500_LABEL_FAZ] = {"GT_FAZ", OCTA500_EN_FACE, true},
    [OCTA500_LABEL_LARGE_VESSEL] = {"GT_LargeVessel", OCTA500_EN_FACE, true},
    [OCTA500_LABEL_OCT_FULL] = {"OCT(FULL)", OCTA500_PROJECTION, false},
    [OCTA500_LABEL_OCTA_ILM_OPL] = {"OCTA(ILM_OPL)", OCTA500_PROJECTION, false},
};
static const struct map veins = {"GT_Vein", OCTA500_EN_FACE, true};
static const struct map volumes[] = {{"OCT", OCTA500_VOLUME, false},
                                     {"OCTA", OCTA500_VOLUME, false}};

/* The path of a scan's part, which the caller frees. */
static int find(char **path, const struct octa500_source *source, const struct map *map, int id,
                struct error *error)
{
    return octa500_path(path, source->root, map->kind, map->folder, id, error);
}

int octa500_find(const struct octa500_source *source, int labels, int id, struct error *error)
{
    char *path;
    const struct map *map = labels < 0 ? &volumes[source->flow] : &maps[labels];
    if (find(&path, source, map, id, error) < 0)
        return -1;
    free(path);
    if (labels != OCTA500_LABEL_ARTERY_VEIN)
        return 0;
    if (find(&path, source, &veins, id, error) < 0)
        return -1;
    free(path);
    return 0;
}

static int64_t limit_of(const struct octa500_source *source)
{
    return source->limit > 0 ? source->limit
                             : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
}

static void set_spacing(struct array *array, int id, const int64_t extent[3])
{
    const double millimetres[3] = {octa500_millimetres(id), octa500_depth(),
                                   octa500_millimetres(id)};
    for (int i = 0; i < 3; i++)
        array->spacing[i] = extent[i] > 0 ? millimetres[i] / (double)extent[i] : 0;
}

/* The slices of a folder are numbered from 1 to their number. */
static int check_numbers(const char *folder, int64_t slices, struct error *error)
{
    for (int64_t d = 1; d <= slices; d++) {
        char *slice;
        if (asprintf(&slice, "%s/%lld.bmp", folder, (long long)d) < 0)
            return error_set(error, "out of memory");
        bool there = access(slice, F_OK) == 0;
        free(slice);
        if (!there)
            return error_set(error, "%lld slices, but there is no %lld.bmp", (long long)slices,
                             (long long)d);
    }
    return 0;
}

static int open_folder(struct scan **scan, struct array *array, const char *folder, int id,
                       int64_t limit, struct error *error)
{
    if (scan_open(scan, folder, &(struct scan_settings){.limit = limit}, error) < 0)
        return -1;
    if (scan_next(*scan, array, error) < 0 || check_numbers(folder, array->shape[0], error) < 0) {
        scan_close(*scan);
        return -1;
    }
    set_spacing(array, id, array->shape);
    return 0;
}

int octa500_open_volume(struct scan **scan, struct array *array,
                        const struct octa500_source *source, int id, struct error *error)
{
    char *folder;
    if (find(&folder, source, &volumes[source->flow], id, error) < 0)
        return -1;
    int status = open_folder(scan, array, folder, id, source->limit, error);
    if (status < 0)
        error_prefix(error, "%s", folder);
    free(folder);
    return status;
}

/* Set the spacing of labels (D,W), and compare them with the volume where there is one. */
static int fit(struct array *array, int64_t d, int64_t w, const struct octa500_source *source,
               int id, struct error *error)
{
    struct array volume = {.shape = {d, 0, w}};
    struct scan *scan;
    char *folder;
    if (find(&folder, source, &volumes[0], id, NULL) == 0) {
        int status = open_folder(&scan, &volume, folder, id, source->limit, error);
        if (status < 0)
            error_prefix(error, "%s", folder);
        free(folder);
        if (status < 0)
            return -1;
        scan_close(scan);
    }
    if (volume.shape[0] != d || volume.shape[2] != w)
        return error_set(error,
                         "labels (D,W) of %d are (%lld, %lld), but the volume's are "
                         "(%lld, %lld)",
                         id, (long long)d, (long long)w, (long long)volume.shape[0],
                         (long long)volume.shape[2]);
    set_spacing(array, id, volume.shape);
    return 0;
}

static int read_layers(struct array *array, void **data, const struct octa500_source *source,
                       int id, struct error *error)
{
    char *path;
    float *rows;
    if (find(&path, source, &maps[OCTA500_LABEL_LAYERS], id, error) < 0)
        return -1;
    int status = mat_layers_read(path, limit_of(source), &rows, array->shape, error);
    if (status < 0)
        error_prefix(error, "%s", path);
    else
        *data = rows;
    free(path);
    array->dtype = DTYPE_F32;
    array->rank = 3;
    strcpy(array->kind, "surfaces");
    strcpy(array->axes, "SDW");
    return status;
}

/* A picture turned to (D,W); the caller frees it. NULL with the reason. */
static uint8_t *decode_map(const char *path, const struct map *map,
                           const struct octa500_source *source, int64_t shape[2],
                           struct error *error)
{
    const struct image_settings settings = {limit_of(source), map->kind == OCTA500_EN_FACE};
    struct image image;
    if (image_describe(path, &settings, &image, error) < 0)
        return NULL;
    size_t count = (size_t)(image.rows * image.columns);
    uint8_t *picture = malloc(count), *turned = malloc(count);
    int status = -1;
    if (!picture || !turned)
        error_set(error, "out of memory");
    else if (image.dtype != DTYPE_U8)
        error_set(error, "pixels of type %s, not u1", dtype_name(image.dtype));
    else
        status = image_read(path, &settings, &image, picture, error);
    if (status == 0) {
        en_face_extent(source->turn, image.rows, image.columns, shape);
        en_face_turned(source->turn, picture, image.rows, image.columns, turned);
        for (size_t i = 0; map->binary && i < count; i++)
            turned[i] = turned[i] != 0;
    } else {
        free(turned);
        turned = NULL;
    }
    free(picture);
    return turned;
}

static uint8_t *read_map(const struct map *map, const struct octa500_source *source, int id,
                         int64_t shape[2], struct error *error)
{
    char *path;
    if (find(&path, source, map, id, error) < 0)
        return NULL;
    uint8_t *turned = decode_map(path, map, source, shape, error);
    if (!turned)
        error_prefix(error, "%s", path);
    free(path);
    return turned;
}

/* Add 2 where there are veins. */
static int add_veins(uint8_t *map, const int64_t shape[2], const struct octa500_source *source,
                     int id, struct error *error)
{
    int64_t extent[2];
    uint8_t *vein = read_map(&veins, source, id, extent, error);
    if (!vein)
        return -1;
    bool same = extent[0] == shape[0] && extent[1] == shape[1];
    for (int64_t i = 0; same && i < shape[0] * shape[1]; i++)
        map[i] = (uint8_t)(map[i] + 2 * vein[i]);
    free(vein);
    return same ? 0 : error_set(error, "GT_Artery and GT_Vein of %d differ in size", id);
}

int octa500_read_labels(struct array *array, void **data, const struct octa500_source *source,
                        enum octa500_labels labels, int id, struct error *error)
{
    int status;
    *array = (struct array){.dtype = DTYPE_U8, .rank = 2, .kind = "en-face map", .axes = "DW"};
    if (labels == OCTA500_LABEL_LAYERS) {
        status = read_layers(array, data, source, id, error);
        if (status == 0)
            status = fit(array, array->shape[1], array->shape[2], source, id, error);
    } else {
        *data = read_map(&maps[labels], source, id, array->shape, error);
        status = *data ? 0 : -1;
        if (status == 0 && labels == OCTA500_LABEL_ARTERY_VEIN)
            status = add_veins(*data, array->shape, source, id, error);
        if (status == 0)
            status = fit(array, array->shape[0], array->shape[1], source, id, error);
    }
    if (status < 0) {
        free(*data);
        *data = NULL;
    }
    return status;
}
