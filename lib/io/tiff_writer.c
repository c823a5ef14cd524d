#include "lib/io/tiff.h"

#include "lib/io/output.h"
#include "lib/io/tiff_common.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

const char *const tiff_compressions[TIFF_COMPRESSIONS + 1] = {"none",     "lzw",  "deflate",
                                                              "packbits", "zstd", NULL};

static const uint16_t libtiff_compression[TIFF_COMPRESSIONS] = {
    COMPRESSION_NONE,     COMPRESSION_LZW,  COMPRESSION_ADOBE_DEFLATE,
    COMPRESSION_PACKBITS, COMPRESSION_ZSTD,
};

enum { STRIP_BYTES = 256 << 10 };

struct tiff_writer {
    struct output output;
    char *path; /* that of the messages */
    TIFF *tiff;
    struct array volume;
    int64_t slices, rows, columns; /* stored; at most those of the volume */
    enum dtype type;
    enum tiff_compression compression;
    int64_t next, clamped;
    void *page; /* a slice as samples */
};

static int check_arguments(const struct array *volume, enum dtype type,
                           enum tiff_compression compression, struct error *error)
{
    char text[256];
    bool stored = volume->dtype == DTYPE_U8 || volume->dtype == DTYPE_F32;
    if (volume->rank != 3 || !stored || strcmp(volume->kind, "surfaces") == 0)
        return error_set(error, "%s %s is no volume (D, H, W) of u1 or f4",
                         volume->kind[0] ? volume->kind : "array",
                         array_describe(volume, text, sizeof text));
    if (strcmp(volume->kind, "labels") == 0 && type != DTYPE_U8)
        return error_set(error, "labels are written as u1, not as %s", dtype_name(type));
    if (!TIFFIsCODECConfigured(libtiff_compression[compression]))
        return error_set(error, "this libtiff does not write %s compression",
                         tiff_compressions[compression]);
    return 0;
}

/* Whether the file may pass the 4 GB of a classic TIFF: LZW makes noise up to half larger. */
static bool needs_bigtiff(const struct tiff_writer *writer)
{
    enum { PAGE_OVERHEAD = 1024, STRIP_OVERHEAD = 16 };
    double row_bytes = (double)writer->columns * (double)dtype_size(writer->type);
    double page_bytes = (double)writer->rows * row_bytes;
    double overhead = PAGE_OVERHEAD + STRIP_OVERHEAD * (double)writer->rows;
    double growth = writer->compression == TIFF_NONE ? 1 : 1.5;
    return (double)writer->slices * (page_bytes * growth + overhead) > (double)UINT32_MAX;
}

static void set_extent(struct tiff_writer *writer, bool crop)
{
    struct array *volume = &writer->volume;
    int64_t extent[3] = {volume->shape[0], volume->shape[1], volume->shape[2]};
    if (crop) {
        array_unpadded(volume, extent);
        memset(volume->original, 0, sizeof volume->original);
        memset(volume->padded, 0, sizeof volume->padded);
    }
    writer->slices = extent[0];
    writer->rows = extent[1];
    writer->columns = extent[2];
}

static int open_file(struct tiff_writer *writer, const char *path, struct error *error)
{
    static const char remedy[] = "a TIFF is written to a regular file; use -o FILE";
    if (!path || strcmp(path, "-") == 0)
        return error_set(error, "%s", remedy);
    writer->path = strdup(path);
    if (!writer->path)
        return error_set(error, "out of memory");
    if (output_open(&writer->output, writer->path, error) < 0) {
        writer->output.fd = -1; /* nothing to discard */
        return -1;
    }
    if (!writer->output.target)
        return error_set(error, "writing %s: %s", path, remedy);
    tiff_quiet();
    const char *format = needs_bigtiff(writer) ? "w8m" : "wm";
    writer->tiff = TIFFFdOpen(writer->output.fd, writer->path, format);
    if (!writer->tiff)
        return error_set(error, "writing %s: %s", path, tiff_reason());
    return 0;
}

int tiff_writer_open(struct tiff_writer **result, const char *path, const struct array *volume,
                     enum dtype type, enum tiff_compression compression, bool crop,
                     struct error *error)
{
    if (check_arguments(volume, type, compression, error) < 0)
        return -1;
    struct tiff_writer *writer = malloc(sizeof *writer);
    if (!writer)
        return error_set(error, "out of memory");
    *writer = (struct tiff_writer){
        .output.fd = -1, .volume = *volume, .type = type, .compression = compression};
    set_extent(writer, crop);
    int status = open_file(writer, path, error);
    if (status == 0) {
        writer->page = calloc((size_t)(writer->rows * writer->columns), (size_t)dtype_size(type));
        status = writer->page ? 0 : error_set(error, "no memory for a page");
    }
    if (status < 0)
        tiff_writer_abort(writer);
    else
        *result = writer;
    return status;
}

/* One row of the volume to samples; −1 for NaN. Rounding to nearest, halves up. */
static int convert_row(struct tiff_writer *writer, const void *row, int64_t first)
{
    const uint8_t *bytes = row;
    const float *reals = row;
    bool is_bytes = writer->volume.dtype == DTYPE_U8;
    for (int64_t i = 0; i < writer->columns; i++) {
        double value = is_bytes ? bytes[i] / 127.5 - 1 : (double)reals[i];
        if (isnan(value))
            return -1;
        if (fabs(value) > 1) {
            value = copysign(1, value);
            writer->clamped++;
        }
        if (writer->type == DTYPE_U8)
            ((uint8_t *)writer->page)[first + i] = (uint8_t)floor((value + 1) * 127.5 + 0.5);
        else if (writer->type == DTYPE_U16)
            ((uint16_t *)writer->page)[first + i] = (uint16_t)floor((value + 1) * 32767.5 + 0.5);
        else
            ((float *)writer->page)[first + i] = (float)value;
    }
    return 0;
}

