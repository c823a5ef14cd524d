/* scan_open, scan_next, scan_read: folders in natural order, NIfTI of both versions and byte
 * orders, raw numbers, NPY; natural_compare. */
#include "lib/scans/natural.h"
#include "lib/scans/scan.h"
#include "tests/unit/tiff_files.h"

#include <nifti/nifti1.h>
#include <nifti/nifti2.h>
#include <sys/stat.h>
#include <zlib.h>

static const struct scan_settings plain;

/* Read all volumes of a path; the bytes, which the caller frees, or NULL with the reason. */
static void *load(const char *path, const struct scan_settings *settings, struct array *array,
                  int64_t *volumes, struct error *error)
{
    struct scan *scan;
    char *data = NULL;
    int64_t size = 0;
    int status;
    error->text[0] = 0;
    if (scan_open(&scan, path, settings, error) < 0)
        return NULL;
    *volumes = 0;
    while ((status = scan_next(scan, array, error)) > 0) {
        int64_t slice = array_bytes(array) / array->shape[0];
        for (int64_t d = 0; d < array->shape[0] && status > 0; d++, size += slice) {
            data = realloc(data, (size_t)(size + slice));
            assert_non_null(data);
            status = scan_read(scan, data + size, error) < 0 ? -1 : 1;
        }
        if (status < 0)
            break;
        ++*volumes;
    }
    scan_close(scan);
    if (status < 0) {
        free(data);
        return NULL;
    }
    return data;
}

static void refuse(const char *path, const struct scan_settings *settings, const char *words)
{
    struct array array;
    struct error error;
    int64_t volumes;
    void *data = load(path, settings, &array, &volumes, &error);
    assert_null(data);
    if (!strstr(error.text, words))
        print_error("'%s' does not hold '%s'\n", error.text, words);
    assert_non_null(strstr(error.text, words));
}

