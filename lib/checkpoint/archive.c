#include "lib/checkpoint/container_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { NAME = 256 };

struct archive {
    zip_t *zip;
    char folder[NAME]; /* before the entries' names, with its slash */
    unsigned char *pickle;
    zip_file_t *entry; /* being read */
    int64_t left;      /* of it, as its identifier says */
};

/* An entry's index, and its size; −1: it is not there, or of a kind that PyTorch does not write. */
static int find(const struct archive *a, const char *name, int64_t *index, int64_t *bytes,
                struct error *error)
{
    zip_stat_t status;
    *index = zip_name_locate(a->zip, name, 0);
    if (*index < 0)
        return error_set(error, "the archive has no %.100s", name);
    if (zip_stat_index(a->zip, (zip_uint64_t)*index, 0, &status) ||
        !(status.valid & ZIP_STAT_SIZE) || !(status.valid & ZIP_STAT_COMP_METHOD) ||
        status.size > INT64_MAX)
        return error_set(error, "the archive does not describe %.100s", name);
    if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
        return error_set(error, "%.100s is neither stored nor deflated", name);
    *bytes = (int64_t)status.size;
    return 0;
}

static int open_entry(struct archive *a, int64_t index, int64_t bytes, struct error *error)
{
    a->entry = zip_fopen_index(a->zip, (zip_uint64_t)index, 0);
    if (!a->entry)
        return error_set(error, "%s", zip_strerror(a->zip));
    a->left = bytes;
    return 0;
}

int archive_read(struct archive *a, void *data, int64_t bytes, struct error *error)
{
    for (char *to = data; bytes > 0;) {
        zip_int64_t now = zip_fread(a->entry, to, (zip_uint64_t)bytes);
        if (now <= 0)
            return error_set(error, "damaged or cut short%s%s", now ? ": " : "",
                             now ? zip_file_strerror(a->entry) : "");
        to += now;
        bytes -= now;
        a->left -= now;
    }
    return 0;
}

/* What was read to its end must end there; only then libzip compares checksums. */
int archive_end(struct archive *a, struct error *error)
{
    char more;
    int status = 0;
    zip_int64_t now = a->entry && !a->left ? zip_fread(a->entry, &more, 1) : 0;
    if (now < 0)
        status = error_set(error, "damaged: %s", zip_file_strerror(a->entry));
    else if (now > 0)
        status = error_set(error, "longer than the archive says");
    if (a->entry)
        zip_fclose(a->entry);
    a->entry = NULL;
    return status;
}

static int read_entry(struct archive *a, int64_t index, void *data, int64_t bytes,
                      struct error *error)
{
    int status = open_entry(a, index, bytes, error);
    if (!status)
        status = archive_read(a, data, bytes, error);
    return archive_end(a, status ? NULL : error) || status ? -1 : 0;
}

/* The folder of data.pkl, which is that of all entries. */
static int find_folder(struct archive *a, struct error *error)
{
    static const char end[] = "/data.pkl";
    int64_t count = zip_get_num_entries(a->zip, 0);
    for (int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        size_t length = name ? strlen(name) : 0;
        if (length < strlen(end) || strcmp(name + length - strlen(end), end))
            continue;
        if (*a->folder)
            return error_set(error, "more than one data.pkl in the archive");
        if (length >= NAME - 64)
            return error_set(error, "the archive's folder has a name of %zu bytes", length);
        snprintf(a->folder, sizeof a->folder, "%.*s", (int)(length - strlen(end) + 1), name);
    }
    return *a->folder ? 0 : error_set(error, "a zip archive without data.pkl");
}

static int check_order(struct archive *a, struct error *error)
{
    char name[NAME], order[16] = "";
    int64_t index, bytes;
    snprintf(name, sizeof name, "%sbyteorder", a->folder);
    if (find(a, name, &index, &bytes, NULL))
        return 0; /* older than the entry: little endian */
    if (bytes >= (int64_t)sizeof order || read_entry(a, index, order, bytes, error) ||
        strcmp(order, "little"))
        return error_set(error, "its byte order is not little endian");
    return 0;
}

static int read_pickle(struct archive *a, struct pickle *pickle, const struct pickle_value **root,
                       struct error *error)
{
    char name[NAME];
    int64_t index, bytes, used;
    snprintf(name, sizeof name, "%sdata.pkl", a->folder);
    if (find(a, name, &index, &bytes, error))
        return -1;
    if (bytes > PICKLE_BYTES)
        return error_set(error, "data.pkl is of %lld bytes, more than %d", (long long)bytes,
                         PICKLE_BYTES);
    a->pickle = malloc((size_t)bytes + 1);
    if (!a->pickle)
        return error_set(error, "out of memory");
    if (read_entry(a, index, a->pickle, bytes, error))
        return error_prefix(error, "data.pkl");
    return pickle_read(pickle, a->pickle, bytes, &used, root, error);
}

int archive_open(struct archive **archive, const char *path, struct pickle *pickle,
                 const struct pickle_value **root, struct error *error)
{
    int code = 0;
    struct archive *a = *archive = calloc(1, sizeof *a);
    if (!a)
        return error_set(error, "out of memory");
    a->zip = zip_open(path, ZIP_RDONLY, &code);
    if (!a->zip) {
        zip_error_t reason;
        zip_error_init_with_code(&reason, code);
        error_set(error, "no whole zip archive: %s", zip_error_strerror(&reason));
        zip_error_fini(&reason);
        return -1;
    }
    return find_folder(a, error) || check_order(a, error) || read_pickle(a, pickle, root, error)
               ? -1
               : 0;
}

void archive_close(struct archive *a)
{
    if (!a)
        return;
    if (a->zip)
        zip_discard(a->zip);
    free(a->pickle);
    free(a);
}

int archive_begin(struct archive *a, const struct storage *storage, struct error *error)
{
    char name[NAME];
    int64_t index, bytes;
    snprintf(name, sizeof name, "%sdata/%.*s", a->folder, storage->key->count, storage->key->text);
    if (find(a, name, &index, &bytes, error))
        return -1;
    if (bytes != storage->bytes)
        return error_set(error, "%lld bytes in the archive, %lld are announced", (long long)bytes,
                         (long long)storage->bytes);
    return open_entry(a, index, bytes, error);
}
