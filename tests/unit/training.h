/* Networks in training, for tests: graphs whose weights, inputs and results are a golden's. */
#ifndef OCTPIPE_TESTS_TRAINING_H
#define OCTPIPE_TESTS_TRAINING_H

#include "lib/engine/network.h"
#include "lib/models/loss_layers.h"
#include "tests/unit/golden.h"

enum { TRAINING_VALUES = 8 };

/* A map or vector that goes in or comes out: as the golden has it, and dense as the graph has it.
 */
struct training_value {
    const char *name;
    float *data;
    int64_t n, c, d, rest; /* of the golden (n, c, d, rest) */
};

struct training {
    struct safetensors file;
    struct weights *weights;
    struct parameters *parameters;
    struct builder builder; /* of the graph that is built next */
    struct error error;
    struct network *network;
    struct training_value input[TRAINING_VALUES], output[TRAINING_VALUES];
    int inputs, outputs;
};

void training_open(struct training *t, const char *path);
void training_close(struct training *t);

/* Begin another graph with the same parameters: forgets graph, network, inputs and outputs. */
void training_begin(struct training *t, enum dtype activations);

/* A tensor of the golden, (n, c, [d,] h, w), as an input; with `slices` its n are the slices of one
 * sample. And a vector of numbers, int64. */
int training_input(struct training *t, const char *name, bool slices);
int training_numbers(struct training *t, const char *name);

/* A value of the graph as an output that training_compare holds against the golden's tensor;
 * channels-last maps are brought to the stream's layout. */
void training_output(struct training *t, int value, const char *name, bool slices);

/* Differentiate the scalar `loss`; the gradient of input value `wanted`, 0: none, is an output. */
void training_differentiate(struct training *t, int loss, int wanted, const char *name,
                            bool slices);

/* Create the network and run it once, with gradients set to zero before. */
void training_run(struct training *t, int64_t memory);

/* Outputs against the golden: scalars and maps to 2e-5 (bf16: 2e-2), gradients (out.grad.…), those
 * of parameters too where asked, to 1e-4 of the largest gradient's norm. bf16: 0.2, since an L1
 * loss turns its sign where the output is within its error of the target; one sign in 100 changes a
 * gradient by 2·√0.01. Returns how many gradients there were. */
int training_compare(struct training *t, bool parameters);

#endif
