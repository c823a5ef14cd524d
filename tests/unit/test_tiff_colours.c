/* tiff_reader: gray pictures that are stored as RGB. */
#include "tests/unit/tiff_files.h"

/* Write pages (D,H,W) as RGB whose samples are equal, but for the last byte of the last pixel of
 * plane `odd` (−1: of none), of strips of five rows or tiles of 16 by 16. */
static void write_rgb(const char *path, const uint8_t *gray, int bytes, bool tiled, bool planes,
                      int odd)
{
    static uint8_t plane[3][PIXELS * 2], piece[3 * 2 * 16 * 48];
    TIFF *tiff = TIFFOpen(path, "w");
    struct layout_case layout = {.bits = (uint16_t)(8 * bytes),
                                 .photometric = PHOTOMETRIC_RGB,
                                 .rows_per_strip = 5,
                                 .tile = tiled ? 16 : 0};
    assert_non_null(tiff);
    for (uint32_t page = 0; page < D; page++) {
        set_tags(tiff, &layout, page);
        TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
        TIFFSetField(tiff, TIFFTAG_PLANARCONFIG,
                     planes ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
        for (int c = 0; c < 3; c++) {
            memcpy(plane[c], gray + page * PIXELS * (uint32_t)bytes, (size_t)(PIXELS * bytes));
            plane[c][PIXELS * bytes - 1] ^= c == odd && page == D - 1;
        }
        int side = tiled ? 16 : W, tall = tiled ? 16 : 5, index = 0, count = planes ? 1 : 3;
        for (int first = 0; first < 3; first += count)
            for (int row = 0; row < H; row += tall)
                for (int column = 0; column < W; column += side, index++) {
                    int rows = tiled || H - row > tall ? tall : H - row;
                    memset(piece, 7, sizeof piece); /* what of a tile is not on the page */
                    for (int i = 0; i < rows * side * count; i++) {
                        int y = row + i / count / side, x = column + i / count % side;
                        if (y < H && x < W)
                            memcpy(piece + i * bytes,
                                   plane[first + i % count] + (y * W + x) * bytes, (size_t)bytes);
                    }
                    tmsize_t size = rows * side * count * bytes;
                    assert_int_equal(
                        tiled ? TIFFWriteEncodedTile(tiff, (uint32_t)index, piece, size)
                              : TIFFWriteEncodedStrip(tiff, (uint32_t)index, piece, size),
                        size);
                }
        assert_int_equal(TIFFWriteDirectory(tiff), 1);
    }
    TIFFClose(tiff);
}

static void test_gray_in_colours(void **state)
{
    (void)state;
    static uint8_t gray[VOXELS * 2];
    const char *path = path_of("rgb.tif");
    const struct tiff_mapping stored = {.stored = true};
    struct array array;
    char reason[64];
    for (int i = 0; i < VOXELS * 2; i++)
        gray[i] = (uint8_t)(i * 37 + i / 251);
    snprintf(reason, sizeof reason, "page %d: colours at row %d, column %d; make it gray", D, H - 1,
             W - 1);
    for (int layout = 0; layout < 8; layout++) {
        int bytes = layout & 1 ? 2 : 1;
        write_rgb(path, gray, bytes, layout & 2, layout & 4, -1);
        void *data = load_good(path, &stored, &array);
        assert_shape(&array, bytes == 1 ? DTYPE_U8 : DTYPE_U16, D, H, W);
        assert_memory_equal(data, gray, VOXELS * bytes);
        free(data);
        for (int odd = 0; odd < 3; odd++) {
            write_rgb(path, gray, bytes, layout & 2, layout & 4, odd);
            assert_refused(path, &stored, reason);
        }
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gray_in_colours),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
