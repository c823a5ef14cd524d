#include "lib/io/png.h"

#include "lib/io/output.h"

#include <png.h>
#include <stdlib.h>

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

int png_write(const char *path, const struct picture *picture, struct error *error)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)picture->columns,
                       .height = (png_uint_32)picture->rows,
                       .format = PNG_FORMAT_GRAY};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *data = malloc(size);
    int status;
    if (!data)
        status = error_set(error, "no memory for a picture of %lldx%lld",
                           (long long)picture->columns, (long long)picture->rows);
    else if (!png_image_write_to_memory(&image, data, &size, 0, picture->gray, 0, NULL))
        status = error_set(error, "cannot make a PNG: %s", image.message);
    else
        status = write_file(path, data, size, error);
    free(data);
    return status;
}
