/* Parameters: weights that training changes, in f32, with the memory that gradients are added to;
 * both are in the memory of the backend that trains (lib/engine/memory.h). A list that networks and
 * optimizers share; a name is there once. */
#ifndef OCTPIPE_MODELS_PARAMETERS_H
#define OCTPIPE_MODELS_PARAMETERS_H

#include "kernels/operation.h"
#include "lib/core/error.h"

struct parameter {
    char *name; /* as in the weight file */
    int rank;
    int64_t shape[WEIGHT_RANK], count; /* count: elements */
    float *value;                      /* (count) */
    float *gradient;                   /* (count), zero at first; NULL: frozen everywhere so far */
};

/* Parameters stay where they are when others are added. */
struct parameters {
    const struct backend *backend;
    struct parameter **list; /* in the order in which networks asked for them */
    int64_t count;
};

struct parameters *parameters_create(const struct backend *backend); /* NULL: out of memory */
void parameters_destroy(struct parameters *parameters);              /* NULL is fine */

/* NULL: there is none. */
struct parameter *parameters_find(const struct parameters *parameters, const char *name);

/* Add a parameter with the weight's values. NULL is an error. */
struct parameter *parameters_add(struct parameters *parameters, const char *name,
                                 const struct weight *weight, struct error *error);

/* Give a parameter its gradient where it has none. */
int parameters_want_gradient(const struct parameters *parameters, struct parameter *parameter,
                             struct error *error);

/* Elements of the parameters that have a gradient. */
int64_t parameters_learning(const struct parameters *parameters);

/* Set all gradients to zero. */
void parameters_clear_gradients(struct parameters *parameters);

#endif
