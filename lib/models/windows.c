#include "lib/models/windows.h"

int64_t windows_count(struct windows w)
{
    int64_t last = w.slices - w.window;
    return (last + w.hop - 1) / w.hop + 1;
}

int64_t windows_start(struct windows w, int64_t j)
{
    int64_t last = w.slices - w.window;
    return j * w.hop < last ? j * w.hop : last;
}

/* Window j wins from window j−1 past the middle of their centres; a tie stays with j−1. */
int64_t windows_first(struct windows w, int64_t j)
{
    if (j == 0)
        return 0;
    if (j == windows_count(w))
        return w.slices;
    int64_t doubled = windows_start(w, j - 1) + windows_start(w, j) + w.window - 1;
    return doubled / 2 + 1;
}

struct layer_slices windows_kept(struct windows w, int64_t j)
{
    int64_t first = windows_first(w, j);
    return (struct layer_slices){first - windows_start(w, j), windows_first(w, j + 1) - first};
}
