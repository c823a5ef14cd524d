#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

void elementwise_plan(struct elementwise *e, const struct operation *o, int inputs)
{
    *e = (struct elementwise){
        shape_count(o->input[0].shape), inputs, omp_get_max_threads(), {0}, o->output.dtype,
    };
    for (int i = 0; i < inputs; i++)
        e->in[i] = o->input[i].dtype;
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
