/* A graph: operations in the order they run, connected by values.
 *
 * Models add nodes through lib/models/layers.h; the planner gives every value a place; a backend
 * runs the nodes. Values are small integers; a node makes one value. */
#ifndef OCTPIPE_ENGINE_GRAPH_H
#define OCTPIPE_ENGINE_GRAPH_H

#include "kernels/operation.h"
#include "lib/core/error.h"

enum { GRAPH_NAME = 96 };

struct graph_value {
    struct tensor tensor;
    int node;   /* that makes it; −1: an input of the graph */
    int input;  /* position among the inputs; −1 */
    int output; /* position among the outputs; −1 */
};

struct graph_node {
    struct operation operation;
    int input[OPERATION_INPUTS];
    int output;
    char name[GRAPH_NAME]; /* for messages: "model.input_blocks.1.0.in_layers.2" */
};

struct graph {
    enum dtype activations; /* F32 or BF16 */
    int nodes, values, inputs, outputs;
    int forward; /* nodes that were there at the first graph_differentiate; 0: not differentiated */
    struct graph_node *node;
    struct graph_value *value;
};

struct graph *graph_create(enum dtype activations); /* NULL: out of memory */
void graph_destroy(struct graph *graph);            /* NULL is fine */

/* Add an input of the given tensor. Returns the value, or −1. */
int graph_input(struct graph *graph, struct tensor tensor, struct error *error);

/* Add a node. operation carries kind, attributes, weights and output; inputs and the tensors of
 * operation->input come from `input`. Returns the value it makes, or −1. */
int graph_add(struct graph *graph, const struct operation *operation, const int *input, int inputs,
              const char *name, struct error *error);

/* Make a value an output of the graph: it is written to the caller's memory. Outputs are counted
 * in the order of these calls. A value that is an input cannot be an output. */
int graph_output(struct graph *graph, int value, struct error *error);

/* The node of that name, the first of several; −1: there is none. So a builder's inner values can
 * be found: a codebook's node has the latent as its input 0. */
int graph_find(const struct graph *graph, const char *name);

struct tensor graph_tensor(const struct graph *graph, int value);

/* Floating-point operations (2 per multiply-accumulate, dense count) of one run, of one node and of
 * all: convolutions, linear layers and attention, and their gradients. */
double graph_node_flops(const struct graph_node *node);
double graph_flops(const struct graph *graph);

#endif
