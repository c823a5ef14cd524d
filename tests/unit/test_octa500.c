/* OCTA-500: ids and the split, where files are, layer surfaces, en-face maps, what does not fit. */
#include "lib/scans/mat_layers.h"
#include "lib/scans/octa500.h"
#include "lib/scans/octa500_read.h"
#include "tests/unit/stream_files.h"

#include <matio.h>
#include <sys/stat.h>

enum { SURFACES = 6, D = 4, H = 5, W = 3, LIMIT = 1 << 20 };

static void test_ids(void **state)
{
    (void)state;
    struct error error;
    int tests = 0;
    for (int id = OCTA500_FIRST; id < OCTA500_FIRST + OCTA500_SCANS; id++)
        tests += octa500_tests(id);
    assert_int_equal(tests, 97);
    assert_true(octa500_tests(10001) && !octa500_tests(10002) && octa500_tests(10298));
    assert_true(octa500_millimetres(10300) == 6 && octa500_millimetres(10301) == 3);

    bool chosen[OCTA500_SCANS] = {false};
    assert_int_equal(octa500_parse("10003-10005,10500,10001", chosen, &error), 0);
    for (int i = 0; i < OCTA500_SCANS; i++)
        assert_int_equal(chosen[i], i == 0 || (i >= 2 && i <= 4) || i == 499);
    static const char *const bad[] = {"",       "10001,", "10001 10002", "x",
                                      "10000",  "10501",  "-10001",      "10005-10001",
                                      "10001-", "1",      "10001-10501"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(octa500_parse(bad[i], chosen, &error), -1);
}

/* What each turn makes of rows 0 1 2, 3 4 5; left and right as numpy.rot90 with k of 1 and -1. */
static void test_turns(void **state)
{
    (void)state;
    static const uint8_t picture[] = {0, 1, 2, 3, 4, 5};
    static const uint8_t expected[EN_FACE_TURNS][6] = {
        [EN_FACE_FLIP] = {3, 4, 5, 0, 1, 2},      [EN_FACE_NONE] = {0, 1, 2, 3, 4, 5},
        [EN_FACE_TRANSPOSE] = {0, 3, 1, 4, 2, 5}, [EN_FACE_LEFT] = {2, 5, 1, 4, 0, 3},
        [EN_FACE_RIGHT] = {3, 0, 4, 1, 5, 2},
    };
    for (int turn = 0; turn < EN_FACE_TURNS; turn++) {
        uint8_t map[6];
        int64_t extent[2];
        en_face_extent((enum en_face_turn)turn, 2, 3, extent);
        assert_int_equal(extent[0], turn <= EN_FACE_NONE ? 2 : 3);
        assert_int_equal(extent[0] * extent[1], 6);
        en_face_turned((enum en_face_turn)turn, picture, 2, 3, map);
        assert_memory_equal(map, expected[turn], sizeof map);
    }
}

/* Write a variable of class double, values counting in C order of `dims`. */
static void write_mat(const char *path, enum mat_ft version, const char *name, int rank,
                      const size_t dims[], enum matio_compression compression)
{
    static double values[SURFACES * D * W];
    for (int s = 0; s < SURFACES; s++)
        for (int d = 0; d < D; d++)
            for (int w = 0; w < W; w++) /* MATLAB's order */
                values[s + SURFACES * (d + D * w)] = 100 * s + 10 * d + w + 0.5;
    mat_t *file = Mat_CreateVer(path, NULL, version);
    matvar_t *variable =
        Mat_VarCreate(name, MAT_C_DOUBLE, MAT_T_DOUBLE, rank, (size_t *)dims, values, 0);
    assert_non_null(file);
    assert_int_equal(Mat_VarWrite(file, variable, compression), 0);
    Mat_VarFree(variable);
    Mat_Close(file);
}

static const size_t layer_dims[] = {SURFACES, D, W};

static void refuse_mat(const char *path, const char *words)
{
    float *rows;
    int64_t shape[3];
    struct error error = {{0}};
    assert_int_equal(mat_layers_read(path, LIMIT, &rows, shape, &error), -1);
    if (!strstr(error.text, words))
        print_error("'%s' does not hold '%s'\n", error.text, words);
    assert_non_null(strstr(error.text, words));
}

static void test_layers(void **state)
{
    (void)state;
    const char *path = path_of("a.mat");
    for (int i = 0; i < 2; i++) {
        float *rows;
        int64_t shape[3];
        struct error error = {{0}};
        write_mat(path, MAT_FT_MAT5, "Layer", 3, layer_dims,
                  i ? MAT_COMPRESSION_ZLIB : MAT_COMPRESSION_NONE);
        assert_int_equal(mat_layers_read(path, LIMIT, &rows, shape, &error), 0);
        assert_int_equal(shape[0], SURFACES);
        assert_int_equal(shape[1], D);
        assert_int_equal(shape[2], W);
        for (int k = 0; k < SURFACES * D * W; k++)
            assert_true(rows[k] == (float)(100 * (k / (D * W)) + 10 * (k / W % D) + k % W) + 0.5f);
        free(rows);
        assert_int_equal(mat_layers_read(path, 8 * SURFACES * D * W - 1, &rows, shape, &error), -1);
    }
    write_mat(path, MAT_FT_MAT5, "Layers", 3, layer_dims, MAT_COMPRESSION_NONE);
    refuse_mat(path, "without a variable Layer");
    write_mat(path, MAT_FT_MAT5, "Layer", 2, layer_dims, MAT_COMPRESSION_NONE);
    refuse_mat(path, "not real of three axes");
    save_bytes(path, "no MATLAB file", 14);
    refuse_mat(path, "");
    /* What is of version 4 holds no array of three axes; zeros of the size of a header are what
     * matio takes for one. */
    const size_t two[] = {2, 3};
    write_mat(path, MAT_FT_MAT4, "Layer", 2, two, MAT_COMPRESSION_NONE);
    refuse_mat(path, "no MATLAB file of real arrays");
    save_bytes(path, (char[200]){0}, 200);
    refuse_mat(path, "no MATLAB file of real arrays");
    save_bytes(path, (char[200]){[125] = 2, [126] = 'I', [127] = 'M'}, 200);
    refuse_mat(path, "version 7.3, which is HDF5; save it with -v7");
    unlink(path);
    refuse_mat(path, "No such file");
}

/* Cut files are refused, damaged ones refused or read; a huge extent takes no memory. */
static void test_broken_layers(void **state)
{
    (void)state;
    enum { DAMAGES = 300, STEP = 7 };
    const char *path = path_of("a.mat");
    for (int i = 0; i < 2; i++) {
        size_t size;
        write_mat(path, MAT_FT_MAT5, "Layer", 3, layer_dims,
                  i ? MAT_COMPRESSION_ZLIB : MAT_COMPRESSION_NONE);
        unsigned char *file = load_bytes(path, &size);
        for (size_t length = 0; length < size; length += STEP) {
            save_bytes(path, file, length);
            refuse_mat(path, "");
        }
        for (int k = 0; k < DAMAGES; k++) {
            float *rows;
            int64_t shape[3], at = random_below((int64_t)size);
            struct error error;
            unsigned char was = file[at];
            file[at] = (unsigned char)random_word();
            save_bytes(path, file, size);
            if (mat_layers_read(path, LIMIT, &rows, shape, &error) == 0)
                free(rows);
            file[at] = was;
        }
        /* Lengths that matio would take memory for: extents, and the name's. */
        static const int offsets[] = {128 + 8 + 16 + 8 + 3, 128 + 8 + 16 + 8 + 16 + 7};
        for (int k = 0; i == 0 && k < 2; k++) {
            unsigned char was = file[offsets[k]];
            file[offsets[k]] = 0x7f;
            save_bytes(path, file, size);
            refuse_mat(path, "damaged");
            file[offsets[k]] = was;
        }
        free(file);
    }
    unlink(path);
}

static char root[512];

/* The path of a file below the root; its folders are made. */
static const char *below_root(const char *place)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, place);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    return path;
}

