/* What the CPU kernels refuse to create, with a reason that says why. */
#include "kernels/cpu/cpu.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const float numbers[64];
static const struct tensor map = {{1, 1, 3, 4, 8}, DTYPE_F32, CHANNELS_LAST};

/* An operation from `map` to itself. */
static struct operation operation(enum operation_kind kind)
{
    struct operation o = {.kind = kind, .inputs = 1};
    o.input[0] = o.output = map;
    return o;
}

static struct operation group_norm(void)
{
    struct operation o = operation(OP_GROUP_NORM);
    o.group_norm = (struct group_norm){.groups = 2, .sources = 1, .epsilon = 1e-5f};
    o.weights = 2;
    o.weight[0] = o.weight[1] = kernel_weight(numbers, DTYPE_F32, 1, 8, 1);
    return o;
}

static void test_group_norm(void **state)
{
    (void)state;
    struct operation o = group_norm();
    o.group_norm.groups = 3;
    kernel_refuses(&cpu_group_norm, &o, "divide");
    o = group_norm();
    o.weight[1].shape[0] = 7;
    kernel_refuses(&cpu_group_norm, &o, "weight");
    o = group_norm();
    o.output.dtype = DTYPE_BF16;
    kernel_refuses(&cpu_group_norm, &o, "bf16");
    o = group_norm();
    o.output.shape.w = 5;
    kernel_refuses(&cpu_group_norm, &o, "differ");
    o = group_norm();
    o.group_norm.scale_shift = true;
    kernel_refuses(&cpu_group_norm, &o, "scale");
    o.inputs = 2;
    o.input[1].shape = (struct shape){1, 1, 1, 1, 8};
    kernel_refuses(&cpu_group_norm, &o, "2c");
    o = group_norm();
    o.group_norm.sources = o.inputs = 2;
    o.input[1] = map;
    kernel_refuses(&cpu_group_norm, &o, "add up");
    o.input[1].shape.h = 4;
    kernel_refuses(&cpu_group_norm, &o, "sources differ");
}

static void test_resampling(void **state)
{
    (void)state;
    struct operation o = group_norm();
    o.group_norm.resampling = RESAMPLE_DOWN;
    o.output.shape.h = 1;
    o.output.shape.w = 2;
    kernel_refuses(&cpu_group_norm, &o, "odd");
    o.group_norm.per_slice = o.group_norm.resample_depth = true;
    kernel_refuses(&cpu_group_norm, &o, "depth");

    o = operation(OP_RESAMPLE);
    kernel_refuses(&cpu_resample, &o, "direction");
    o.resample.resampling = RESAMPLE_DOWN;
    kernel_refuses(&cpu_resample, &o, "odd");
    o.resample.resampling = RESAMPLE_UP;
    kernel_refuses(&cpu_resample, &o, "factor");
    o.input[0].shape.w = 0;
    kernel_refuses(&cpu_resample, &o, "channels-last");
}

static void test_products(void **state)
{
    (void)state;
    struct operation o = operation(OP_ATTENTION);
    o.attention.heads = 2;
    kernel_refuses(&cpu_attention, &o, "3·heads·width");
    o.input[0].shape.c = 24;
    o.output.shape.d = 2;
    kernel_refuses(&cpu_attention, &o, "3·heads·width");

    o = operation(OP_LINEAR);
    o.weights = 2;
    o.weight[0] = kernel_weight(numbers, DTYPE_F32, 2, 8, 7);
    kernel_refuses(&cpu_linear, &o, "(out, in)");
    o.weight[0].shape[1] = 8;
    o.weight[1] = kernel_weight(numbers, DTYPE_F32, 1, 3, 1);
    kernel_refuses(&cpu_linear, &o, "bias");
    o.input[0].dtype = DTYPE_BF16;
    kernel_refuses(&cpu_linear, &o, "f32");

    o = operation(OP_QUANTIZE);
    o.weights = 1;
    o.weight[0] = kernel_weight(numbers, DTYPE_F32, 2, 8, 4);
    kernel_refuses(&cpu_quantize, &o, "(codes, c)");
    o.weight[0] = kernel_weight(numbers, DTYPE_F32, 2, 0, 8);
    kernel_refuses(&cpu_quantize, &o, "no codes");
}

