#include "lib/phantom/phantom.h"

#include "lib/phantom/draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { EYES = 6, MOST = 96 };
static const double field[3] = {6, 2, 6};
static struct phantom phantom;

static void begin(const int64_t extent[3], int64_t index, double fluid_share)
{
    assert_int_equal(phantom_plan(&phantom, extent, field, 0, NULL), 0);
    phantom_begin(&phantom, 11, index, fluid_share);
}

static int finish(void **state)
{
    (void)state;
    phantom_free(&phantom);
    return 0;
}

/* The tops of the slabs at the A-scan next to (y, x) mm. */
static const float *top_at(double y, double x)
{
    const struct scan *scan = &phantom.scan;
    int64_t d = (int64_t)((y + 0.5 * scan->field[0]) / scan->spacing[0]);
    int64_t w = (int64_t)((x + 0.5 * scan->field[2]) / scan->spacing[2]);
    return phantom.top + (d * scan->extent[2] + w) * TOPS;
}

/* All slices, in batches as phantom.batch says: gray and clean (D, H, W). */
static void scan_all(uint8_t *gray, uint8_t *clean)
{
    const int64_t *extent = phantom.scan.extent;
    int64_t slice = extent[1] * extent[2];
    for (int64_t d = 0; d < extent[0]; d += phantom.batch) {
        int64_t left = extent[0] - d, count = left < phantom.batch ? left : phantom.batch;
        phantom_slices(&phantom, d, count, gray + d * slice, clean + d * slice);
    }
}

/* Mean 0 and variance 1: a point is made of 9 of the 121² knots that cover 6 mm, so the bounds are
 * five standard errors of a ninth of that number of normals. */
static void test_lattice(void **state)
{
    (void)state;
    enum { POINTS = 400 };
    const double pitch[3] = {0.05, 0.05, INFINITY}, count = POINTS * POINTS;
    const double independent = 121 * 121 / 9.0;
    struct random_key key = draw_key(3, 0, DRAW_GAIN, 0);
    for (int turned = 0; turned < 2; turned++) {
        struct lattice lattice;
        assert_int_equal(lattice_plan(&lattice, 6, pitch, 1, 0.4 * turned, NULL), 0);
        lattice_fill(&lattice, &key);
        double sum = 0, squares = 0;
        for (int j = 0; j < POINTS; j++)
            for (int i = 0; i < POINTS; i++) {
                float value;
                lattice_column(&lattice, 6.0 * j / (POINTS - 1) - 3, 6.0 * i / (POINTS - 1) - 3,
                               &value);
                sum += value;
                squares += value * value;
            }
        assert_true(fabs(sum / count) < 5 / sqrt(independent));
        assert_true(fabs(squares / count - 1) < 5 * sqrt(2 / independent));
        lattice_free(&lattice);
    }
}

/* Along z the field is that of a spline through the knots: constant knots stay constant but for the
 * scale, and beyond the last three knots the value is held. */
static void test_lattice_along(void **state)
{
    (void)state;
    const float knot[5] = {1, 1, 1, 1, 1}, step[5] = {0, 0, 0, 1, 1};
    struct lattice lattice = {.layers = 5, .pitch = {1, 1, 0.5}};
    float scale = (float)sqrt(20.0 / 11);
    for (double z = -1; z < 4; z += 0.1)
        assert_float_equal(lattice_along(&lattice, knot, z), scale, 1e-6);
    assert_float_equal(lattice_along(&lattice, step, 0.5), 0, 1e-6);
    assert_float_equal(lattice_along(&lattice, step, 0.75), 0.125f * scale, 1e-6);
    assert_float_equal(lattice_along(&lattice, step, 99), 0.5f * scale, 1e-6);
}

/* Each slab begins below the one before, all of the retina is in the scan, and the rows are the
 * depths. */
