#include "lib/scans/deflate.h"
#include "lib/scans/image_formats.h"

#include <png.h>
#include <stdlib.h>

enum {
    PIXELS_PER_BYTE = 8 * DEFLATE_MOST, /* of one bit each */
    PIXEL_BYTES = 8,                    /* RGBA of u2 */
};

struct decoder {
    png_structp png;
    png_infop info;
    unsigned char *pixels;
    struct error *error;
};

static void __attribute__((noreturn)) on_error(png_structp png, png_const_charp message)
{
    struct decoder *decoder = png_get_error_ptr(png);
    error_set(decoder->error, "broken PNG: %s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* Ask for samples of 8 or 16 bits in the machine's order, palettes as colours or indices. */
static void set_transforms(const struct decoder *decoder, bool labels)
{
    png_set_packing(decoder->png);
    if (!labels) {
        png_set_palette_to_rgb(decoder->png);
        png_set_expand_gray_1_2_4_to_8(decoder->png);
    }
    if (!labels && png_get_valid(decoder->png, decoder->info, PNG_INFO_tRNS))
        png_set_tRNS_to_alpha(decoder->png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    png_set_swap(decoder->png);
#endif
}

/* Interlaced rows come in several passes, so all are kept. */
static int read_rows(struct decoder *decoder, const struct image *image, void *samples)
{
    int passes = png_set_interlace_handling(decoder->png);
    png_read_update_info(decoder->png, decoder->info);
    int channels = png_get_channels(decoder->png, decoder->info);
    int64_t row_bytes = (int64_t)png_get_rowbytes(decoder->png, decoder->info);
    int64_t sample = dtype_size(image->dtype);
    if (row_bytes != image->columns * channels * sample)
        return error_set(decoder->error, "broken PNG: its rows have an odd length");
    decoder->pixels = calloc((size_t)image->rows, (size_t)row_bytes);
    if (!decoder->pixels)
        return error_set(decoder->error, "out of memory");
    for (int pass = 0; pass < passes; pass++)
        for (int64_t row = 0; row < image->rows; row++)
            png_read_row(decoder->png, decoder->pixels + row * row_bytes, NULL);
    png_read_end(decoder->png, NULL);
    for (int64_t row = 0; row < image->rows; row++)
        if (image_gray(decoder->pixels + row * row_bytes, channels, image, row,
                       (char *)samples + row * image->columns * sample, decoder->error) < 0)
            return -1;
    return 0;
}

/* libpng's errors jump back here. */
static int decode(struct decoder *decoder, const struct image_source *source, struct image *image,
                  void *samples)
{
    if (setjmp(png_jmpbuf(decoder->png)))
        return -1;
    png_init_io(decoder->png, source->file);
    png_set_user_limits(decoder->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(decoder->png, decoder->info);
    const struct image found = {
        .rows = png_get_image_height(decoder->png, decoder->info),
        .columns = png_get_image_width(decoder->png, decoder->info),
        .dtype = png_get_bit_depth(decoder->png, decoder->info) == 16 ? DTYPE_U16 : DTYPE_U8,
    };
    if (image_accept(source, &found, PIXEL_BYTES, PIXELS_PER_BYTE, image, samples != NULL,
                     decoder->error) < 0)
        return -1;
    set_transforms(decoder, source->settings.labels);
    return samples ? read_rows(decoder, image, samples) : 0;
}

int image_png(const struct image_source *source, struct image *image, void *samples,
              struct error *error)
{
    struct decoder decoder = {.error = error};
    int status = -1;
    decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning);
    decoder.info = decoder.png ? png_create_info_struct(decoder.png) : NULL;
    if (decoder.info)
        status = decode(&decoder, source, image, samples);
    else
        error_set(error, "out of memory");
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    free(decoder.pixels);
    return status;
}
