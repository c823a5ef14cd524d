/* The convolution of a map upsampled ×2 as convolutions of the map itself, one for each phase: the
 * outputs at even or at odd positions along each upsampled axis. Of three taps along such an axis
 * two read the same position, so that a phase has two, the sums of the three: w0 and w1 + w2 before
 * and at the position for even outputs, w0 + w1 and w2 at it and after it for odd ones. With two
 * axes that is 4/9 of the multiplications, with three 8/27, and the upsampled map is never written.
 * Sums of weights are f32, rounded once where products are bf16.
 *
 * cuDNN's tensor-core engines write dense maps alone (for others it makes a copy), so a phase's
 * outputs are copied to their places. */
#ifndef OCTPIPE_KERNELS_CUDA_CONVOLUTION_PHASES_H
#define OCTPIPE_KERNELS_CUDA_CONVOLUTION_PHASES_H

#include "kernels/cuda/convolution_product.h"

enum { CONVOLUTION_PHASES = 1 << AXES }; /* at most */

struct convolution_phases {
    struct operation forward;
    int phases;
    struct cudnn_plan *plan[CONVOLUTION_PHASES];
    struct shape map; /* of a phase's outputs */
    bool tensor_cores;
    int64_t kernel_bytes; /* of a phase's weights in the prepared block */
    size_t bias;          /* in the prepared block, after the weights */
    size_t unfolded;      /* in the scratch: all taps, f32 */
    size_t plan_workspace;
    const char *prepared;
};

/* NULL in *phases, and nothing added to needs, where phases do not suit: other kernels than 3 with
 * zeros around, a residual, channels that do not fill vectors, no engine, or maps so small that
 * phases leave more multiprocessors idle than they spare work, judged for CHOICE_BATCH samples of a
 * 2-D convolution. A reason is a failure. */
const char *convolution_phases_create(struct convolution_phases **phases,
                                      const struct operation *operation, struct needs *needs);
void convolution_phases_destroy(struct convolution_phases *phases); /* NULL is fine */

const char *convolution_phases_prepare(struct convolution_phases *phases,
                                       const struct operation *operation, char *prepared,
                                       char *scratch);
const char *convolution_phases_run(const struct convolution_phases *phases, const void *input,
                                   void *output, char *workspace);

/* Where a phase is: along an upsampled axis at positions 2p + bit of the outputs. */
struct convolution_phase {
    bool upsampled[AXES];
    int bit[AXES];
};
struct convolution_phase convolution_phase(const struct operation *operation, int phase);

/* Kernels of all taps, (out, tap, c) f32, to those of a phase, (out, tap, c) of a type. */
const char *convolution_fold_kernels(const struct operation *operation, int phase,
                                     const float *kernels, void *folded);

/* A phase's outputs `map` to their places in the whole. */
const char *convolution_place_phase(const struct convolution_phases *phases, int phase,
                                    const void *map, void *output);

#endif
