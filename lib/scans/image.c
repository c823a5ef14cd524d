#include "lib/scans/image_formats.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    unsigned char start[IMAGE_START];
    size_t bytes;
    image_decoder *decode;
} formats[] = {
    {{0x89, 'P', 'N', 'G'}, 4, image_png},
    {{0xff, 0xd8, 0xff}, 3, image_jpeg},
    {{'B', 'M'}, 2, image_bmp},
    {{'I', 'I', 42, 0}, 4, image_tiff},
    {{'M', 'M', 0, 42}, 4, image_tiff},
    {{'I', 'I', 43, 0}, 4, image_tiff},
    {{'M', 'M', 0, 43}, 4, image_tiff},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static image_decoder *find(const unsigned char start[IMAGE_START])
{
    for (int i = 0; i < FORMATS; i++)
        if (memcmp(start, formats[i].start, formats[i].bytes) == 0)
            return formats[i].decode;
    return NULL;
}

bool image_known(const unsigned char start[IMAGE_START])
{
    return find(start) != NULL;
}

static int decode(const char *path, const struct image_settings *settings, struct image *image,
                  void *samples, struct error *error)
{
    unsigned char start[IMAGE_START] = {0};
    struct stat status;
    struct image_source source = {.path = path, .file = fopen(path, "rbe"), .settings = *settings};
    if (!source.file)
        return error_set(error, "%s", strerror(errno));
    int result = -1;
    image_decoder *decoder = NULL;
    if (fstat(fileno(source.file), &status) != 0) {
        error_set(error, "%s", strerror(errno));
    } else if (fread(start, 1, sizeof start, source.file) != sizeof start ||
               !(decoder = find(start))) {
        error_set(error, "no PNG, JPEG, BMP or TIFF");
    } else {
        source.file_bytes = status.st_size;
        rewind(source.file);
        result = decoder(&source, image, samples, error);
    }
    fclose(source.file);
    return result;
}

int image_describe(const char *path, const struct image_settings *settings, struct image *image,
                   struct error *error)
{
    return decode(path, settings, image, NULL, error);
}

int image_read(const char *path, const struct image_settings *settings, const struct image *image,
               void *samples, struct error *error)
{
    struct image described = *image;
    return decode(path, settings, &described, samples, error);
}

int image_accept(const struct image_source *source, const struct image *found, int64_t pixel_bytes,
                 int64_t pixels_per_byte, struct image *image, bool compare, struct error *error)
{
    int64_t pixels, bytes;
    if (found->rows <= 0 || found->columns <= 0)
        return error_set(error, "no size");
    if (__builtin_mul_overflow(found->rows, found->columns, &pixels) ||
        __builtin_mul_overflow(pixels, pixel_bytes, &bytes) || bytes > source->settings.limit)
        return error_set(
            error, "absurd size: %lld rows of %lld pixels pass the bound of %lld bytes",
            (long long)found->rows, (long long)found->columns, (long long)source->settings.limit);
    if (pixels / pixels_per_byte > source->file_bytes)
        return error_set(error, "cut off: %lld bytes cannot hold %lld rows of %lld pixels",
                         (long long)source->file_bytes, (long long)found->rows,
                         (long long)found->columns);
    if (compare && (found->rows != image->rows || found->columns != image->columns ||
                    found->dtype != image->dtype))
        return error_set(error, "it has changed since it was described");
    *image = *found;
    return 0;
}

/* Sample i of a row of u1 or u2. */
static unsigned sample(const void *row, enum dtype dtype, int64_t i)
{
    return dtype == DTYPE_U8 ? ((const uint8_t *)row)[i] : ((const uint16_t *)row)[i];
}

int image_gray(const void *pixels, int channels, const struct image *image, int64_t row, void *gray,
               struct error *error)
{
    enum dtype dtype = image->dtype;
    unsigned opaque = dtype == DTYPE_U8 ? UINT8_MAX : UINT16_MAX;
    for (int64_t i = 0; i < image->columns; i++) {
        unsigned red = sample(pixels, dtype, i * channels);
        if (channels >= 3) {
            unsigned green = sample(pixels, dtype, i * channels + 1);
            unsigned blue = sample(pixels, dtype, i * channels + 2);
            if (red != green || red != blue)
                return error_set(error,
                                 "colours: %u,%u,%u at row %lld, column %lld; make it grayscale "
                                 "first, for example with ImageMagick: convert in -colorspace Gray "
                                 "out",
                                 red, green, blue, (long long)row, (long long)i);
        }
        if (channels % 2 == 0 && sample(pixels, dtype, i * channels + channels - 1) != opaque)
            return error_set(error,
                             "transparent at row %lld, column %lld; take the alpha off "
                             "first",
                             (long long)row, (long long)i);
        if (dtype == DTYPE_U8)
            ((uint8_t *)gray)[i] = (uint8_t)red;
        else
            ((uint16_t *)gray)[i] = (uint16_t)red;
    }
    return 0;
}