static void test_surfaces_ordered(void **state)
{
    (void)state;
    const int64_t extent[3] = {40, 64, 48};
    static float row[SURFACES][40 * 48];
    for (int index = 0; index < EYES; index++) {
        begin(extent, index, 0.5);
        for (int s = 0; s < SURFACES; s++)
            surfaces_rows(phantom.top, &phantom.scan, s, row[s]);
        for (int64_t i = 0; i < extent[0] * extent[2]; i++) {
            const float *top = phantom.top + i * TOPS;
            assert_true(top[SLAB_NFL] > 0 && top[SLAB_CHOROID] < field[1]);
            for (int slab = 0; slab < SLABS; slab++)
                assert_true(top[slab] < top[slab + 1]);
            for (int s = 1; s < SURFACES; s++)
                assert_true(row[s][i] > row[s - 1][i]);
            assert_float_equal(row[0][i], top[SLAB_NFL] * 32 - 0.5, 1e-4);
            assert_float_equal(row[5][i], top[SLAB_CHOROID] * 32 - 0.5, 1e-4);
        }
        phantom_free(&phantom);
    }
}

/* In a healthy eye the retina is thinnest at the fovea and thick 1 mm away, on every side. */
static void test_foveal_pit(void **state)
{
    (void)state;
    const int64_t extent[3] = {MOST, 1, MOST};
    for (int index = 0; index < EYES; index++) {
        begin(extent, index, 0);
        double y = phantom.eye.fovea_y, x = phantom.eye.fovea_x;
        const float *centre = top_at(y, x);
        for (int turn = 0; turn < 12; turn++) {
            const float *rim = top_at(y + sin(turn * M_PI / 6), x + cos(turn * M_PI / 6));
            double thin = centre[SLAB_CHOROID] - centre[SLAB_NFL];
            double thick = rim[SLAB_CHOROID] - rim[SLAB_NFL];
            assert_true(thin > 0.15 && thin < 0.32);
            assert_true(thick > thin + 0.03 && thick < 0.45);
        }
        phantom_free(&phantom);
    }
}

/* A scan of three times as many A-scans passes through the same depths. */
static void test_same_eye_at_any_shape(void **state)
{
    (void)state;
    const int64_t coarse[3] = {16, 8, 32}, fine[3] = {48, 100, 96};
    static float top[16][32][TOPS];
    for (int index = 0; index < EYES; index++) {
        begin(coarse, index, 0.5);
        memcpy(top, phantom.top, sizeof top);
        phantom_free(&phantom);
        begin(fine, index, 0.5);
        for (int d = 0; d < 16; d++)
            for (int w = 0; w < 32; w++)
                for (int k = 0; k < TOPS; k++)
                    assert_float_equal(phantom.top[((3 * d + 1) * 96 + 3 * w + 1) * TOPS + k],
                                       top[d][w][k], 1e-6);
        phantom_free(&phantom);
    }
}

/* The same bytes for other batches and numbers of threads; others for other eyes and seeds. */
static void test_reproducible(void **state)
{
    (void)state;
    enum { COUNT = 13 * 40 * 24 };
    const int64_t extent[3] = {13, 40, 24};
    static uint8_t expected[COUNT], expected_clean[COUNT], gray[COUNT], clean[COUNT];
    int threads = omp_get_max_threads();
    for (int cut = 1; cut <= 4; cut++) {
        omp_set_num_threads(cut);
        begin(extent, 2, 1);
        scan_all(gray, clean);
        if (cut == 1) {
            memcpy(expected, gray, COUNT);
            memcpy(expected_clean, clean, COUNT);
        }
        assert_memory_equal(gray, expected, COUNT);
        assert_memory_equal(clean, expected_clean, COUNT);
        phantom_free(&phantom);
    }
    omp_set_num_threads(threads);
    begin(extent, 3, 1);
    scan_all(gray, clean);
    assert_memory_not_equal(gray, expected, COUNT);
    phantom_begin(&phantom, 12, 2, 1);
    scan_all(gray, clean);
    assert_memory_not_equal(gray, expected, COUNT);
    phantom_begin(&phantom, 11, 2, 1);
    scan_all(gray, clean);
    assert_memory_equal(gray, expected, COUNT);
}

/* Labels are where vessels are, of both kinds; none in the avascular zone but for the half of an
 * A-scan that a vessel at its rim may reach in; the arcades are much wider than the ends. */
