#include "lib/io/tiff.h"
#include "lib/scans/image_formats.h"

int image_tiff(const struct image_source *source, struct image *image, void *samples,
               struct error *error)
{
    const struct tiff_mapping mapping = {.stored = true, .labels = source->settings.labels};
    struct tiff_reader *reader;
    if (tiff_reader_open(&reader, source->path, &mapping, source->settings.limit, error) < 0)
        return -1;
    const struct array *array = tiff_reader_array(reader);
    int64_t pages = tiff_reader_volumes(reader) * array->shape[0];
    const struct image found = {.rows = array->shape[1],
                                .columns = array->shape[2],
                                .dtype = array->dtype,
                                .spacing = {array->spacing[1], array->spacing[2]}};
    int status = 0;
    if (pages != 1)
        status =
            error_set(error, "a TIFF of %lld pages among slices; name a volume's file by itself",
                      (long long)pages);
    else if (samples && (found.rows != image->rows || found.columns != image->columns ||
                         found.dtype != image->dtype))
        status = error_set(error, "it has changed since it was described");
    else if (samples)
        status = tiff_reader_read(reader, samples, error);
    *image = found;
    tiff_reader_close(reader);
    return status;
}
