/* BMP of 1, 4 or 8 bits (gray or a palette), 24 or 32 bits, uncompressed: what OCTA-500 and exports
 * of devices are. By hand, because Debian has no small library for it: those that read BMP (GLib's
 * gdk-pixbuf, Imlib2, SDL, ImageMagick) bring a toolkit along. */
#include "lib/scans/image_formats.h"

#include <stdlib.h>
#include <string.h>

enum {
    FILE_HEADER = 14,
    INFO_HEADER = 40, /* of the oldest BITMAPINFOHEADER; later ones begin like it */
    PALETTE_MOST = 256,
    PALETTE_ENTRY = 4, /* blue, green, red, unused */
    PIXEL_BYTES = 1,   /* beside the row that is decoded */
};

struct bitmap {
    int64_t rows, columns, stride; /* bytes from a row to the next one */
    int64_t data, palette;         /* where they start in the file */
    int bits, colours;             /* of a pixel; in the palette, 0 without one */
    bool top_down;
};

static uint32_t read_u32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int parse_header(const unsigned char header[FILE_HEADER + INFO_HEADER],
                        struct bitmap *bitmap, struct error *error)
{
    const unsigned char *info = header + FILE_HEADER;
    uint32_t info_bytes = read_u32(info), compression = read_u32(info + 16);
    int32_t height = (int32_t)read_u32(info + 8), width = (int32_t)read_u32(info + 4);
    int bits = info[14] | info[15] << 8;
    if (info_bytes < INFO_HEADER)
        return error_set(error, "a BMP header of %u bytes, not of at least %d",
                         (unsigned)info_bytes, INFO_HEADER);
    if (compression != 0 || (bits != 1 && bits != 4 && bits != 8 && bits != 24 && bits != 32))
        return error_set(error,
                         "a BMP of %d bits with compression %u; 1, 4, 8, 24 and 32 bits without "
                         "compression are read",
                         bits, (unsigned)compression);
    bitmap->top_down = height < 0;
    bitmap->rows = height < 0 ? -(int64_t)height : height;
    bitmap->columns = width;
    bitmap->bits = bits;
    bitmap->stride = (bitmap->columns * bits + 31) / 32 * 4;
    bitmap->data = read_u32(header + 10);
    bitmap->palette = (int64_t)FILE_HEADER + info_bytes;
    uint32_t colours = read_u32(info + 32), most = bits <= 8 ? 1u << bits : 0;
    bitmap->colours = (int)(colours == 0 || colours > most ? most : colours);
    return 0;
}

/* Gray values of the palette's entries, or where they are labels their indices; −1 for a colour, or
 * no entry. */
static int read_palette(FILE *file, bool labels, const struct bitmap *bitmap,
                        int gray[PALETTE_MOST], struct error *error)
{
    unsigned char palette[PALETTE_MOST * PALETTE_ENTRY];
    size_t bytes = (size_t)bitmap->colours * PALETTE_ENTRY;
    if (fseeko(file, bitmap->palette, SEEK_SET) != 0 || fread(palette, 1, bytes, file) != bytes)
        return error_set(error, "cut off in its palette");
    for (int i = 0; i < PALETTE_MOST; i++) {
        const unsigned char *entry = palette + i * PALETTE_ENTRY;
        bool is_gray = i < bitmap->colours && entry[0] == entry[1] && entry[0] == entry[2];
        gray[i] = labels ? i : is_gray ? entry[0] : -1;
    }
    return 0;
}

/* Palette index i of a row; the first one is in the highest bits. */
static int index_at(const unsigned char *stored, int bits, int64_t i)
{
    int64_t bit = i * bits;
    return stored[bit / 8] >> (8 - bits - bit % 8) & ((1 << bits) - 1);
}

/* A stored row to gray. The fourth byte of 32 bits is unused, whatever it holds. */
static int convert_row(unsigned char *stored, const struct bitmap *bitmap, const int *palette,
                       const struct image *image, int64_t row, uint8_t *gray, struct error *error)
{
    int bytes = bitmap->bits / 8;
    if (bitmap->colours > 0) {
        for (int64_t i = 0; i < image->columns; i++) {
            int index = index_at(stored, bitmap->bits, i);
            if (palette[index] < 0)
                return error_set(error,
                                 "colours: palette entry %d at row %lld, column %lld is no gray",
                                 index, (long long)row, (long long)i);
            gray[i] = (uint8_t)palette[index];
        }
        return 0;
    }
    for (int64_t i = 0; i < image->columns; i++) {
        unsigned char blue = stored[i * bytes], red = stored[i * bytes + 2];
        stored[3 * i + 1] = stored[i * bytes + 1];
        stored[3 * i] = red;
        stored[3 * i + 2] = blue;
    }
    return image_gray(stored, 3, image, row, gray, error);
}

static int read_rows(FILE *file, bool labels, const struct bitmap *bitmap,
                     const struct image *image, uint8_t *samples, struct error *error)
{
    int palette[PALETTE_MOST], status = 0;
    if (bitmap->colours > 0 && read_palette(file, labels, bitmap, palette, error) < 0)
        return -1;
    unsigned char *stored = malloc((size_t)bitmap->stride);
    if (!stored)
        return error_set(error, "out of memory");
    if (fseeko(file, bitmap->data, SEEK_SET) != 0)
        status = error_set(error, "cut off");
    for (int64_t i = 0; i < bitmap->rows && status == 0; i++) {
        int64_t row = bitmap->top_down ? i : bitmap->rows - 1 - i;
        if (fread(stored, 1, (size_t)bitmap->stride, file) != (size_t)bitmap->stride)
            status = error_set(error, "cut off in row %lld", (long long)row);
        else
            status = convert_row(stored, bitmap, palette, image, row,
                                 samples + row * image->columns, error);
    }
    free(stored);
    return status;
}

int image_bmp(const struct image_source *source, struct image *image, void *samples,
              struct error *error)
{
    unsigned char header[FILE_HEADER + INFO_HEADER];
    struct bitmap bitmap = {0};
    if (fread(header, 1, sizeof header, source->file) != sizeof header)
        return error_set(error, "cut off in its header");
    if (parse_header(header, &bitmap, error) < 0)
        return -1;
    const struct image found = {.rows = bitmap.rows, .columns = bitmap.columns, .dtype = DTYPE_U8};
    if (image_accept(source, &found, PIXEL_BYTES, 8, image, samples != NULL, error) < 0)
        return -1;
    if (bitmap.data + bitmap.rows * bitmap.stride > source->file_bytes)
        return error_set(error, "cut off: %lld of %lld bytes are there",
                         (long long)source->file_bytes,
                         (long long)(bitmap.data + bitmap.rows * bitmap.stride));
    return samples
               ? read_rows(source->file, source->settings.labels, &bitmap, image, samples, error)
               : 0;
}