/* An 8-bit BMP of a gray ramp as its palette; pixel (row, column) is first + 16 row + column. */
static void write_bmp(const char *path, int rows, int columns, int first)
{
    uint8_t file[54 + 1024 + 64 * 64] = {'B', 'M'};
    int stride = (columns + 3) / 4 * 4;
    file[10] = (54 + 1024) & 255;
    file[11] = (54 + 1024) >> 8;
    file[14] = 40;
    file[18] = (uint8_t)columns;
    file[22] = (uint8_t)rows;
    file[26] = 1;
    file[28] = 8;
    for (int i = 0; i < 1024; i++)
        file[54 + i] = (uint8_t)(i % 4 == 3 ? 0 : i / 4);
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++)
            file[54 + 1024 + (rows - 1 - row) * stride + column] =
                (uint8_t)(first + 16 * row + column);
    save_bytes(path, file, (size_t)(54 + 1024 + rows * stride));
}

static void write_scan(const char *folder)
{
    for (int d = 1; d <= D; d++) {
        char place[256];
        snprintf(place, sizeof place, "%s/%d.bmp", folder, d);
        write_bmp(below_root(place), H, W, 100 + d);
    }
}

static int make_tree(void **state)
{
    directory_make(state);
    snprintf(root, sizeof root, "%s", path_of("octa"));
    mkdir(root, 0777);
    write_scan("OCTA_6mm/OCT/10001");
    write_scan("OCTA-500/OCTA_6M/OCT/10002");
    write_scan("OCTA_3M_OCTA/10301");
    write_bmp(below_root("Label/GT_Artery/10001.bmp"), D, W, 0); /* 0 once, at row 0, column 0 */
    write_bmp(below_root("Label/GT_Vein/10001.bmp"), D, W, 16 * 13 + 1); /* 0 at row 2, column 15 */
    write_bmp(below_root("OCTA_6M/GroundTruth/GT_CAVF/10002.bmp"), W, D, 7);
    write_bmp(below_root("OCTA_6mm/Projection Maps/OCT(FULL)/10001.bmp"), D, W, 9);
    write_mat(below_root("GroundTruth/GT_Layers/10001.mat"), MAT_FT_MAT5, "Layer", 3, layer_dims,
              MAT_COMPRESSION_ZLIB);
    return 0;
}

