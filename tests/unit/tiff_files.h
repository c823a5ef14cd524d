/* What the tests of TIFF files share: writing by tiff_writer or by libtiff alone, reading whole. */
#ifndef OCTPIPE_TESTS_TIFF_FILES_H
#define OCTPIPE_TESTS_TIFF_FILES_H

#include "lib/io/tiff.h"
#include "tests/unit/stream_files.h"

#include <tiffio.h>

enum { D = 3, H = 21, W = 34, PIXELS = H * W, VOXELS = D * PIXELS };

static const struct tiff_mapping as_stored;

static inline struct array volume_of(enum dtype dtype)
{
    return (struct array){.dtype = dtype,
                          .rank = 3,
                          .shape = {D, H, W},
                          .marked = true,
                          .kind = "volume",
                          .axes = "DHW"};
}

/* Write a volume; −1 with the reason. */
static inline int save_tiff(const char *path, const struct array *volume, const void *data,
                            enum dtype type, enum tiff_compression compression, bool crop,
                            struct error *error)
{
    struct tiff_writer *writer;
    if (tiff_writer_open(&writer, path, volume, type, compression, crop, error) < 0)
        return -1;
    int64_t slice_bytes = array_slice_count(volume) * dtype_size(volume->dtype);
    for (int64_t d = 0; d < volume->shape[0]; d++)
        if (tiff_writer_write(writer, (const char *)data + d * slice_bytes, error) < 0) {
            tiff_writer_abort(writer);
            return -1;
        }
    return tiff_writer_close(writer, path, error);
}

/* Read a whole file; the data, which the caller frees, or NULL with the reason. */
static inline void *load_tiff(const char *path, const struct tiff_mapping *mapping, int64_t limit,
                              struct array *array, int64_t *volumes, struct error *error)
{
    struct tiff_reader *reader;
    if (tiff_reader_open(&reader, path, mapping, limit, error) < 0)
        return NULL;
    *array = *tiff_reader_array(reader);
    *volumes = tiff_reader_volumes(reader);
    int64_t slice_bytes = array_slice_count(array) * dtype_size(array->dtype);
    int64_t slices = array_slices(array) * *volumes;
    char *data = malloc((size_t)(slices * slice_bytes));
    assert_non_null(data);
    for (int64_t d = 0; d < slices; d++)
        if (tiff_reader_read(reader, data + d * slice_bytes, error) < 0) {
            free(data);
            data = NULL;
            break;
        }
    tiff_reader_close(reader);
    return data;
}

/* The data of a file that must be good and hold one volume. */
static inline void *load_good(const char *path, const struct tiff_mapping *mapping,
                              struct array *array)
{
    struct error error = {""};
    int64_t volumes = 0;
    void *data = load_tiff(path, mapping, 0, array, &volumes, &error);
    if (!data)
        fail_msg("%s: %s", path, error.text);
    assert_int_equal(volumes, 1);
    return data;
}

static inline void assert_refused(const char *path, const struct tiff_mapping *mapping,
                                  const char *reason)
{
    struct array array;
    struct error error = {""};
    int64_t volumes;
    assert_null(load_tiff(path, mapping, 0, &array, &volumes, &error));
    if (!strstr(error.text, reason))
        fail_msg("refused for another reason: %s", error.text);
    assert_null(strchr(error.text, '\n'));
}

static inline void assert_shape(const struct array *array, enum dtype dtype, int64_t d, int64_t h,
                                int64_t w)
{
    assert_int_equal(array->dtype, dtype);
    assert_int_equal(array->rank, 3);
    assert_int_equal(array->shape[0], d);
    assert_int_equal(array->shape[1], h);
    assert_int_equal(array->shape[2], w);
}

/* How libtiff writes a test file; zeros are its defaults. */
struct layout_case {
    const char *mode;
    uint16_t bits, format, photometric, compression, predictor;
    uint32_t rows_per_strip, tile;
    const char *description;
    uint32_t pages;
    uint16_t unit;
    float resolution;
};

static inline void set_tags(TIFF *tiff, const struct layout_case *layout, uint32_t page)
{
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, W);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, H);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, layout->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, layout->photometric);
    if (layout->format)
        TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, layout->format);
    if (layout->compression)
        TIFFSetField(tiff, TIFFTAG_COMPRESSION, layout->compression);
    if (layout->predictor)
        TIFFSetField(tiff, TIFFTAG_PREDICTOR, layout->predictor);
    if (layout->description && page == 0)
        TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, layout->description);
    if (layout->unit) {
        TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, layout->unit);
        TIFFSetField(tiff, TIFFTAG_XRESOLUTION, (double)layout->resolution);
        TIFFSetField(tiff, TIFFTAG_YRESOLUTION, (double)layout->resolution / 2);
    }
    if (layout->tile) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, layout->tile);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, layout->tile);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP,
                     layout->rows_per_strip ? layout->rows_per_strip : H);
    }
}

static inline void write_tile(TIFF *tiff, const struct layout_case *layout, const char *samples,
                              uint32_t row, uint32_t column)
{
    static char tile[64 * 64 * 4];
    uint32_t sample = layout->bits / 8u;
    for (uint32_t y = 0; y < layout->tile && row + y < H; y++)
        for (uint32_t x = 0; x < layout->tile && column + x < W; x++)
            memcpy(tile + (y * layout->tile + x) * sample,
                   samples + ((row + y) * W + column + x) * sample, sample);
    assert_true(TIFFWriteTile(tiff, tile, column, row, 0, 0) > 0);
}

/* Write pages one after another from `samples`. */
static inline void write_layout(const char *path, const struct layout_case *layout,
                                const void *samples)
{
    TIFF *tiff = TIFFOpen(path, layout->mode ? layout->mode : "w");
    assert_non_null(tiff);
    size_t row_bytes = (size_t)W * layout->bits / 8;
    for (uint32_t page = 0; page < (layout->pages ? layout->pages : D); page++) {
        char at[PIXELS * 4]; /* libtiff swaps bytes where they are */
        memcpy(at, (const char *)samples + page * H * row_bytes, H * row_bytes);
        set_tags(tiff, layout, page);
        if (layout->tile) {
            for (uint32_t row = 0; row < H; row += layout->tile)
                for (uint32_t column = 0; column < W; column += layout->tile)
                    write_tile(tiff, layout, at, row, column);
        } else {
            for (uint32_t row = 0; row < H; row++)
                assert_int_equal(TIFFWriteScanline(tiff, at + row * row_bytes, row, 0), 1);
        }
        assert_int_equal(TIFFWriteDirectory(tiff), 1);
    }
    TIFFClose(tiff);
}

#endif
