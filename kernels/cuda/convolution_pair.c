/* OP_CONVOLUTION_PAIR as two convolutions with the whole map between them in the workspace. */
#include "kernels/cuda/cuda.h"

#include <stdlib.h>

struct convolution_pair_state {
    void *half[2];
    size_t prepared;  /* offset of the second's prepared block */
    size_t workspace; /* offset of the halves' workspace, after the map between */
};

static void destroy(void *state)
{
    struct convolution_pair_state *s = state;
    for (int half = 0; half < 2; half++)
        if (s->half[half])
            cuda_convolution.destroy(s->half[half]);
    free(s);
}

static const char *open_halves(struct convolution_pair_state *s, const struct operation *o,
                               struct needs *needs)
{
    struct needs of[2] = {{0}};
    for (int half = 0; half < 2; half++) {
        struct operation h = convolution_half(o, half);
        int in_place;
        const char *why = cuda_convolution.create(&h, &s->half[half], &of[half], &in_place);
        if (why)
            return why;
    }
    *needs = (struct needs){.algorithm = of[1].algorithm};
    cuda_reserve(&needs->prepared, (int64_t)of[0].prepared, 1);
    s->prepared = cuda_reserve(&needs->prepared, (int64_t)of[1].prepared, 1);
    needs->scratch = of[of[1].scratch > of[0].scratch].scratch;
    cuda_reserve(&needs->workspace, tensor_bytes(convolution_half(o, 1).input[0]), 1);
    s->workspace = cuda_reserve(&needs->workspace,
                                (int64_t)of[of[1].workspace > of[0].workspace].workspace, 1);
    return needs->prepared == SIZE_MAX || needs->workspace == SIZE_MAX ? "the maps are too large"
                                                                       : NULL;
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_convolution_pair(o);
    struct convolution_pair_state *s = why ? NULL : calloc(1, sizeof *s);
    if (!s)
        return why ? why : "out of memory";
    why = open_halves(s, o, needs);
    if (why) {
        destroy(s);
        return why;
    }
    *in_place = -1;
    *state = s;
    return NULL;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct convolution_pair_state *s = state;
    struct operation first = convolution_half(o, 0), second = convolution_half(o, 1);
    const char *why = cuda_convolution.prepare(s->half[0], &first, prepared, scratch);
    return why ? why
               : cuda_convolution.prepare(s->half[1], &second, (char *)prepared + s->prepared,
                                          scratch);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    struct convolution_pair_state *s = state;
    char *rest = (char *)workspace + s->workspace;
    const void *between[] = {workspace};
    const char *why = cuda_convolution.run(s->half[0], inputs, workspace, rest);
    return why ? why : cuda_convolution.run(s->half[1], between, output, rest);
}

const struct kernel cuda_convolution_pair = {create, prepare, run, destroy};