static void test_vessels(void **state)
{
    (void)state;
    const int64_t extent[3] = {MOST, 1, MOST};
    for (int index = 0; index < EYES; index++) {
        begin(extent, index, 0);
        const struct scan *scan = &phantom.scan;
        int64_t count[3] = {0};
        float widest = 0, thinnest = 1;
        for (int64_t i = 0; i < MOST * MOST; i++) {
            double away = hypot(scan_y(scan, i / MOST) - phantom.eye.fovea_y,
                                scan_x(scan, i % MOST) - phantom.eye.fovea_x);
            assert_true(phantom.label[i] <= VESSEL_VEIN);
            assert_int_equal(phantom.label[i] != VESSEL_NONE, phantom.half[i] > 0);
            assert_true(phantom.half[i] <= phantom.radius[i]);
            if (away < 0.7 * phantom.eye.avascular)
                assert_int_equal(phantom.label[i], VESSEL_NONE);
            count[phantom.label[i]]++;
            if (phantom.label[i]) {
                widest = fmaxf(widest, phantom.radius[i]);
                thinnest = fminf(thinnest, phantom.radius[i]);
            }
        }
        assert_true(count[VESSEL_ARTERY] > MOST * MOST / 100);
        assert_true(count[VESSEL_VEIN] > MOST * MOST / 100);
        assert_true(widest > 0.03f && widest < 0.09f && thinnest < 0.01f);
        phantom_free(&phantom);
    }
}

/* The mean of the clean grays between two slabs' tops in an A-scan of slice d. */
static double mean_gray(const uint8_t *clean, const float *top, enum slab from, enum slab to,
                        int64_t w)
{
    const struct scan *scan = &phantom.scan;
    int64_t first = (int64_t)(top[from] / scan->spacing[1]) + 1;
    int64_t last = (int64_t)(top[to] / scan->spacing[1]);
    double sum = 0;
    for (int64_t h = first; h < last; h++)
        sum += clean[h * scan->extent[2] + w];
    return sum / (double)(last - first);
}

/* Below a vessel 40 µm thick or more the photoreceptors send less than 0.93 of the gray beside it:
 * 2.8 dB are lost, which is a factor of 0.85, and 0.7 dB of shadows of small vessels vary it. */
static void test_shadows(void **state)
{
    (void)state;
    enum { D = 64, H = 128, W = 128, BESIDE = 4 };
    const int64_t extent[3] = {D, H, W};
    static uint8_t gray[D * H * W], clean[D * H * W];
    begin(extent, 1, 0);
    scan_all(gray, clean);
    double below = 0, beside = 0;
    int64_t found = 0;
    for (int64_t d = 0; d < D; d++)
        for (int64_t w = BESIDE; w < W - BESIDE; w++) {
            int64_t at = d * W + w;
            if (phantom.half[at] < 0.02f || phantom.label[at - BESIDE] ||
                phantom.label[at + BESIDE])
                continue;
            const uint8_t *slice = clean + d * H * W;
            for (int side = -BESIDE; side <= BESIDE; side += BESIDE) {
                double mean = mean_gray(slice, phantom.top + (at + side) * TOPS, SLAB_OUTER,
                                        SLAB_CHOROID, w + side);
                *(side ? &beside : &below) += side ? mean / 2 : mean;
            }
            found++;
        }
    assert_true(found > 20);
    assert_true(below < 0.93 * beside);
}

/* Eyes with fluid: their share, thicker layers, pockets darker than the layer that holds them. */
static void test_fluid(void **state)
{
    (void)state;
    enum { D = 32, H = 256, W = 96, TRIALS = 400 };
    const int64_t extent[3] = {D, H, W};
    static uint8_t gray[D * H * W], clean[D * H * W];
    struct eye eye;
    int count[3] = {0};
    for (int i = 0; i < TRIALS; i++)
        for (int half = 0; half <= 2; half++) {
            eye_draw(&eye, 5, i, 0.5 * half);
            count[half] += eye.fluid;
        }
    assert_true(count[0] == 0 && count[2] == TRIALS);
    assert_true(abs(count[1] - TRIALS / 2) < 5 * sqrt(TRIALS / 4.0));

    begin(extent, 4, 0);
    assert_int_equal(phantom.fluid.count, 0);
    const float *top = top_at(phantom.eye.fovea_y, phantom.eye.fovea_x);
    double healthy = top[SLAB_CHOROID] - top[SLAB_NFL];
    phantom_begin(&phantom, 11, 4, 1);
    assert_true(phantom.fluid.count > 0);
    assert_true(top[SLAB_CHOROID] - top[SLAB_NFL] > healthy + 0.02);
    scan_all(gray, clean);
    int seen = 0;
    for (int i = 0; i < phantom.fluid.count; i++) {
        const struct fluid_pocket *pocket = &phantom.fluid.pocket[i];
        const float *tops = top_at(pocket->y, pocket->x);
        int64_t at = (tops - phantom.top) / TOPS;
        double middle = 0.5 * (tops[pocket->slab] + tops[pocket->slab + 1]);
        int64_t h = (int64_t)(middle / phantom.scan.spacing[1]);
        double half =
            fluid_half_chord(pocket, scan_y(&phantom.scan, at / W), scan_x(&phantom.scan, at % W));
        if (half < 3 * phantom.scan.spacing[1])
            continue;
        assert_true(clean[(at / W * H + h) * W + at % W] < 45);
        seen++;
    }
    assert_true(seen > 5);
}

