#include "lib/scans/nifti_write.h"

#include "lib/io/output.h"

#include <errno.h>
#include <nifti/nifti2_io.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct nifti_writer {
    struct output output;
    char *path;    /* that of the messages */
    gzFile file;   /* NULL: not compressed */
    int64_t bytes; /* of a slice */
};

static int find_type(enum dtype dtype, int *type, struct error *error)
{
    static const struct {
        enum dtype dtype;
        int type;
    } known[] = {
        {DTYPE_U8, NIFTI_TYPE_UINT8},    {DTYPE_I8, NIFTI_TYPE_INT8},
        {DTYPE_U16, NIFTI_TYPE_UINT16},  {DTYPE_I16, NIFTI_TYPE_INT16},
        {DTYPE_U32, NIFTI_TYPE_UINT32},  {DTYPE_I32, NIFTI_TYPE_INT32},
        {DTYPE_U64, NIFTI_TYPE_UINT64},  {DTYPE_I64, NIFTI_TYPE_INT64},
        {DTYPE_F32, NIFTI_TYPE_FLOAT32}, {DTYPE_F64, NIFTI_TYPE_FLOAT64},
        {DTYPE_BOOL, NIFTI_TYPE_UINT8},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].dtype == dtype) {
            *type = known[i].type;
            return 0;
        }
    return error_set(error, "NIfTI has no type for %s; use tensor-cast --to f4", dtype_name(dtype));
}

/* The header of either version, and the four bytes that say that no extension follows. */
static int64_t format_header(const struct array *volume, int type, char text[])
{
    nifti_1_header first = {.sizeof_hdr = sizeof first,
                            .dim = {3, 1, 1, 1, 1, 1, 1, 1},
                            .datatype = (short)type,
                            .bitpix = (short)(8 * dtype_size(volume->dtype)),
                            .vox_offset = sizeof first + 4,
                            .scl_slope = 1,
                            .xyzt_units = NIFTI_UNITS_MM,
                            .descrip = "octpipe",
                            .magic = "n+1"};
    nifti_2_header second = {.sizeof_hdr = sizeof second,
                             .magic = {'n', '+', '2', '\0', '\r', '\n', '\032', '\n'},
                             .datatype = (int16_t)type,
                             .bitpix = first.bitpix,
                             .dim = {3, 1, 1, 1, 1, 1, 1, 1},
                             .vox_offset = sizeof second + 4,
                             .scl_slope = 1,
                             .descrip = "octpipe",
                             .xyzt_units = NIFTI_UNITS_MM};
    bool large = false;
    for (int i = 0; i < 3; i++) {
        int64_t extent = volume->shape[2 - i];
        large |= extent > INT16_MAX;
        first.dim[i + 1] = (short)extent;
        second.dim[i + 1] = extent;
        first.pixdim[i + 1] = (float)volume->spacing[2 - i];
        second.pixdim[i + 1] = volume->spacing[2 - i];
    }
    int64_t bytes = large ? sizeof second : sizeof first;
    memset(text, 0, (size_t)bytes + 4);
    memcpy(text, large ? (void *)&second : (void *)&first, (size_t)bytes);
    return bytes + 4;
}

static int put(struct nifti_writer *writer, const void *data, int64_t bytes, struct error *error)
{
    enum { PIECE = 1 << 30 };
    if (!writer->file)
        return output_write(&writer->output, data, (size_t)bytes, error);
    for (int64_t done = 0; done < bytes;) {
        int64_t left = bytes - done;
        int written = gzwrite(writer->file, (const char *)data + done,
                              (unsigned)(left < PIECE ? left : PIECE));
        if (written <= 0)
            return error_set(error, "writing %s: %s", writer->path, strerror(errno));
        done += written;
    }
    return 0;
}

static void discard(struct nifti_writer *writer)
{
    if (writer->file)
        gzclose(writer->file);
    output_discard(&writer->output);
    free(writer->path);
    free(writer);
}

/* gzclose closes its descriptor, so it gets one of its own. */
static int open_compressed(struct nifti_writer *writer, struct error *error)
{
    int fd = dup(writer->output.fd);
    writer->file = fd >= 0 ? gzdopen(fd, "wb") : NULL;
    if (writer->file)
        return 0;
    if (fd >= 0)
        close(fd);
    return error_set(error, "writing %s: %s", writer->path, strerror(errno));
}

int nifti_writer_open(struct nifti_writer **result, const char *path, const struct array *volume,
                      struct error *error)
{
    char header[sizeof(nifti_2_header) + 4];
    int type = 0;
    size_t length = strlen(path);
    if (find_type(volume->dtype, &type, error) < 0)
        return -1;
    struct nifti_writer *writer = calloc(1, sizeof *writer);
    if (!writer || !(writer->path = strdup(path))) {
        free(writer);
        return error_set(error, "out of memory");
    }
    if (output_open(&writer->output, writer->path, error) < 0) {
        free(writer->path);
        free(writer);
        return -1;
    }
    writer->bytes = array_slice_count(volume) * dtype_size(volume->dtype);
    int status = 0;
    if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
        status = open_compressed(writer, error);
    if (status < 0 || put(writer, header, format_header(volume, type, header), error) < 0) {
        discard(writer);
        return -1;
    }
    *result = writer;
    return 0;
}

int nifti_writer_write(struct nifti_writer *writer, const void *slice, struct error *error)
{
    return put(writer, slice, writer->bytes, error);
}

int nifti_writer_close(struct nifti_writer *writer, const char *path, struct error *error)
{
    int status = 0;
    if (writer->file && gzclose(writer->file) != Z_OK)
        status = error_set(error, "writing %s: %s", path, strerror(errno));
    writer->file = NULL;
    if (status == 0 && writer->output.target)
        status = output_rename(&writer->output, path, error);
    if (status < 0) {
        discard(writer);
        return -1;
    }
    status = output_close(&writer->output, error);
    free(writer->path);
    free(writer);
    return status;
}