static int convert_slice(struct tiff_writer *writer, const void *slice, struct error *error)
{
    const struct array *volume = &writer->volume;
    int64_t row_bytes = volume->shape[2] * dtype_size(volume->dtype);
    for (int64_t y = 0; y < writer->rows; y++)
        if (convert_row(writer, (const char *)slice + y * row_bytes, y * writer->columns) < 0)
            return error_set(error, "slice %lld: NaN", (long long)writer->next);
    return 0;
}

static int set_tags(struct tiff_writer *writer, uint32_t rows_per_strip)
{
    static const uint16_t sample_format[] = {[DTYPE_F32] = SAMPLEFORMAT_IEEEFP,
                                             [DTYPE_U8] = SAMPLEFORMAT_UINT,
                                             [DTYPE_U16] = SAMPLEFORMAT_UINT};
    TIFF *tiff = writer->tiff;
    const double *spacing = writer->volume.spacing;
    enum tiff_compression compression = writer->compression;
    int set = TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)writer->columns) &&
              TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)writer->rows) &&
              TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, (int)(8 * dtype_size(writer->type))) &&
              TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1) &&
              TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, sample_format[writer->type]) &&
              TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK) &&
              TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
              TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, rows_per_strip) &&
              TIFFSetField(tiff, TIFFTAG_COMPRESSION, libtiff_compression[compression]);
    /* ImageJ reads no predicted float samples. */
    bool predicts =
        compression == TIFF_LZW || compression == TIFF_DEFLATE || compression == TIFF_ZSTD;
    if (predicts && writer->type != DTYPE_F32)
        set = set && TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    /* ImageJ's convention: pixels a unit, the unit stands in the description. */
    set = set && TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);
    if (spacing[1] > 0)
        set = set && TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 1 / spacing[1]);
    if (spacing[2] > 0)
        set = set && TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 1 / spacing[2]);
    return set ? 0 : -1;
}

static int set_description(struct tiff_writer *writer)
{
    char *text = tiff_description_format(&writer->volume, writer->slices);
    int set = text && TIFFSetField(writer->tiff, TIFFTAG_IMAGEDESCRIPTION, text);
    free(text);
    return set ? 0 : -1;
}

static int write_page(struct tiff_writer *writer)
{
    int64_t row_bytes = writer->columns * dtype_size(writer->type);
    int64_t strip_rows = row_bytes < STRIP_BYTES ? STRIP_BYTES / row_bytes : 1;
    uint32_t strip = 0;
    if (set_tags(writer, (uint32_t)strip_rows) < 0)
        return -1;
    if (writer->next == 0 && set_description(writer) < 0)
        return -1;
    for (int64_t row = 0; row < writer->rows; row += strip_rows, strip++) {
        int64_t rows = writer->rows - row < strip_rows ? writer->rows - row : strip_rows;
        char *samples = (char *)writer->page + row * row_bytes;
        if (TIFFWriteEncodedStrip(writer->tiff, strip, samples, rows * row_bytes) < 0)
            return -1;
    }
    return TIFFWriteDirectory(writer->tiff) ? 0 : -1;
}

/* libtiff says where writing failed, errno, which was 0 before, says why. */
static int explain_failure(const struct tiff_writer *writer, struct error *error)
{
    const char *why = errno ? strerror(errno) : *tiff_reason() ? tiff_reason() : "out of memory";
    return error_set(error, "writing %s: %s", writer->path, why);
}

int tiff_writer_write(struct tiff_writer *writer, const void *slice, struct error *error)
{
    if (writer->next < writer->slices) {
        tiff_quiet();
        if (convert_slice(writer, slice, error) < 0)
            return -1;
        errno = 0;
        if (write_page(writer) < 0)
            return explain_failure(writer, error);
    }
    writer->next++;
    return 0;
}

int64_t tiff_writer_clamped(const struct tiff_writer *writer)
{
    return writer->clamped;
}

static void release(struct tiff_writer *writer)
{
    free(writer->page);
    free(writer->path);
    free(writer);
}

int tiff_writer_close(struct tiff_writer *writer, const char *path, struct error *error)
{
    tiff_quiet();
    errno = 0;
    int status = 0;
    if (writer->next < writer->slices)
        status = error_set(error, "writing %s: only %lld of %lld slices came", writer->path,
                           (long long)writer->next, (long long)writer->slices);
    else if (!TIFFFlush(writer->tiff))
        status = explain_failure(writer, error);
    else
        status = output_rename(&writer->output, path, error);
    if (status < 0) {
        tiff_writer_abort(writer);
        return -1;
    }
    TIFFCleanup(writer->tiff); /* leaves the descriptor open */
    status = output_close(&writer->output, error);
    release(writer);
    return status;
}

void tiff_writer_abort(struct tiff_writer *writer)
{
    if (!writer)
        return;
    if (writer->tiff)
        TIFFCleanup(writer->tiff);
    if (writer->output.fd >= 0)
        output_discard(&writer->output);
    release(writer);
}
