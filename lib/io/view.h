/* Pictures of tensors, gathered slice by slice: the memory is that of the picture. */
#ifndef OCTPIPE_IO_VIEW_H
#define OCTPIPE_IO_VIEW_H

#include "lib/io/array.h"
#include "lib/io/window.h"

struct picture {
    int64_t rows, columns;
    uint8_t *gray; /* (rows, columns) */
    uint8_t
        *colour; /* (rows, columns, 3) red, green, blue in place of gray; NULL: a gray picture */
};
void picture_free(struct picture *picture);

/* Put `next` to the right of a picture, or in place of an empty one, {0}; `next` is empty
 * afterwards. Too large a picture is refused. */
int picture_add_beside(struct picture *picture, struct picture *next, struct error *error);

enum view_mode {
    VIEW_AUTO,     /* by kind: latents channels, surfaces montage, else cuts */
    VIEW_MONTAGE,  /* evenly spaced slices */
    VIEW_CUTS,     /* the planes (H,W), (H,D) and (D,W) through one voxel */
    VIEW_EN_FACE,  /* mean over H, all of it or between two surfaces: (D,W) */
    VIEW_CHANNELS, /* of a latent: a row of evenly spaced slices for each channel */
    VIEW_MODES,
};
extern const char *const view_modes[VIEW_MODES + 1];

struct view_settings {
    enum view_mode mode;
    const int64_t *at; /* D, H, W of the cuts; NULL: the centre */
    int64_t count;     /* slices of a montage or channel; 0: 16, or 4 a channel */
    bool windowed;     /* by `window`, not by kind */
    struct window window;
    double opacity;          /* of the labels that view_add takes; 0: it takes none */
    const float *between[2]; /* (D,W): en-face takes rows between[0] <= h < between[1] of a volume;
                                NULL: all */
};

/* Begin a picture of an array of rank 2 (D,W), 3 (D,H,W) or 4 (D,C,H,W). Voxels become square by
 * the spacing where it is known, labels by the nearest voxel, others by linear interpolation.
 * Without a window labels and u1 en-face maps have colours (palette.h), u1 volumes show 0…255, f4
 * volumes −1…1, means of labels 0 to their highest, and the rest, each channel or surface by
 * itself, its 1st to 99th percentile. */
struct view;
int view_begin(struct view **view, const struct array *array, const struct view_settings *settings,
               struct error *error);

/* Take the next slice, with the values of the array's dtype as f32, and where the settings have an
 * opacity the labels (H,W) that lie over it, 0 for none. */
void view_add(struct view *view, const float *slice, const uint8_t *label);

/* Compose the picture of what was added; the view is gone afterwards. */
int view_finish(struct view *view, struct picture *picture, struct error *error);

#endif