static int remove_tree(void **state)
{
    static const char *const files[] = {
        "Label/GT_Artery/10001.bmp",
        "Label/GT_Vein/10001.bmp",
        "OCTA_6M/GroundTruth/GT_CAVF/10002.bmp",
        "OCTA_6mm/Projection Maps/OCT(FULL)/10001.bmp",
        "GroundTruth/GT_Layers/10001.mat",
        "OCTA_6mm/OCT/10001/1.bmp",
        "OCTA_6mm/OCT/10001/2.bmp",
        "OCTA_6mm/OCT/10001/4.bmp",
        "OCTA_6mm/OCT/10001/3.bmp",
        "OCTA_6mm/OCT/10001/5.bmp",
        "OCTA-500/OCTA_6M/OCT/10002/1.bmp",
        "OCTA-500/OCTA_6M/OCT/10002/2.bmp",
        "OCTA-500/OCTA_6M/OCT/10002/3.bmp",
        "OCTA-500/OCTA_6M/OCT/10002/4.bmp",
        "OCTA_3M_OCTA/10301/1.bmp",
        "OCTA_3M_OCTA/10301/2.bmp",
        "OCTA_3M_OCTA/10301/3.bmp",
        "OCTA_3M_OCTA/10301/4.bmp",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = strdup(below_root(files[i]));
        unlink(path);
        for (char *slash; strlen(path) > strlen(root) && (slash = strrchr(path, '/')) != NULL;) {
            *slash = 0;
            rmdir(path);
        }
        free(path);
    }
    rmdir(root);
    return directory_remove(state);
}

static void test_volumes(void **state)
{
    (void)state;
    static const struct {
        int id;
        bool flow;
        double millimetres;
    } cases[] = {{10001, false, 6}, {10002, false, 6}, {10301, true, 3}};
    for (int i = 0; i < 3; i++) {
        struct octa500_source source = {.root = root, .flow = cases[i].flow};
        struct scan *scan;
        struct array array;
        struct error error = {{0}};
        uint8_t slice[H * W];
        assert_int_equal(octa500_find(&source, -1, cases[i].id, &error), 0);
        assert_int_equal(octa500_open_volume(&scan, &array, &source, cases[i].id, &error), 0);
        assert_int_equal(array.shape[0], D);
        assert_int_equal(array.shape[1], H);
        assert_int_equal(array.shape[2], W);
        assert_float_equal(array.spacing[0], cases[i].millimetres / D, 1e-12);
        assert_float_equal(array.spacing[1], 2.0 / H, 1e-12);
        assert_float_equal(array.spacing[2], cases[i].millimetres / W, 1e-12);
        for (int d = 1; d <= D; d++) {
            assert_int_equal(scan_read(scan, slice, &error), 0);
            assert_int_equal(slice[0], 100 + d);
            assert_int_equal(slice[W + 1], 100 + d + 17);
        }
        scan_close(scan);
        source.flow = !source.flow;
        assert_int_equal(octa500_find(&source, -1, cases[i].id, &error), -1);
    }
}

