/* Layer surfaces in MATLAB files, as OCTA-500 has them: the variable Layer, (surfaces, slices,
 * columns), holds the row of each surface in each column of each slice. Two public readers agree on
 * this order of axes (CA-LDM's authors' and that of an nnU-Net benchmark); whether MATLAB's rows
 * count from 0 or 1 is written nowhere, so values stay as they are. */
#ifndef OCTPIPE_SCANS_MAT_LAYERS_H
#define OCTPIPE_SCANS_MAT_LAYERS_H

#include "lib/core/error.h"

#include <stdint.h>

/* Read the surfaces (shape[0] = S, shape[1] = D, shape[2] = W) in C order; free releases *rows. A
 * file without the variable, with one of another rank or type, or one that takes more than `limit`
 * bytes is refused. */
int mat_layers_read(const char *path, int64_t limit, float **rows, int64_t shape[3],
                    struct error *error);

#endif
