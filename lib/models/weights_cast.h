/* Weight files as inference wants them: one type, and only what networks read. */
#ifndef OCTPIPE_MODELS_WEIGHTS_CAST_H
#define OCTPIPE_MODELS_WEIGHTS_CAST_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

#include <stdbool.h>

/* Copy the safetensors file `from` to `to` with its F32, F16 and BF16 tensors as `dtype`, F32 or
 * F16, rounded to nearest. What only training needs stays behind: the discriminator and other
 * parts of the loss ("loss."), and the averages ("model_ema."); with ema these take the place of
 * the weights that they are averages of, and a file without any is an error. So is a number that
 * is not finite, or not in the new type. Metadata are kept; the history gets `command`. */
int weights_cast(const char *from, const char *to, enum dtype dtype, bool ema, const char *command,
                 struct error *error);

#endif
