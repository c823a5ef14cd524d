#include "lib/scans/mat_check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
    HEADER = 128, /* of the file */
    VERSION = 124,
    ENDIAN = 126,
    TAG = 8, /* type and length of an element */
    MATRIX = 14,
    COMPRESSED = 15,
    HEAD = 160, /* of a matrix: tag, flags, up to 8 extents, and a name of up to 63 bytes */
};

struct mat {
    FILE *file;
    bool big; /* byte order */
    int64_t limit;
};

static uint32_t read_u32(const unsigned char *at, bool big)
{
    return big ? at[3] | (uint32_t)at[2] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[0] << 24
               : at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The extents of an array, 2 to 8 of them; their bytes with padding, or −1. */
static int64_t check_extents(const struct mat *mat, const unsigned char *tag)
{
    enum { INT32 = 5, EXTENTS_MOST = 8 };
    uint32_t length = read_u32(tag + 4, mat->big);
    int64_t bytes = sizeof(double);
    if (read_u32(tag, mat->big) != INT32 || length < 8 || length > 4 * EXTENTS_MOST || length % 4)
        return -1;
    for (uint32_t at = 0; at < length; at += 4) {
        uint32_t extent = read_u32(tag + TAG + at, mat->big);
        if (extent > INT32_MAX || __builtin_mul_overflow(bytes, (int64_t)extent, &bytes) ||
            bytes > mat->limit)
            return -1;
    }
    return TAG + (length + 7) / 8 * 8;
}

/* The flags, extents and length of the name of a matrix. */
static bool is_array(const struct mat *mat, const unsigned char head[HEAD])
{
    enum { UINT32 = 6, FLAGS = 16, DOUBLE_CLASS = 6, UINT64_CLASS = 15, NAME_MOST = 63 };
    const unsigned char *flags = head + TAG;
    uint32_t class = read_u32(flags + TAG, mat->big) & 0xff;
    if (read_u32(head, mat->big) != MATRIX || read_u32(flags, mat->big) != UINT32 ||
        read_u32(flags + 4, mat->big) != 8 || class < DOUBLE_CLASS || class > UINT64_CLASS)
        return false;
    int64_t extents = check_extents(mat, flags + FLAGS);
    if (extents < 0)
        return false;
    const unsigned char *name = flags + FLAGS + extents;
    uint32_t type = read_u32(name, mat->big);
    uint32_t length = type >> 16 ? type >> 16 : read_u32(name + 4, mat->big);
    return length <= NAME_MOST;
}

/* The first bytes of a compressed matrix, with its tag. */
static bool inflate_head(const unsigned char *packed, size_t bytes, unsigned char head[HEAD])
{
    z_stream stream = {.next_in = (unsigned char *)packed,
                       .avail_in = (uInt)bytes,
                       .next_out = head,
                       .avail_out = HEAD};
    if (inflateInit(&stream) != Z_OK)
        return false;
    int status = inflate(&stream, Z_SYNC_FLUSH);
    inflateEnd(&stream);
    return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR;
}

/* The element at `at`; where the next one starts, or −1. */
static int64_t check_element(const struct mat *mat, int64_t at)
{
    unsigned char start[TAG + 4 * HEAD] = {0}, head[HEAD] = {0};
    if (fseeko(mat->file, at, SEEK_SET) != 0)
        return -1;
    size_t bytes = fread(start, 1, sizeof start, mat->file);
    if (bytes < TAG)
        return -1;
    if (read_u32(start, mat->big) == COMPRESSED) {
        if (!inflate_head(start + TAG, bytes - TAG, head))
            return -1;
    } else {
        memcpy(head, start, HEAD);
    }
    return is_array(mat, head) ? at + TAG + read_u32(start + 4, mat->big) : -1;
}

/* 5, 7 for version 7.3, or −1: what matio would take for version 4, and nothing that holds layers.
 */
static int find_version(const unsigned char header[HEADER], bool *big)
{
    *big = header[ENDIAN] == 'M' && header[ENDIAN + 1] == 'I';
    bool little = header[ENDIAN] == 'I' && header[ENDIAN + 1] == 'M';
    int major = header[VERSION + (*big ? 0 : 1)], minor = header[VERSION + (*big ? 1 : 0)];
    if ((!*big && !little) || minor != 0)
        return -1;
    return major == 1 ? 5 : major == 2 ? 7 : -1;
}

int mat_check(const char *path, int64_t limit, struct error *error)
{
    unsigned char header[HEADER];
    struct stat status;
    struct mat mat = {.file = fopen(path, "rbe"), .limit = limit};
    if (!mat.file)
        return error_set(error, "%s", strerror(errno));
    int64_t at = HEADER;
    bool whole =
        fstat(fileno(mat.file), &status) == 0 && fread(header, 1, HEADER, mat.file) == HEADER;
    int version = whole ? find_version(header, &mat.big) : -1;
    while (version == 5 && at >= 0 && at < status.st_size)
        at = check_element(&mat, at);
    whole = version == 5 && at >= 0 && at <= status.st_size;
    fclose(mat.file);
    if (version == 7)
        return error_set(error, "a MATLAB file of version 7.3, which is HDF5; save it with -v7");
    return whole ? 0 : error_set(error, "no MATLAB file of real arrays, or damaged or cut off");
}
