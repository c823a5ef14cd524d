/* The windows of a multi-slice decoder over D slices: window j starts at min(j·hop, D − window);
 * each slice is taken from the window whose centre is nearest, the earlier one in a tie. */
#ifndef OCTPIPE_MODELS_WINDOWS_H
#define OCTPIPE_MODELS_WINDOWS_H

#include "lib/models/layers.h"

struct windows {
    int64_t slices, window, hop; /* slices ≥ window ≥ 1, hop ≥ 1 */
};

int64_t windows_count(struct windows w);
int64_t windows_start(struct windows w, int64_t j);

/* The first slice taken from window j; windows_first(w, windows_count(w)) is w.slices. */
int64_t windows_first(struct windows w, int64_t j);

/* What is taken from window j, counted from its start. */
struct layer_slices windows_kept(struct windows w, int64_t j);

#endif
