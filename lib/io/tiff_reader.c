#include "lib/io/tiff.h"

#include "lib/io/tiff_common.h"
#include "lib/io/tiff_page.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tiff_reader {
    TIFF *tiff;
    struct tiff_mapping mapping;
    struct tiff_page page; /* the first, and so every one */
    struct array array;    /* one volume */
    int64_t limit, volumes, pages, next;
    int64_t raw_offset; /* of pages without directories of their own, one after another; else 0 */
    void *samples;      /* a page as it is stored */
};

/* Read `bytes` bytes at `offset` of the file itself; −1 when they are not there. */
static int read_at(const struct tiff_reader *reader, void *data, int64_t bytes, int64_t offset)
{
    for (int64_t done = 0; done < bytes;) {
        ssize_t got = pread(TIFFFileno(reader->tiff), (char *)data + done, (size_t)(bytes - done),
                            offset + done);
        if (got == 0 || (got < 0 && errno != EINTR))
            return -1;
        done += got > 0 ? got : 0;
    }
    return 0;
}

/* libtiff takes a directory whose end is cut off, with the offset of the next one, for the last. */
static int check_directory(const struct tiff_reader *reader, struct error *error)
{
    enum { VERSION = 2, BIG_VERSION = 43, ENTRY = 12, LINK = 4, BIG_ENTRY = 20, BIG_LINK = 8 };
    int64_t start = (int64_t)TIFFCurrentDirOffset(reader->tiff);
    unsigned char version[2] = {0}, last;
    uint16_t entries = 0;
    uint64_t big_entries = 0, size;
    int status = read_at(reader, version, sizeof version, VERSION);
    if (version[0] + version[1] == BIG_VERSION) {
        status |= read_at(reader, &big_entries, sizeof big_entries, start);
        if (TIFFIsByteSwapped(reader->tiff))
            TIFFSwabLong8(&big_entries);
        size = sizeof big_entries + BIG_ENTRY * (big_entries & UINT16_MAX) + BIG_LINK;
    } else {
        status |= read_at(reader, &entries, sizeof entries, start);
        if (TIFFIsByteSwapped(reader->tiff))
            TIFFSwabShort(&entries);
        size = sizeof entries + ENTRY * (uint64_t)entries + LINK;
    }
    if (status < 0 || read_at(reader, &last, 1, start + (int64_t)size - 1) < 0)
        return error_set(error, "cut off in its directory");
    return 0;
}

/* Walk through all directories: count them, and make sure that they are alike. */
static int check_pages(struct tiff_reader *reader, struct error *error)
{
    for (reader->pages = 1;; reader->pages++) {
        struct tiff_page page, *first = &reader->page;
        if (check_directory(reader, error) < 0 ||
            tiff_page_describe(reader->tiff, reader->mapping.labels, reader->limit, &page, error))
            return error_prefix(error, "page %lld", (long long)reader->pages);
        if (reader->pages == 1)
            *first = page;
        if (!tiff_page_equal(&page, first))
            return error_set(error, "page %lld is %ux%u %s, but the first one %ux%u %s%s",
                             (long long)reader->pages, page.rows, page.columns,
                             dtype_name(page.sample), first->rows, first->columns,
                             dtype_name(first->sample),
                             page.photometric != first->photometric ? " in other colours" : "");
        if (TIFFLastDirectory(reader->tiff))
            return 0;
        if (!TIFFReadDirectory(reader->tiff))
            return error_set(error, "broken after page %lld: %s", (long long)reader->pages,
                             tiff_reason());
    }
}

/* ImageJ beyond 4 GB: one directory, and `images` pages one after another from its first strip. */
static int find_raw_pages(struct tiff_reader *reader, int64_t images, struct error *error)
{
    uint16_t compression;
    uint64_t *offsets = NULL;
    struct stat status;
    int64_t end;
    TIFFGetFieldDefaulted(reader->tiff, TIFFTAG_COMPRESSION, &compression);
    bool raw = compression == COMPRESSION_NONE && !TIFFIsTiled(reader->tiff) &&
               reader->page.colours == 1 &&
               TIFFGetField(reader->tiff, TIFFTAG_STRIPOFFSETS, &offsets) && offsets &&
               fstat(TIFFFileno(reader->tiff), &status) == 0 && offsets[0] <= INT64_MAX &&
               !__builtin_mul_overflow(images, tiff_page_bytes(&reader->page), &end) &&
               !__builtin_add_overflow(end, (int64_t)offsets[0], &end) && end <= status.st_size;
    if (!raw)
        return error_set(error,
                         "its description announces %lld images, but it holds one: it is cut off, "
                         "or the description is wrong (tiffset -u 270 FILE removes it)",
                         (long long)images);
    reader->raw_offset = (int64_t)offsets[0];
    reader->pages = images;
    return 0;
}