/* In voxels larger than the point spread, speckle of power 1/16 has that mean and the contrast
 * 1/√looks. The bounds are five standard errors and 1 % for the approximation by a cube. */
static void test_speckle(void **state)
{
    (void)state;
    enum { D = 4, SIDE = 128, COUNT = SIDE * SIDE };
    const struct scan scan = {{D, SIDE, SIDE}, {6, 2, 6}, {1.5, 1.0 / 64, 3.0 / 64}};
    const struct eye eye = {.looks = 5, .noise_spread = 0.8};
    static float power[COUNT];
    static uint8_t gray[COUNT];
    struct speckle speckle;
    assert_int_equal(speckle_plan(&speckle, &scan, 3, NULL), 0);
    speckle_start(&speckle, &eye);
    double sum = 0, squares = 0, count = D * COUNT;
    for (int i = 0; i < COUNT; i++)
        power[i] = 1 / 16.0f;
    for (int64_t d = 0; d < D; d++) {
        speckle_advance(&speckle, d, 1);
        speckle_detect(&speckle, d, 0, power, gray);
        for (int i = 0; i < COUNT; i++) {
            double ratio = 16 * pow(gray[i] / 255.0, 4);
            sum += ratio;
            squares += ratio * ratio;
        }
    }
    speckle_free(&speckle);
    double mean = sum / count, contrast = sqrt(squares / count - mean * mean) / mean;
    assert_true(fabs(mean - 1) < 0.01 + 5 * sqrt(0.2 / count));
    /* A gamma variable of shape L has excess kurtosis 6/L. */
    assert_true(fabs(contrast - sqrt(0.2)) < 0.01 + 5 * sqrt(0.2 * (2 + 6 / 5.0) / (4 * count)));
}

/* The vitreous is black where clean and noisy otherwise; gray is 255 times the fourth root. */
static void test_noise(void **state)
{
    (void)state;
    enum { D = 2, H = 128, W = 128 };
    const int64_t extent[3] = {D, H, W};
    static uint8_t gray[D * H * W], clean[D * H * W];
    begin(extent, 0, 0);
    scan_all(gray, clean);
    double sum = 0;
    for (int i = 0; i < W; i++) {
        assert_int_equal(clean[i], 0);
        sum += gray[i];
    }
    assert_true(sum / W > 12 && sum / W < 50);
    speckle_compress((float[]){0, 1, 2, 1 / 16.0f, 1e-4f}, gray, 5);
    assert_memory_equal(gray, ((uint8_t[]){0, 255, 255, 128, 26}), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lattice),
        cmocka_unit_test(test_lattice_along),
        cmocka_unit_test_teardown(test_surfaces_ordered, finish),
        cmocka_unit_test_teardown(test_foveal_pit, finish),
        cmocka_unit_test_teardown(test_same_eye_at_any_shape, finish),
        cmocka_unit_test_teardown(test_reproducible, finish),
        cmocka_unit_test_teardown(test_vessels, finish),
        cmocka_unit_test_teardown(test_shadows, finish),
        cmocka_unit_test_teardown(test_fluid, finish),
        cmocka_unit_test(test_speckle),
        cmocka_unit_test_teardown(test_noise, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
