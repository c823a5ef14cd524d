#include "lib/scans/image_formats.h"

#include <stdlib.h>
#include <setjmp.h>

#include <jpeglib.h>

/* Coefficients of a progressive file, 2 bytes for each of 3 components, and the pixels. A byte of
 * data can end many blocks of 64 pixels at once (a run of 2^15), so the file's length bounds
 * little. */
enum { PIXEL_BYTES = 9, PIXELS_PER_BYTE = 1 << 20 };

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    unsigned char *row;
    struct error *error;
};

static void __attribute__((noreturn)) on_error(j_common_ptr jpeg)
{
    struct decoder *decoder = jpeg->client_data;
    char reason[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, reason);
    error_set(decoder->error, "broken JPEG: %s", reason);
    longjmp(decoder->jump, 1);
}

/* libjpeg calls what it makes up for missing or damaged data a warning. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0)
        on_error(jpeg);
}

static int read_rows(struct decoder *decoder, const struct image *image, uint8_t *samples)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    int channels = jpeg->num_components == 1 ? 1 : 3;
    jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(jpeg);
    decoder->row = malloc((size_t)(image->columns * channels));
    if (!decoder->row)
        return error_set(decoder->error, "out of memory");
    for (int64_t row = 0; row < image->rows; row++) {
        jpeg_read_scanlines(jpeg, &decoder->row, 1);
        if (image_gray(decoder->row, channels, image, row, samples + row * image->columns,
                       decoder->error) < 0)
            return -1;
    }
    jpeg_finish_decompress(jpeg);
    return 0;
}

/* libjpeg's errors jump back here. */
static int decode(struct decoder *decoder, const struct image_source *source, struct image *image,
                  void *samples)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    if (setjmp(decoder->jump))
        return -1;
    jpeg_create_decompress(jpeg);
    jpeg_stdio_src(jpeg, source->file);
    jpeg_read_header(jpeg, TRUE);
    const struct image found = {
        .rows = jpeg->image_height, .columns = jpeg->image_width, .dtype = DTYPE_U8};
    if (jpeg->num_components != 1 && jpeg->num_components != 3)
        return error_set(decoder->error, "a JPEG of %d colour components, not 1 or 3",
                         jpeg->num_components);
    if (image_accept(source, &found, PIXEL_BYTES, PIXELS_PER_BYTE, image, samples != NULL,
                     decoder->error) < 0)
        return -1;
    return samples ? read_rows(decoder, image, samples) : 0;
}

int image_jpeg(const struct image_source *source, struct image *image, void *samples,
               struct error *error)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return error_set(error, "out of memory");
    decoder->error = error;
    decoder->jpeg.err = jpeg_std_error(&decoder->manager);
    decoder->jpeg.client_data = decoder;
    decoder->manager.error_exit = on_error;
    decoder->manager.emit_message = on_message;
    int status = decode(decoder, source, image, samples);
    jpeg_destroy_decompress(&decoder->jpeg);
    free(decoder->row);
    free(decoder);
    return status;
}
