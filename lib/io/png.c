#include "lib/io/png.h"

#include "lib/io/output.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

static int write_file(const char *path, const void *data, size_t size, struct error *error)
{
    struct output output;
    if (output_open(&output, path, error) < 0)
        return -1;
    if (output_write(&output, data, size, error) < 0) {
        output_discard(&output);
        return -1;
    }
    return output_close(&output, error);
}

/* What libpng writes, in memory that grows. */
struct buffer {
    unsigned char *data;
    size_t room, size;
    struct error *error;
};

static void __attribute__((noreturn)) on_error(png_structp png, png_const_charp message)
{
    struct buffer *buffer = png_get_error_ptr(png);
    error_set(buffer->error, "cannot make a PNG: %s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void append(png_structp png, png_bytep data, png_size_t bytes)
{
    struct buffer *buffer = png_get_io_ptr(png);
    if (buffer->room - buffer->size < bytes) {
        size_t room = 2 * buffer->room + bytes;
        unsigned char *larger = realloc(buffer->data, room);
        if (!larger)
            png_error(png, "out of memory");
        buffer->data = larger;
        buffer->room = room;
    }
    memcpy(buffer->data + buffer->size, data, bytes);
    buffer->size += bytes;
}

static void flush(png_structp png)
{
    (void)png;
}

/* libpng's errors jump back here. */
static int encode(png_structp png, png_infop info, struct buffer *buffer, int64_t rows,
                  int64_t columns, int64_t channels, enum dtype dtype, const unsigned char *samples)
{
    if (setjmp(png_jmpbuf(png)))
        return -1;
    int bytes = (int)dtype_size(dtype);
    png_set_write_fn(png, buffer, append, flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    if (rows > PNG_UINT_31_MAX || columns > PNG_UINT_31_MAX)
        png_error(png, "too large");
    png_set_IHDR(png, info, (png_uint_32)columns, (png_uint_32)rows, 8 * bytes,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (bytes == 2)
        png_set_swap(png);
#endif
    for (int64_t row = 0; row < rows; row++)
        png_write_row(png, samples + row * columns * channels * bytes);
    png_write_end(png, info);
    return 0;
}

int png_encode(void **data, size_t *room, size_t *size, int64_t rows, int64_t columns,
               int64_t channels, enum dtype dtype, const void *samples, struct error *error)
{
    struct buffer buffer = {.data = *data, .room = *room, .error = error};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &buffer, on_error, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    int status = info ? encode(png, info, &buffer, rows, columns, channels, dtype, samples)
                      : error_set(error, "out of memory");
    png_destroy_write_struct(&png, &info);
    *data = buffer.data;
    *room = buffer.room;
    *size = buffer.size;
    return status;
}

int png_write(const char *path, const struct picture *picture, struct error *error)
{
    void *data = NULL;
    size_t room = 0, size;
    const uint8_t *colour = picture->colour;
    int status = png_encode(&data, &room, &size, picture->rows, picture->columns, colour ? 3 : 1,
                            DTYPE_U8, colour ? colour : picture->gray, error);
    if (status == 0)
        status = write_file(path, data, size, error);
    free(data);
    return status;
}