static void test_layouts(void **state)
{
    (void)state;
    struct operation o = operation(OP_TIMESTEP_EMBEDDING);
    kernel_refuses(&cpu_timestep_embedding, &o, "(n,1,1,1,1)");

    o = operation(OP_TO_CHANNELS_LAST);
    kernel_refuses(&cpu_to_channels_last, &o, "slice-major");
    o.input[0].layout = SLICE_MAJOR;
    o.input[0].shape.c = 7;
    kernel_refuses(&cpu_to_channels_last, &o, "add up");
    o.input[0].dtype = DTYPE_I16;
    kernel_refuses(&cpu_to_channels_last, &o, "u8");

    o = operation(OP_TO_SLICE_MAJOR);
    kernel_refuses(&cpu_to_slice_major, &o, "slice-major");
    o.output.layout = SLICE_MAJOR;
    o.output.shape.h = 4;
    kernel_refuses(&cpu_to_slice_major, &o, "differ");
}

static void test_norm_gradients(void **state)
{
    (void)state;
    struct operation o = group_norm();
    o.kind = OP_GROUP_NORM_SUMS;
    kernel_refuses(&cpu_group_norm_sums, &o, "missing");
    o.input[o.inputs++] = map;
    kernel_refuses(&cpu_group_norm_sums, &o, "GROUP_NORM_SUMS");
    o.group_norm.per_batch = o.group_norm.per_slice = true;
    kernel_refuses(&cpu_group_norm_sums, &o, "batch");

    struct tensor sums = {{1, 1, 1, 1, GROUP_NORM_SUMS * 8}, DTYPE_F32, CHANNELS_LAST};
    o = group_norm();
    o.inputs = 3;
    o.input[1] = o.input[2] = map;
    kernel_refuses(&cpu_group_norm_data, &o, "sums");
    o.input[2] = sums;
    o.output.shape.c = 7;
    kernel_refuses(&cpu_group_norm_data, &o, "source");
    o.inputs = 1;
    o.input[0] = sums;
    o.weight[0].shape[0] = 7;
    kernel_refuses(&cpu_group_norm_weights, &o, "(c)");
    o.group_norm.scale_shift = true;
    kernel_refuses(&cpu_group_norm_weights, &o, "needed");
}

static void test_other_gradients(void **state)
{
    (void)state;
    struct operation o = operation(OP_ATTENTION_DATA);
    kernel_refuses(&cpu_attention_data, &o, "channels-last");
    o.inputs = 3;
    o.input[1] = o.input[2] = map;
    o.attention.heads = 1;
    kernel_refuses(&cpu_attention_data, &o, "3·heads·width");
    o.input[2].dtype = DTYPE_BF16;
    kernel_refuses(&cpu_attention_data, &o, "bf16");

    o = operation(OP_LINEAR_DATA);
    kernel_refuses(&cpu_linear_data, &o, "x and dy");
    o.inputs = 2;
    o.input[1] = map;
    o.weights = 1;
    o.weight[0] = kernel_weight(numbers, DTYPE_F32, 2, 8, 7);
    kernel_refuses(&cpu_linear_weights, &o, "(out, in)");

    o = operation(OP_MIX_GRADIENT);
    kernel_refuses(&cpu_mix_gradient, &o, "one number");
    o = operation(OP_CODEBOOK_WEIGHTS);
    kernel_refuses(&cpu_codebook_weights, &o, "codes");
    o = operation(OP_ADD);
    kernel_refuses(&cpu_add, &o, "missing");
    o.inputs = 2;
    o.input[1] = map;
    o.input[1].shape.w = 3;
    kernel_refuses(&cpu_add, &o, "differ");
}

static void test_losses(void **state)
{
    (void)state;
    struct operation o = operation(OP_LOSS);
    kernel_refuses(&cpu_loss, &o, "missing");
    o.loss.kind = LOSS_MEAN;
    kernel_refuses(&cpu_loss, &o, "one f32");
    o = operation(OP_LEAKY_RELU);
    o.leaky_relu.slope = -1.0f;
    kernel_refuses(&cpu_leaky_relu, &o, "below 0");
    o = operation(OP_MAX_POOL);
    kernel_refuses(&cpu_max_pool, &o, "half");
    o = operation(OP_GATHER);
    o.inputs = 2;
    o.input[1] = map;
    kernel_refuses(&cpu_gather, &o, "one number");
    o = operation(OP_FEATURE_DISTANCE);
    o.inputs = 2;
    o.input[1] = map;
    kernel_refuses(&cpu_feature_distance, &o, "one f32");
    o = operation(OP_RUNNING_MOMENTS);
    kernel_refuses(&cpu_running_moments, &o, "(c)");
    o = operation(OP_ADAPTIVE_WEIGHT);
    kernel_refuses(&cpu_adaptive_weight, &o, "two gradients");
    o = operation(OP_FILL);
    kernel_refuses(&cpu_fill, &o, "reads nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_norm),     cmocka_unit_test(test_resampling),
        cmocka_unit_test(test_products),       cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_norm_gradients), cmocka_unit_test(test_other_gradients),
        cmocka_unit_test(test_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