static void test_natural(void **state)
{
    (void)state;
    static const char *const ordered[] = {"",     "1.png", "1.tif", "2.png",  "9",     "10",
                                          "010b", "a",     "a1b1",  "a1b2",   "a1b10", "a01c",
                                          "a2b0", "a10",   "a100",  "b00007", "b8",    "c"};
    enum { NAMES = sizeof ordered / sizeof ordered[0] };
    for (int i = 0; i < NAMES; i++)
        for (int j = 0; j < NAMES; j++) {
            int order = natural_compare(ordered[i], ordered[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    assert_true(natural_compare("01", "1") < 0);
    assert_true(natural_compare("99999999999999999999", "100000000000000000000") < 0);
}

/* A file `name` in the folder holds a slice of this one value. */
static void write_slice(const char *folder, const char *name, uint8_t value)
{
    char path[512];
    static uint8_t slice[PIXELS];
    memset(slice, value, sizeof slice);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_layout(path, &(struct layout_case){.bits = 8, .photometric = 1, .pages = 1}, slice);
}

static void test_folder(void **state)
{
    (void)state;
    enum { SLICES = 12 };
    char folder[256], name[512];
    struct array array;
    struct error error;
    int64_t volumes;
    snprintf(folder, sizeof folder, "%s", path_of("folder"));
    assert_int_equal(mkdir(folder, 0777), 0);
    refuse(folder, &plain, "the folder holds no PNG, BMP, JPEG or TIFF");
    for (int i = SLICES; i > 0; i--) {
        snprintf(name, sizeof name, i % 2 ? "%d.tif" : "%d", i); /* told by content */
        write_slice(folder, name, (uint8_t)i);
    }
    snprintf(name, sizeof name, "%s/%s", folder, "5-notes.txt");
    save_bytes(name, "no picture", 10);
    uint8_t *data = load(folder, &plain, &array, &volumes, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(volumes, 1);
    assert_int_equal(array.shape[0], SLICES);
    assert_int_equal(array.dtype, DTYPE_U8);
    assert_string_equal(array.kind, "volume");
    for (int i = 0; i < SLICES; i++)
        assert_int_equal(data[i * PIXELS], i + 1);
    free(data);
    data = load(folder, &(struct scan_settings){.labels = true}, &array, &volumes, &error);
    assert_string_equal(array.kind, "labels");
    free(data);

    snprintf(name, sizeof name, "%s/%s", folder, "7b.png");
    save_bytes(name, "damaged", 7);
    refuse(folder, &plain, "7b.png: no PNG, JPEG, BMP or TIFF");
    static uint16_t deep[PIXELS];
    write_layout(name, &(struct layout_case){.bits = 16, .photometric = 1, .pages = 1}, deep);
    refuse(folder, &plain, "7b.png is 21x34 u2, but 1.tif is 21x34 u1");
    unlink(name);
    for (int i = SLICES; i > 0; i--) {
        snprintf(name, sizeof name, i % 2 ? "%s/%d.tif" : "%s/%d", folder, i);
        unlink(name);
    }
    snprintf(name, sizeof name, "%s/%s", folder, "5-notes.txt");
    unlink(name);
    rmdir(folder);
}

static void swap(void *data, int count, int size)
{
    unsigned char *at = data;
    for (int i = 0; i < count; i++, at += size)
        for (int low = 0; low < size / 2; low++) {
            unsigned char byte = at[low];
            at[low] = at[size - 1 - low];
            at[size - 1 - low] = byte;
        }
}

static nifti_1_header header_of(int type, int bits)
{
    return (nifti_1_header){.sizeof_hdr = 348,
                            .dim = {4, W, H, D, 2, 1, 1, 1},
                            .datatype = (short)type,
                            .bitpix = (short)bits,
                            .pixdim = {1, 11, 4, 120, 1, 0, 0, 0},
                            .vox_offset = 352,
                            .xyzt_units = NIFTI_UNITS_MICRON,
                            .magic = "n+1"};
}

/* Write a header and two volumes of u2 counting from 0, after the fields were changed. */
static void write_nifti(const char *path, const nifti_1_header *header, bool swapped, bool zipped)
{
    static uint16_t voxels[2 * VOXELS];
    nifti_1_header first = *header;
    for (int i = 0; i < 2 * VOXELS; i++)
        voxels[i] = (uint16_t)i;
    if (swapped) {
        swap(&first.sizeof_hdr, 1, 4);
        swap(first.dim, 8, 2);
        swap(&first.datatype, 2, 2); /* and bitpix */
        swap(first.pixdim, 8, 4);
        swap(&first.vox_offset, 3, 4); /* and scl_slope, scl_inter */
        swap(voxels, 2 * VOXELS, 2);
    }
    gzFile file = gzopen(path, zipped ? "wb" : "wbT");
    gzwrite(file, &first, sizeof first);
    gzwrite(file, "\0\0\0\0", 4);
    gzwrite(file, voxels, sizeof voxels);
    gzclose(file);
}

static void test_nifti(void **state)
{
    (void)state;
    const char *path = path_of("scan"); /* the name says nothing */
    struct array array;
    struct error error;
    int64_t volumes;
    nifti_1_header header = header_of(512, 16);
    for (int i = 0; i < 4; i++) {
        write_nifti(path, &header, i & 1, i & 2);
        uint16_t *data = load(path, &plain, &array, &volumes, &error);
        assert_string_equal(error.text, "");
        assert_int_equal(volumes, 2);
        assert_int_equal(array.dtype, DTYPE_U16);
        assert_string_equal(array.kind, "");
        assert_int_equal(array.shape[0], D); /* z is D, y is H, x is W */
        assert_int_equal(array.shape[1], H);
        assert_int_equal(array.shape[2], W);
        assert_float_equal(array.spacing[0], 0.12, 1e-12);
        assert_float_equal(array.spacing[1], 0.004, 1e-12);
        assert_float_equal(array.spacing[2], 0.011, 1e-12);
        for (int k = 0; k < 2 * VOXELS; k++)
            assert_int_equal(data[k], (uint16_t)k);
        free(data);
    }
    header.scl_slope = 0.5f;
    header.scl_inter = -3;
    write_nifti(path, &header, false, true);
    float *scaled = load(path, &plain, &array, &volumes, &error);
    assert_non_null(scaled);
    assert_int_equal(array.dtype, DTYPE_F32);
    for (int k = 0; k < 2 * VOXELS; k++) /* exact: halves of small integers */
        assert_true(scaled[k] == 0.5f * (float)(uint16_t)k - 3);
    free(scaled);
    unlink(path);
}

static void test_nifti_2(void **state)
{
    (void)state;
    const char *path = path_of("scan");
    struct array array;
    struct error error;
    int64_t volumes;
    nifti_2_header header = {.sizeof_hdr = 540,
                             .magic = {'n', '+', '2', '\0', '\r', '\n', '\032', '\n'},
                             .datatype = 2,
                             .bitpix = 8,
                             .dim = {3, W, H, D, 0, 0, 0, 0},
                             .pixdim = {1, 0.01, 0.004, -0.12, 0, 0, 0, 0},
                             .vox_offset = 544,
                             .xyzt_units = NIFTI_UNITS_MM};
    unsigned char file[544 + VOXELS];
    for (int i = 0; i < VOXELS; i++)
        file[544 + i] = (unsigned char)i;
    memcpy(file, &header, sizeof header);
    save_bytes(path, file, sizeof file);
    uint8_t *data = load(path, &plain, &array, &volumes, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(volumes, 1);
    assert_string_equal(array.kind, "volume");
    assert_float_equal(array.spacing[0], 0.12, 0);
    assert_memory_equal(data, file + 544, VOXELS);
    free(data);
    unlink(path);
}

static void test_nifti_refusals(void **state)
{
    (void)state;
    const char *path = path_of("scan");
    size_t size;
    nifti_1_header header = header_of(128, 24);
    write_nifti(path, &header, false, false);
    refuse(path, &plain, "a NIfTI of type 128");
    header = header_of(512, 16);
    memcpy(header.magic, "ni1", 4);
    write_nifti(path, &header, false, false);
    refuse(path, &plain, "a pair of .hdr and .img");
    static const struct {
        int axis;
        short extent;
        const char *words;
    } cases[] = {{0, 9, ""},
                 {2, 0, "0 elements along axis 2"},
                 {3, 32767, "cut off: "},
                 {4, 32767, "cut off: "}};
    for (int i = 0; i < 8; i++) {
        header = header_of(512, 16);
        header.dim[cases[i / 2].axis] = cases[i / 2].extent;
        write_nifti(path, &header, false, i % 2);
        refuse(path, &plain, cases[i / 2].words);
    }
    header = header_of(512, 16);
    header.dim[0] = 5;
    header.dim[5] = 2;
    write_nifti(path, &header, false, false);
    refuse(path, &plain, "axes beyond x, y, z, t");
    header = header_of(512, 16);
    header.vox_offset = -1;
    write_nifti(path, &header, false, false);
    refuse(path, &plain, "voxels start at -1");
    for (int zipped = 0; zipped < 2; zipped++) {
        header = header_of(512, 16);
        write_nifti(path, &header, false, zipped);
        refuse(path, &(struct scan_settings){.limit = 8 * PIXELS - 1}, "absurd size: ");
        unsigned char *file = load_bytes(path, &size);
        for (size_t length = 0; length < size; length += 97) {
            save_bytes(path, file, length);
            refuse(path, &plain, "");
        }
        if (zipped) { /* the checksum is compared */
            file[size - 8] ^= 1;
            save_bytes(path, file, size);
            refuse(path, &plain, "a wrong checksum");
        }
        free(file);
    }
    unlink(path);
}

static void test_raw(void **state)
{
    (void)state;
    const char *path = path_of("scan.png"); /* asked for: raw whatever it seems */
    struct array array;
    struct error error;
    int64_t volumes;
    int16_t voxels[2 * 3 * 4];
    for (int i = 0; i < 24; i++)
        voxels[i] = (int16_t)(100 * i - 1000);
    struct scan_settings raw = {.raw = true, .shape = {2, 3, 4}, .dtype = DTYPE_I16};
    save_bytes(path, voxels, sizeof voxels);
    int16_t *data = load(path, &raw, &array, &volumes, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(array.dtype, DTYPE_I16);
    assert_int_equal(array.shape[1], 3);
    assert_memory_equal(data, voxels, sizeof voxels);
    free(data);
    raw.shape[0] = 3;
    refuse(path, &raw, "it holds 48 bytes, but i2 (3, 3, 4) takes 72");
    raw.labels = true;
    raw.shape[0] = 2;
    refuse(path, &raw, "labels are u1");
    refuse(path, &plain, "by its first bytes; raw numbers need --shape and --type");
    unlink(path);
    refuse(path, &plain, "No such file");
}

static void test_npy(void **state)
{
    (void)state;
    const char *path = path_of("scan");
    struct array array = {.dtype = DTYPE_U16, .rank = 2, .shape = {H, W}}, found;
    struct error error;
    int64_t volumes;
    static uint16_t slice[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        slice[i] = (uint16_t)(i * 7);
    for (int rank = 2; rank <= 3; rank++) {
        struct stream_writer *writer;
        array.rank = rank;
        if (rank == 3)
            memcpy(array.shape, (int64_t[]){1, H, W}, 3 * sizeof *array.shape);
        assert_int_equal(stream_writer_open(&writer, path, &error), 0);
        assert_int_equal(stream_writer_begin(writer, &array, &error), 0);
        assert_int_equal(stream_writer_write(writer, slice, array_slices(&array), &error), 0);
        assert_int_equal(stream_writer_end(writer, &error), 0);
        assert_int_equal(stream_writer_close(writer, &error), 0);
        void *data = load(path, &plain, &found, &volumes, &error);
        assert_string_equal(error.text, "");
        assert_int_equal(found.shape[0], 1);
        assert_int_equal(found.shape[2], W);
        assert_memory_equal(data, slice, sizeof slice);
        free(data);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_natural),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_nifti),
        cmocka_unit_test(test_nifti_2),
        cmocka_unit_test(test_nifti_refusals),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_npy),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
