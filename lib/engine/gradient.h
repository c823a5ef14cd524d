/* Differentiation of a graph: nodes that compute gradients, added behind the nodes they are of.
 *
 * The gradient of a value has the value's tensor. Gradients of weights are added to the memory that
 * operation.gradient of the forward nodes points to, for every weight where it is not NULL; the
 * caller sets that memory to zero. Code vectors let gradients through as if they were what they
 * replaced (straight-through estimator, MODEL.md "Vector quantizers"). */
#ifndef OCTPIPE_ENGINE_GRADIENT_H
#define OCTPIPE_ENGINE_GRADIENT_H

#include "lib/engine/graph.h"

/* Where differentiation begins: the gradient of `value` is `gradient`, a value like it. −1: `value`
 * is the scalar that is differentiated, and its gradient is 1. */
struct gradient_seed {
    int value, gradient;
};

struct gradient_request {
    const struct gradient_seed *seed;
    int seeds;
    int first;         /* nodes before this one are taken as constants; 0: none */
    const int *wanted; /* values whose gradients are wanted besides those of weights */
    int count;
};

/* Add the gradients of all seeds together. gradient[i] becomes the value that is the gradient of
 * wanted[i], −1 where nothing leads there. The first call ends the forward graph: what is added
 * later is not differentiated. An operation without a gradient is an error that names the node. */
int graph_differentiate(struct graph *graph, const struct gradient_request *request, int *gradient,
                        struct error *error);

#endif