static void test_labels(void **state)
{
    (void)state;
    struct octa500_source source = {.root = root};
    struct array array;
    struct error error = {{0}};
    void *data;
    assert_int_equal(
        octa500_read_labels(&array, &data, &source, OCTA500_LABEL_LAYERS, 10001, &error), 0);
    assert_string_equal(array.kind, "surfaces");
    assert_int_equal(array.shape[0], SURFACES);
    assert_float_equal(array.spacing[1], 2.0 / H, 1e-12); /* from the volume */
    assert_true(((float *)data)[(2 * D + 3) * W + 1] == 231.5f);
    free(data);

    assert_int_equal(
        octa500_read_labels(&array, &data, &source, OCTA500_LABEL_ARTERY_VEIN, 10001, &error), 0);
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.shape[0], D);
    for (int d = 0; d < D; d++) /* flipped: row 0 of the file is the last slice */
        for (int w = 0; w < W; w++) {
            int row = D - 1 - d, artery = 16 * row + w, vein = (16 * 13 + 1 + 16 * row + w) & 255;
            assert_int_equal(((uint8_t *)data)[d * W + w], (artery != 0) + 2 * (vein != 0));
        }
    free(data);
    source.turn = EN_FACE_TRANSPOSE;
    assert_int_equal(octa500_read_labels(&array, &data, &source, OCTA500_LABEL_CAVF, 10002, &error),
                     0);
    assert_int_equal(array.shape[1], W);
    assert_int_equal(((uint8_t *)data)[1 * W + 2], 7 + 16 * 2 + 1);
    free(data);
}

static void refuse(const struct octa500_source *source, int labels, int id, const char *words)
{
    struct array array;
    struct error error = {{0}};
    struct scan *scan;
    void *data;
    int status = labels < 0 ? octa500_open_volume(&scan, &array, source, id, &error)
                            : octa500_read_labels(&array, &data, source,
                                                  (enum octa500_labels)labels, id, &error);
    assert_int_equal(status, -1);
    if (!strstr(error.text, words))
        print_error("'%s' does not hold '%s'\n", error.text, words);
    assert_non_null(strstr(error.text, words));
}

static void test_misfits(void **state)
{
    (void)state;
    struct octa500_source source = {.root = root};
    refuse(&source, -1, 10003, "there is no OCTA_6mm/OCT/10003, nor in another spelling");
    refuse(&source, OCTA500_LABEL_FAZ, 10001, "there is no Label/GT_FAZ/10001.bmp");
    refuse(&source, OCTA500_LABEL_CAVF, 10002, "(3, 4), but the volume's are (4, 3)");
    write_bmp(below_root("Label/GT_Vein/10001.bmp"), D + 1, W, 0);
    refuse(&source, OCTA500_LABEL_ARTERY_VEIN, 10001, "GT_Artery and GT_Vein of 10001 differ");
    save_bytes(below_root("Label/GT_Artery/10001.bmp"), "BM", 2);
    refuse(&source, OCTA500_LABEL_ARTERY_VEIN, 10001, "Label/GT_Artery/10001.bmp: no PNG");
    write_bmp(below_root("OCTA_6mm/OCT/10001/5.bmp"), H, W, 0);
    unlink(below_root("OCTA_6mm/OCT/10001/3.bmp"));
    refuse(&source, -1, 10001, "OCTA_6mm/OCT/10001: 4 slices, but there is no 3.bmp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),     cmocka_unit_test(test_turns),
        cmocka_unit_test(test_layers),  cmocka_unit_test(test_broken_layers),
        cmocka_unit_test(test_volumes), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_misfits),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
