/* Weights of a network by their authors' key names, from a safetensors file or, to make a new
 * file, as a list of what a network asks for. So shapes are known in one place: the networks. */
#ifndef OCTPIPE_MODELS_WEIGHTS_H
#define OCTPIPE_MODELS_WEIGHTS_H

#include "kernels/operation.h"
#include "lib/core/error.h"
#include "lib/io/safetensors.h"
#include "lib/models/parameters.h"

enum { WEIGHTS_METADATA = 16 }; /* keys that can be declared */

struct weights;

/* Map a file. With ema, averaged weights are taken where the file holds them under "model_ema."
 * (MODEL.md); a file without any is an error. */
int weights_open(struct weights **weights, const char *path, bool ema, struct error *error);

/* Names, types and shapes without data, sorted by name: enough to read a network's configuration
 * from them, not to build it. `path` is for messages; the names are the caller's. */
int weights_describe(struct weights **weights, const char *path, const struct safetensor *tensor,
                     int64_t count, struct error *error);

/* An empty list: every weight asked for exists, has the shape asked for, and no data. */
struct weights *weights_declare(void); /* NULL: out of memory */

void weights_close(struct weights *weights); /* NULL is fine */

/* Checkpoints put networks under prefixes ("", "model.", …). Set the prefix for the keys that
 * follow to whatever stands before `anchor`; the shortest wins. When declaring, the prefix is
 * `usual`. An anchor that is not there is an error that names the network. */
int weights_anchor(struct weights *weights, const char *anchor, const char *usual,
                   const char *network, struct error *error);

/* The weight under prefix + key, which must have this shape. A missing or misshapen one is an
 * error with both shapes. */
int weights_get(struct weights *weights, const char *key, int rank, const int64_t *shape,
                struct weight *weight, struct error *error);

/* From now on the weights asked for are parameters in f32 memory: those of the list, to which the
 * file's are added when they are first asked for. The list stays the caller's and outlives what is
 * built from it; averaged weights cannot be trained. */
void weights_train(struct weights *weights, struct parameters *parameters);

/* While frozen, what is asked for gets no gradient, and what is no parameter yet stays the file's.
 */
void weights_freeze(struct weights *weights, bool frozen);

/* Only weights whose keys contain one of these texts (NULL at the end) learn; the others stay the
 * file's. NULL: all learn. The list is the caller's. */
void weights_train_only(struct weights *weights, const char *const *parts);

/* Are the weights asked for now parameters that learn? */
bool weights_trains(const struct weights *weights);

/* As weights_get, of numbers that runs change and gradients do not: a parameter without gradient.
 * While frozen or not training, what the file holds. */
int weights_get_state(struct weights *weights, const char *key, int rank, const int64_t *shape,
                      struct weight *weight, struct error *error);

/* Where the gradient of the weight under prefix + key is added up; NULL: nowhere. */
float *weights_gradient(const struct weights *weights, const char *key);

/* For configuration by names and shapes: the tensor under prefix + key, NULL where there is none.
 */
const struct safetensor *weights_find(const struct weights *weights, const char *key);

/* Metadata of the file; `otherwise` where it is silent. A value that does not read is an error;
 * whole numbers are from 1 to INT32_MAX. */
int weights_metadata_int(const struct weights *weights, const char *key, int64_t otherwise,
                         int64_t *value, struct error *error);
int weights_metadata_real(const struct weights *weights, const char *key, double otherwise,
                          double *value, struct error *error);
const char *weights_metadata_text(const struct weights *weights, const char *key);
/* What metadata shall say from now on, whatever the file says. −1: no room or no memory. */
int weights_declare_metadata(struct weights *weights, const char *key, const char *value);

/* The mapped file; NULL when declaring. */
const struct safetensors *weights_file(const struct weights *weights);

/* The name under which the average of a weight is kept: "model.input_blocks.0.0.weight" has it
 * under "model_ema.input_blocks00weight". `averaged` has room for 11 characters more than `name`.
 */
void weights_averaged_name(const char *name, char *averaged);

/* What has been asked for, in that order (declaring only). */
int64_t weights_declared(const struct weights *weights, const struct safetensor **list);
int64_t weights_parameters(const struct weights *weights); /* their elements together */
const char *const *weights_declared_metadata(const struct weights *weights);

#endif
