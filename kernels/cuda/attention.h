/* OP_ATTENTION's two kernels: blocks of queries pass over blocks of keys with a running softmax, so
 * that T×T scores never exist. A block makes `columns` of the head's outputs; of wider heads the
 * scores are made once for every so many columns. */
#ifndef OCTPIPE_KERNELS_CUDA_ATTENTION_H
#define OCTPIPE_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda/cuda.h"

struct attention_job {
    const void *input; /* (set, token, head, q|k|v, width) */
    void *output;      /* (set, token, head, width) */
    int tokens, heads, width, sets;
    float scale;
    bool output_f32;
};

/* NULL, or why bf16 heads of this width do not fit into a multiprocessor. */
const char *attention_bf16_check(int64_t width);
const char *attention_bf16_run(const struct attention_job *job);

const char *attention_f32_run(const struct attention_job *job);

#endif
