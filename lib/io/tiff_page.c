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

static const char remedy[] = "make it grayscale first, for example with ImageMagick: "
                             "convert in.tif -colorspace Gray -alpha off out.tif";

/* RGB may be gray, which its samples tell. */
static int describe_colours(TIFF *tiff, bool labels, struct tiff_page *page, struct error *error)
{
    uint16_t samples, layout, *photometric = &page->photometric;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &layout);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, photometric))
        *photometric = PHOTOMETRIC_MINISBLACK;
    bool rgb = samples == 3 && *photometric == PHOTOMETRIC_RGB;
    page->colours = rgb ? 3 : 1;
    page->planes = rgb && layout == PLANARCONFIG_SEPARATE;
    if (samples != 1 && !rgb)
        return error_set(error, "colours or alpha, %d samples a pixel; %s", samples, remedy);
    if (*photometric == PHOTOMETRIC_PALETTE && !labels)
        return error_set(error, "a colour palette; read its indices with --labels, or %s", remedy);
    if (*photometric > PHOTOMETRIC_RGB && *photometric != PHOTOMETRIC_PALETTE)
        return error_set(error, "colours, photometric interpretation %d; %s", *photometric, remedy);
    if (*photometric == PHOTOMETRIC_RGB && !rgb)
        return error_set(error, "RGB of one sample a pixel; %s", remedy);
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
    if (describe_colours(tiff, labels, page, error) < 0 ||
        describe_samples(tiff, labels, page, error) < 0)
        return -1;
    /* 4 bytes a sample is what the slice takes as f4. */
    if (page->rows > (uint64_t)limit / sizeof(float) / (uint64_t)page->colours / page->columns)
        return error_set(error, "absurd size: a page of %ux%u passes the bound of %lld bytes",
                         page->rows, page->columns, (long long)limit);
    if (TIFFIsTiled(tiff) && (TIFFTileSize64(tiff) == 0 || TIFFTileSize64(tiff) > (uint64_t)limit))
        return error_set(error, "absurd size of its tiles");
    return 0;
}

bool tiff_page_equal(const struct tiff_page *a, const struct tiff_page *b)
{
    return a->rows == b->rows && a->columns == b->columns && a->sample == b->sample &&
           a->photometric == b->photometric && a->colours == b->colours && a->planes == b->planes;
}

int64_t tiff_page_bytes(const struct tiff_page *page)
{
    return (int64_t)page->rows * page->columns * dtype_size(page->sample);
}

/* A strip or tile, `row` and `column` of whose first pixel are those of the page. */
struct block {
    int64_t row, column, rows, columns;
    int plane;
    const char *samples;
};

/* Take over the pixels of a block that lie on the page. */
static int take_block(const struct tiff_page *page, const struct block *block, char *samples,
                      struct error *error)
{
    size_t size = (size_t)dtype_size(page->sample);
    int side_by_side = page->planes ? 1 : page->colours;
    int64_t rows = page->rows - block->row, columns = page->columns - block->column;
    rows = rows < block->rows ? rows : block->rows;
    columns = columns < block->columns ? columns : block->columns;
    for (int64_t y = 0; y < rows; y++) {
        const char *from = block->samples + y * block->columns * side_by_side * (int64_t)size;
        char *to = samples + ((block->row + y) * page->columns + block->column) * (int64_t)size;
        if (page->colours == 1) {
            memcpy(to, from, (size_t)columns * size);
            continue;
        }
        for (int64_t x = 0; x < columns; x++, to += size, from += (size_t)side_by_side * size) {
            if (block->plane == 0)
                memcpy(to, from, size);
            for (int i = 0; i < side_by_side; i++)
                if (memcmp(to, from + (size_t)i * size, size) != 0)
                    return error_set(error, "colours at row %lld, column %lld; %s",
                                     (long long)(block->row + y), (long long)(block->column + x),
                                     remedy);
        }
    }
    return 0;
}

/* The size of the page's strips or tiles. */
static void find_block(TIFF *tiff, const struct tiff_page *page, struct block *block)
{
    uint32_t rows = 0, columns = page->columns;
    if (TIFFIsTiled(tiff)) {
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &rows);
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &columns);
    } else {
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
        rows = rows && rows < page->rows ? rows : page->rows;
    }
    block->rows = rows;
    block->columns = columns;
}

static int read_blocks(TIFF *tiff, const struct tiff_page *page, struct block *block, void *room,
                       void *samples, struct error *error)
{
    bool tiled = TIFFIsTiled(tiff);
    uint32_t index = 0;
    int64_t pixel = dtype_size(page->sample) * (page->planes ? 1 : page->colours);
    for (block->plane = 0; block->plane < (page->planes ? page->colours : 1); block->plane++)
        for (block->row = 0; block->row < page->rows; block->row += block->rows)
            for (block->column = 0; block->column < page->columns;
                 block->column += block->columns, index++) {
                int64_t left = page->rows - block->row;
                int64_t rows = tiled || left > block->rows ? block->rows : left;
                int64_t bytes = rows * block->columns * pixel;
                int64_t got = tiled ? TIFFReadEncodedTile(tiff, index, room, bytes)
                                    : TIFFReadEncodedStrip(tiff, index, room, bytes);
                if (got != bytes)
                    return error_set(error, "%s", tiff_reason());
                if (take_block(page, block, samples, error) < 0)
                    return -1;
            }
    return 0;
}

int tiff_page_read(TIFF *tiff, const struct tiff_page *page, void *samples, struct error *error)
{
    struct block block;
    tiff_quiet();
    find_block(tiff, page, &block);
    void *room =
        malloc((size_t)(block.rows * block.columns * page->colours * dtype_size(page->sample)));
    if (!room)
        return error_set(error, "no memory for a strip or tile");
    block.samples = room;
    int status = read_blocks(tiff, page, &block, room, samples, error);
    free(room);
    return status;
}
