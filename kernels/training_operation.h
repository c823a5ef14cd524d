/* The operations that only training needs: gradients, losses, and networks that only losses run. A
 * gradient's attributes are those of the operation that it differentiates (kernels/operation.h). */
#ifndef OCTPIPE_KERNELS_TRAINING_OPERATION_H
#define OCTPIPE_KERNELS_TRAINING_OPERATION_H

/* Differentiation. d· is the gradient of a scalar with respect to ·, a tensor like · itself.
 * Operations named …_WEIGHTS, OP_MIX_GRADIENT among them, add to operation.gradient[i], where it is
 * not NULL, the gradient of weight i; an output that no one needs is then a token, one f32 of value
 * 0. Where an operation takes one input more ("+ added"), that is added to the output and may be
 * overwritten by it.
 *
 * OP_CONVOLUTION_DATA, OP_CONVOLUTION_WEIGHTS: the gradients of OP_CONVOLUTION. Attributes, weights
 * and residual are those of the forward operation; x is its input 0, dy the gradient of its output,
 * a = sigmoid(m), or 1 without mix. All f32 or bf16; sums are f32.
 * DATA: input 0 = dy, output = dx = a·convᵀ(dy) + input 1, where there are two inputs.
 * WEIGHTS: input 0 = x, input 1 = dy; adds a·dW and a·db to gradient[] beside their weights, of
 * dW's channels those that x has. The output is one f32 zero.
 *
 * OP_MIX_GRADIENT: weight 0 is the mix factor m of y = a·conv + (1−a)·residual. Inputs: dy, and
 * where gradient 0 is wanted y and residual; output: (1−a)·dy, the residual's gradient. Adds
 * dm = (1−a)·Σ dy·(y − residual).
 *
 * OP_GROUP_NORM_SUMS: the attributes and weights of the norm, without resampling. Inputs: its
 * sources, its scale_shift, dy; output (sets, 1, 1, 1, GROUP_NORM_SUMS·c) f32, where a set is what
 * shares statistics: what the other two read, each c floats: Σ dz, Σ dz·(x − mean)/deviation over
 * the positions of a channel, dz the gradient before SiLU; a and b of z = a·x + b; mean;
 * coefficients of dx = a·dz + coefficient·(x − mean) + constant.
 * OP_GROUP_NORM_DATA: inputs: source `source`, dy, sums + added; output: that source's gradient.
 * OP_GROUP_NORM_WEIGHTS: inputs: sums, scale_shift where there is one; output: its gradient, or a
 * token. Adds the gradients of weight and bias.
 *
 * OP_ATTENTION_DATA: inputs: qkv, y, dy; output: dqkv.
 * OP_LINEAR_DATA: inputs: dy, x; output: dx. OP_LINEAR_WEIGHTS: inputs: x, dy; output: a token.
 * OP_CODEBOOK_WEIGHTS: weight 0 is a codebook. Inputs: y, of its codes, and dy. Adds each pixel's
 * dy to the gradient of its code, the first of equal ones. Output: a token.
 * OP_ADD: a + weight·b, or a + weight·s·b with a third input s, a scalar (1,1,1,1,1) f32. */
enum { GROUP_NORM_SUMS = 7 };
struct add {
    float weight;
};

/* OP_FILL: no inputs, every element of the output is `value`. */
struct fill {
    float value;
};

/* OP_LOSS: weight·mean f(x) → a scalar (1,1,1,1,1) f32; inputs: x, and t for L1 and L2; t is a
 * constant: no gradient flows there. With a weight, the codebook whose codes x holds, the gradient
 * goes to the codebook instead of x (MODEL.md "Vector quantizers", second term).
 * OP_LOSS_DATA: inputs: those of the loss and dL, a scalar; output: dx. */
enum loss_kind {
    LOSS_L1,         /* |x − t| */
    LOSS_L2,         /* (x − t)² */
    LOSS_MEAN,       /* x */
    LOSS_HINGE_REAL, /* relu(1 − x) */
    LOSS_HINGE_FAKE, /* relu(1 + x) */
};
struct loss {
    enum loss_kind kind;
    float weight;
};

/* OP_GATHER: slices of x (1, d, …) by number: inputs: x, numbers (k, 1, 1, 1, 1) f32; output
 * (1, k, …), of any layout. A number beyond d fails the run.
 * OP_SCATTER: its transpose: inputs: dy, numbers; output: dx, zero where no number points.
 *
 * OP_LEAKY_RELU: x > 0 ? x : slope·x, slope ≥ 0. OP_LEAKY_RELU_DATA: inputs: y, dy. */
struct leaky_relu {
    float slope;
};

/* OP_MAX_POOL: the maximum of 2×2 positions along h and w, an odd last row or column left out. No
 * attributes. OP_MAX_POOL_DATA: inputs: x, dy; the first of equal values takes dy.
 *
 * OP_FEATURE_DISTANCE: inputs: two maps; weight 0 (c values) the channels' weights: the mean over
 * positions of Σ weight·(x/(‖x‖ + 1e-10) − y/(‖y‖ + 1e-10))², norms over c → a scalar f32: a layer
 * of LPIPS. OP_FEATURE_DISTANCE_DATA: inputs: x, y, dL; output: dx (the distance is symmetric).
 *
 * OP_RUNNING_MOMENTS: weights 0, 1: mean and variance of each channel, which move towards those of
 * input 0 (over n, d, h, w; the variance unbiased) by `momentum`, in gradient 0, 1, the memory that
 * holds them. Output: a token. */
struct running_moments {
    float momentum;
};

/* OP_ADAPTIVE_WEIGHT: min(‖gradient 0‖/(‖gradient 1‖ + 1e-4), limit) → a scalar; sets both
 * gradients to 0. Weights 0 and 1 give their shapes; inputs (any) only order the run. MODEL.md
 * "Training", λ. */
struct adaptive_weight {
    float limit;
};

#endif