/* The frames of an ImageJ hyperstack are volumes. A description that does not fit the pages, or
 * that calls all of them channels or frames, says nothing about their order. */
static int count_volumes(struct tiff_reader *reader, const struct tiff_description *description,
                         struct error *error)
{
    int64_t channels = description->channels > 0 ? description->channels : 1;
    int64_t slices = description->slices > 0 ? description->slices : 1;
    int64_t frames = description->frames > 0 ? description->frames : 1, product;
    bool fits = !__builtin_mul_overflow(channels, slices, &product) &&
                !__builtin_mul_overflow(product, frames, &product) && product == reader->pages;
    if (fits && channels > 1 && channels < reader->pages)
        return error_set(error,
                         "a hyperstack of %lld channels; save each by itself (ImageJ: Image, "
                         "Color, Split Channels)",
                         (long long)channels);
    reader->volumes = fits && slices > 1 ? frames : 1;
    return 0;
}

static void describe_volume(struct tiff_reader *reader, const struct array *metadata)
{
    struct array *array = &reader->array;
    struct tiff_mapping *mapping = &reader->mapping;
    mapping->stored = mapping->stored && !*metadata->kind;
    bool as_stored = (reader->page.sample == DTYPE_U8 && !mapping->range) || mapping->stored;
    if (as_stored && strcmp(metadata->kind, "labels") == 0)
        mapping->labels = true;
    *array = (struct array){
        .dtype = as_stored ? reader->page.sample : DTYPE_F32,
        .rank = 3,
        .shape = {reader->pages / reader->volumes, reader->page.rows, reader->page.columns},
        .marked = true,
        .axes = "DHW",
    };
    if (mapping->labels)
        strcpy(array->kind, "labels");
    else if (!as_stored || array->dtype == DTYPE_U8)
        strcpy(array->kind, "volume");
    array_derive(array, metadata);
}

