#include "lib/io/tiff_page.h"

#include "lib/io/tiff_common.h"

#include <stdlib.h>
#include <string.h>

/* The dtype of the samples, or why they are not read. */
static int describe_samples(TIFF *tiff, bool labels, struct tiff_page *page, struct error *error)
{
    static const char *const format_name[] = {"unsigned", "signed", "float"};
    static const struct {
        uint16_t bits, format;
        enum dtype dtype;
    } known[] = {
        {8, SAMPLEFORMAT_UINT, DTYPE_U8},
        {16, SAMPLEFORMAT_UINT, DTYPE_U16},
        {16, SAMPLEFORMAT_INT, DTYPE_I16},
        {32, SAMPLEFORMAT_IEEEFP, DTYPE_F32},
    };
    uint16_t bits, format;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    if (format == SAMPLEFORMAT_VOID)
        format = SAMPLEFORMAT_UINT;
    if (labels && (bits != 8 || format != SAMPLEFORMAT_UINT))
        return error_set(error, "labels need 8-bit unsigned samples, these have %d bits", bits);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (bits == known[i].bits && format == known[i].format) {
            page->sample = known[i].dtype;
            return 0;
        }
    return error_set(error,
                     "%d-bit %s samples; convert them to 8- or 16-bit unsigned, 16-bit signed or "
                     "32-bit float ones",
                     bits, format <= SAMPLEFORMAT_IEEEFP ? format_name[format - 1] : "complex");
}

static int refuse_colours(TIFF *tiff, bool labels, struct tiff_page *page, struct error *error)
{
    static const char remedy[] = "make it grayscale first, for example with ImageMagick: "
                                 "convert in.tif -colorspace Gray -alpha off out.tif";
    uint16_t samples, *photometric = &page->photometric;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, photometric))
        *photometric = PHOTOMETRIC_MINISBLACK;
    if (samples != 1)
        return error_set(error, "colours or alpha, %d samples a pixel; %s", samples, remedy);
    if (*photometric == PHOTOMETRIC_PALETTE && !labels)
        return error_set(error, "a colour palette; read its indices with --labels, or %s", remedy);
    if (*photometric > PHOTOMETRIC_MINISBLACK && *photometric != PHOTOMETRIC_PALETTE)
        return error_set(error, "colours, photometric interpretation %d; %s", *photometric, remedy);
    return 0;
}

int tiff_page_describe(TIFF *tiff, bool labels, int64_t limit, struct tiff_page *page,
                       struct error *error)
{
    uint16_t compression;
    *page = (struct tiff_page){0};
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page->columns) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page->rows) || !page->rows || !page->columns)
        return error_set(error, "no size");
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    if (!TIFFIsCODECConfigured(compression))
        return error_set(error, "compression %d, which this libtiff does not read", compression);
    if (refuse_colours(tiff, labels, page, error) < 0 ||
        describe_samples(tiff, labels, page, error) < 0)
        return -1;
    /* 4 bytes a sample is what the slice takes as f4. */
    if (page->rows > (uint64_t)limit / sizeof(float) / page->columns)
        return error_set(error, "absurd size: a page of %ux%u passes the bound of %lld bytes",
                         page->rows, page->columns, (long long)limit);
    if (TIFFIsTiled(tiff) && (TIFFTileSize64(tiff) == 0 || TIFFTileSize64(tiff) > (uint64_t)limit))
        return error_set(error, "absurd size of its tiles");
    return 0;
}

bool tiff_page_equal(const struct tiff_page *a, const struct tiff_page *b)
{
    return a->rows == b->rows && a->columns == b->columns && a->sample == b->sample &&
           a->photometric == b->photometric;
}

int64_t tiff_page_bytes(const struct tiff_page *page)
{
    return (int64_t)page->rows * page->columns * dtype_size(page->sample);
}

static int read_strips(TIFF *tiff, const struct tiff_page *page, char *samples)
{
    uint32_t rows_per_strip, strip = 0;
    int64_t row_bytes = page->columns * dtype_size(page->sample);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows_per_strip);
    for (uint32_t row = 0; row < page->rows; row += rows_per_strip, strip++) {
        uint32_t left = page->rows - row;
        int64_t bytes = row_bytes * (left < rows_per_strip ? left : rows_per_strip);
        if (TIFFReadEncodedStrip(tiff, strip, samples + row * row_bytes, bytes) != bytes)
            return -1;
        if (left <= rows_per_strip)
            break;
    }
    return 0;
}

static int read_tiles(TIFF *tiff, const struct tiff_page *page, char *samples)
{
    uint32_t tile_rows = 0, tile_columns = 0, index = 0;
    int64_t sample = dtype_size(page->sample), row_bytes = page->columns * sample;
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_rows);
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_columns);
    int64_t tile_bytes = TIFFTileSize(tiff), tile_row_bytes = tile_columns * sample;
    char *tile = malloc((size_t)tile_bytes);
    int status = tile ? 0 : -1;
    for (int64_t row = 0; row < page->rows; row += tile_rows)
        for (int64_t at = 0; at < row_bytes && status == 0; at += tile_row_bytes) {
            if (TIFFReadEncodedTile(tiff, index++, tile, tile_bytes) != tile_bytes)
                status = -1;
            int64_t left = row_bytes - at, bytes = left < tile_row_bytes ? left : tile_row_bytes;
            for (int64_t y = 0; y < tile_rows && row + y < page->rows && status == 0; y++)
                memcpy(samples + (row + y) * row_bytes + at, tile + y * tile_row_bytes,
                       (size_t)bytes);
        }
    free(tile);
    return status;
}

int tiff_page_read(TIFF *tiff, const struct tiff_page *page, void *samples, struct error *error)
{
    tiff_quiet();
    int status =
        TIFFIsTiled(tiff) ? read_tiles(tiff, page, samples) : read_strips(tiff, page, samples);
    if (status < 0)
        return error_set(error, "%s", *tiff_reason() ? tiff_reason() : "no memory for a tile");
    return 0;
}
