#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

static bool is_plain(const struct tensor *t)
{
    struct shape s = t->shape;
    return (t->dtype == DTYPE_F32 || t->dtype == DTYPE_BF16) && s.n > 0 && s.d > 0 && s.h > 0 &&
           s.w > 0 && s.c > 0;
}

const char *elementwise_plan(struct elementwise *e, const struct operation *o, int inputs)
{
    const struct tensor *first = &o->input[0];
    *e = (struct elementwise){shape_count(first->shape), inputs, omp_get_max_threads(), {0}, 0};
    e->out = o->output.dtype;
    if (o->inputs < inputs)
        return "an input is missing";
    for (int i = 0; i < inputs; i++) {
        const struct tensor *t = &o->input[i];
        if (!is_plain(t) || t->layout != first->layout)
            return "inputs must be f32 or bf16, of one layout";
        if (!tensor_same_map(t, first) || t->shape.c != first->shape.c)
            return "the inputs differ in shape";
        e->in[i] = t->dtype;
    }
    return NULL;
}

int64_t elementwise_blocks(const struct elementwise *e)
{
    return (e->count + ELEMENTWISE_BLOCK - 1) / ELEMENTWISE_BLOCK;
}

static float run_block(const struct elementwise *e, const void *const *inputs, void *output,
                       int64_t first, elementwise_function *function, const void *context)
{
    float values[ELEMENTWISE_INPUTS + 1][ELEMENTWISE_BLOCK];
    const float *in[ELEMENTWISE_INPUTS] = {NULL};
    int64_t left = e->count - first, count = left < ELEMENTWISE_BLOCK ? left : ELEMENTWISE_BLOCK;
    float *out = NULL;
    for (int i = 0; i < e->inputs; i++)
        in[i] = activation_to_f32(inputs[i], e->in[i], first, count, values[i]);
    if (output)
        out = e->out == DTYPE_F32 ? (float *)output + first : values[ELEMENTWISE_INPUTS];
    float sum = function(context, in, out, count);
    if (output && e->out == DTYPE_BF16)
        f32_to_bf16(out, (uint16_t *)output + first, count);
    return sum;
}

double elementwise_run(const struct elementwise *e, const void *const *inputs, void *output,
                       float *sums, elementwise_function *function, const void *context)
{
    int64_t blocks = elementwise_blocks(e);
    double total = 0.0;
#pragma omp parallel for num_threads(cpu_team(e->threads, e->count))
    for (int64_t i = 0; i < blocks; i++) {
        float sum = run_block(e, inputs, output, i * ELEMENTWISE_BLOCK, function, context);
        if (sums)
            sums[i] = sum;
    }
    for (int64_t i = 0; sums && i < blocks; i++)
        total += (double)sums[i];
    return total;
}
