#include "lib/checkpoint/part.h"

#include <stdio.h>

/* A convolution with its norm: channels it makes, kernel; `from`: channels it reads, 0: those of
 * the block's input. */
struct branch {
    const char *name;
    int from, out, rows, columns;
};

/* Blocks of one kind share their branches; C stands for a width that differs between them. */
enum { C = -1 };

static const struct branch stem[] = {
    {"Conv2d_1a_3x3", 3, 32, 3, 3},   {"Conv2d_2a_3x3", 32, 32, 3, 3},
    {"Conv2d_2b_3x3", 32, 64, 3, 3},  {"Conv2d_3b_1x1", 64, 80, 1, 1},
    {"Conv2d_4a_3x3", 80, 192, 3, 3}, {0}};
static const struct branch block_a[] = {
    {"branch1x1", 0, 64, 1, 1},       {"branch5x5_1", 0, 48, 1, 1},
    {"branch5x5_2", 48, 64, 5, 5},    {"branch3x3dbl_1", 0, 64, 1, 1},
    {"branch3x3dbl_2", 64, 96, 3, 3}, {"branch3x3dbl_3", 96, 96, 3, 3},
    {"branch_pool", 0, C, 1, 1},      {0}};
static const struct branch block_b[] = {{"branch3x3", 0, 384, 3, 3},
                                        {"branch3x3dbl_1", 0, 64, 1, 1},
                                        {"branch3x3dbl_2", 64, 96, 3, 3},
                                        {"branch3x3dbl_3", 96, 96, 3, 3},
                                        {0}};
static const struct branch block_c[] = {{"branch1x1", 0, 192, 1, 1},
                                        {"branch7x7_1", 0, C, 1, 1},
                                        {"branch7x7_2", C, C, 1, 7},
                                        {"branch7x7_3", C, 192, 7, 1},
                                        {"branch7x7dbl_1", 0, C, 1, 1},
                                        {"branch7x7dbl_2", C, C, 7, 1},
                                        {"branch7x7dbl_3", C, C, 1, 7},
                                        {"branch7x7dbl_4", C, C, 7, 1},
                                        {"branch7x7dbl_5", C, 192, 1, 7},
                                        {"branch_pool", 0, 192, 1, 1},
                                        {0}};
static const struct branch block_d[] = {{"branch3x3_1", 0, 192, 1, 1},
                                        {"branch3x3_2", 192, 320, 3, 3},
                                        {"branch7x7x3_1", 0, 192, 1, 1},
                                        {"branch7x7x3_2", 192, 192, 1, 7},
                                        {"branch7x7x3_3", 192, 192, 7, 1},
                                        {"branch7x7x3_4", 192, 192, 3, 3},
                                        {0}};
static const struct branch block_e[] = {
    {"branch1x1", 0, 320, 1, 1},         {"branch3x3_1", 0, 384, 1, 1},
    {"branch3x3_2a", 384, 384, 1, 3},    {"branch3x3_2b", 384, 384, 3, 1},
    {"branch3x3dbl_1", 0, 448, 1, 1},    {"branch3x3dbl_2", 448, 384, 3, 3},
    {"branch3x3dbl_3a", 384, 384, 1, 3}, {"branch3x3dbl_3b", 384, 384, 3, 1},
    {"branch_pool", 0, 192, 1, 1},       {0}};

static const struct block {
    const char *name;
    const struct branch *branch;
    int in, c; /* channels of its input, and of what differs */
} blocks[] = {
    {"", stem, 0, 0},
    {"Mixed_5b.", block_a, 192, 32},
    {"Mixed_5c.", block_a, 256, 64},
    {"Mixed_5d.", block_a, 288, 64},
    {"Mixed_6a.", block_b, 288, 0},
    {"Mixed_6b.", block_c, 768, 128},
    {"Mixed_6c.", block_c, 768, 160},
    {"Mixed_6d.", block_c, 768, 160},
    {"Mixed_6e.", block_c, 768, 192},
    {"Mixed_7a.", block_d, 768, 0},
    {"Mixed_7b.", block_e, 1280, 0},
    {"Mixed_7c.", block_e, 2048, 0},
};

enum { FIRST = 32, LAST = 2048, COLOURS = 3 };

static int declare(struct weights *w, const char *block, const char *branch, const char *key,
                   int rank, const int64_t *shape, struct error *error)
{
    char name[96];
    struct weight weight;
    snprintf(name, sizeof name, "%s%s.%s", block, branch, key);
    return weights_get(w, name, rank, shape, &weight, error);
}

static int declare_branch(struct weights *w, const struct block *block, const struct branch *b,
                          int64_t width, struct error *error)
{
    static const char *const norm[] = {"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"};
    int from = b->from == C ? block->c : b->from ? b->from : block->in;
    int out = b->out == C ? block->c : b->out;
    int64_t shape[4] = {out * width / FIRST, from == COLOURS ? COLOURS : from * width / FIRST,
                        b->rows, b->columns};
    if (declare(w, block->name, b->name, "conv.weight", 4, shape, error))
        return -1;
    for (int i = 0; i < 4; i++)
        if (declare(w, block->name, b->name, norm[i], 1, shape, error))
            return -1;
    return 0;
}

int inception_declare(struct weights *w, struct weights *found, struct error *error)
{
    if (weights_anchor(found, "Conv2d_1a_3x3.conv.weight", "", "Inception network", error))
        return -1;
    const struct safetensor *first = weights_find(found, "Conv2d_1a_3x3.conv.weight");
    const struct safetensor *classes = weights_find(found, "fc.weight");
    if (first->rank != 4 || first->shape[0] > FIRST)
        return error_set(error, "Conv2d_1a_3x3 does not make at most %d channels", FIRST);
    int64_t width = first->shape[0], shape[2] = {0, LAST * width / FIRST};
    if (classes && classes->rank == 2)
        shape[0] = classes->shape[0];
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        for (const struct branch *b = blocks[i].branch; b->name; b++)
            if (declare_branch(w, &blocks[i], b, width, error))
                return -1;
    return declare(w, "", "fc", "weight", 2, shape, error) ||
                   declare(w, "", "fc", "bias", 1, shape, error)
               ? -1
               : 0;
}