static int describe_file(struct tiff_reader *reader, struct error *error)
{
    struct tiff_description description;
    const char *text = NULL;
    float x = 0, y = 0;
    uint16_t unit;
    TIFFGetField(reader->tiff, TIFFTAG_IMAGEDESCRIPTION, &text);
    TIFFGetField(reader->tiff, TIFFTAG_XRESOLUTION, &x);
    TIFFGetField(reader->tiff, TIFFTAG_YRESOLUTION, &y);
    TIFFGetFieldDefaulted(reader->tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
    tiff_description_parse(&description, text, (double[]){(double)y, (double)x},
                           unit == RESUNIT_CENTIMETER);
    if (check_pages(reader, error) < 0)
        return -1;
    if (!TIFFSetDirectory(reader->tiff, 0))
        return error_set(error, "%s", tiff_reason());
    if (reader->pages == 1 && description.images > 1 &&
        find_raw_pages(reader, description.images, error) < 0)
        return -1;
    if (count_volumes(reader, &description, error) < 0)
        return -1;
    describe_volume(reader, &description.metadata);
    return 0;
}

/* libtiff is told not to map the file ("m"), so that memory does not grow with it. */
static int open_file(struct tiff_reader *reader, const char *path, struct error *error)
{
    struct stat status;
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        error_set(error, "cannot open: %s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        error_set(error, "no regular file; a TIFF is read from a file, not from a pipe");
    else if (lseek(fd, 0, SEEK_SET) < 0 || !(reader->tiff = TIFFFdOpen(fd, path, "rm")))
        error_set(error, "cannot open: %s", tiff_reason());
    else
        return 0;
    if (fd >= 0)
        close(fd);
    return -1;
}

int tiff_reader_open(struct tiff_reader **result, const char *path,
                     const struct tiff_mapping *mapping, int64_t limit, struct error *error)
{
    struct tiff_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return error_set(error, "out of memory");
    reader->mapping = *mapping;
    reader->limit = limit > 0 ? limit : sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
    tiff_quiet();
    int status = open_file(reader, path, error);
    if (status == 0)
        status = describe_file(reader, error);
    if (status == 0 && !(reader->samples = malloc((size_t)tiff_page_bytes(&reader->page))))
        status = error_set(error, "no memory for a page");
    if (status < 0)
        tiff_reader_close(reader);
    else
        *result = reader;
    return status;
}

void tiff_reader_close(struct tiff_reader *reader)
{
    if (!reader)
        return;
    if (reader->tiff)
        TIFFClose(reader->tiff);
    free(reader->samples);
    free(reader);
}

int64_t tiff_reader_volumes(const struct tiff_reader *reader)
{
    return reader->volumes;
}

const struct array *tiff_reader_array(const struct tiff_reader *reader)
{
    return &reader->array;
}

static int read_raw(struct tiff_reader *reader, struct error *error)
{
    int64_t bytes = tiff_page_bytes(&reader->page);
    int64_t sample = dtype_size(reader->page.sample);
    if (read_at(reader, reader->samples, bytes, reader->raw_offset + reader->next * bytes) < 0)
        return error_set(error, "cut off");
    if (TIFFIsByteSwapped(reader->tiff) && sample == 2)
        TIFFSwabArrayOfShort(reader->samples, bytes / sample);
    else if (TIFFIsByteSwapped(reader->tiff) && sample == 4)
        TIFFSwabArrayOfLong(reader->samples, bytes / sample);
    return 0;
}

static int read_samples(struct tiff_reader *reader, struct error *error)
{
    if (reader->raw_offset > 0)
        return read_raw(reader, error);
    if (reader->next > 0 && !TIFFReadDirectory(reader->tiff))
        return error_set(error, "%s", tiff_reason());
    return tiff_page_read(reader->tiff, &reader->page, reader->samples, error);
}

/* The stored samples to f4 in [−1,1]. */
static int map_samples(const struct tiff_reader *reader, float *slice, struct error *error)
{
    const struct tiff_mapping *mapping = &reader->mapping;
    enum dtype sample = reader->page.sample;
    int64_t columns = reader->page.columns, count = reader->page.rows * columns;
    double low = mapping->low, high = mapping->high;
    if (!mapping->range) {
        low = sample == DTYPE_U16 ? 0 : sample == DTYPE_I16 ? INT16_MIN : -1;
        high = sample == DTYPE_U16 ? UINT16_MAX : sample == DTYPE_I16 ? INT16_MAX : 1;
    }
    double sign = reader->page.photometric == PHOTOMETRIC_MINISWHITE ? -1 : 1;
    array_to_f32(reader->samples, sample, slice, count);
    for (int64_t i = 0; i < count; i++) {
        double value = (double)slice[i];
        if (isnan(value) || (!mapping->range && (value < low || value > high)))
            return error_set(error, "%g at row %lld, column %lld%s", value,
                             (long long)(i / columns), (long long)(i % columns),
                             isnan(value) ? ""
                                          : " is outside [-1,1]; say with --range LO,HI what "
                                            "stands for -1 and 1");
        if (mapping->range || sample != DTYPE_F32)
            value = 2 * (value - low) / (high - low) - 1;
        slice[i] = (float)(sign * (value < -1 ? -1 : value > 1 ? 1 : value));
    }
    return 0;
}

/* The stored samples as they are, but for min-is-white ones: the complement of an integer is its
 * mirror image in the type's range. */
static void copy_samples(const struct tiff_reader *reader, void *slice)
{
    int64_t bytes = tiff_page_bytes(&reader->page);
    memcpy(slice, reader->samples, (size_t)bytes);
    if (reader->page.photometric != PHOTOMETRIC_MINISWHITE || reader->mapping.labels)
        return;
    if (reader->page.sample == DTYPE_F32)
        for (int64_t i = 0; i < bytes / (int64_t)sizeof(float); i++)
            ((float *)slice)[i] = -((float *)slice)[i];
    else
        for (int64_t i = 0; i < bytes; i++)
            ((uint8_t *)slice)[i] = (uint8_t) ~((uint8_t *)slice)[i];
}

int tiff_reader_read(struct tiff_reader *reader, void *slice, struct error *error)
{
    int status = read_samples(reader, error);
    if (status == 0 && reader->array.dtype == DTYPE_F32 && !reader->mapping.stored)
        status = map_samples(reader, slice, error);
    else if (status == 0)
        copy_samples(reader, slice);
    reader->next++;
    return status < 0 ? error_prefix(error, "page %lld", (long long)reader->next) : 0;
}
