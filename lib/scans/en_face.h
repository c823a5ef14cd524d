/* En-face pictures turned to the axes of a volume, (D,W). */
#ifndef OCTPIPE_SCANS_EN_FACE_H
#define OCTPIPE_SCANS_EN_FACE_H

#include <stdint.h>

enum en_face_turn {
    EN_FACE_FLIP,      /* rows are slices, the last one first */
    EN_FACE_NONE,      /* rows are slices */
    EN_FACE_TRANSPOSE, /* columns are slices */
    EN_FACE_LEFT,      /* columns are slices, the last one first: a quarter turn to the left */
    EN_FACE_RIGHT,     /* columns are slices, rows the columns of slices, the last one first: to the
                          right */
    EN_FACE_TURNS,
};
extern const char *const en_face_turns[EN_FACE_TURNS + 1]; /* "flip", "none", … NULL */

/* The extents (D,W) of a picture of rows x columns once it is turned. */
void en_face_extent(enum en_face_turn turn, int64_t rows, int64_t columns, int64_t extent[2]);

/* Turn a picture (rows, columns) of bytes to (D,W). */
void en_face_turned(enum en_face_turn turn, const uint8_t *picture, int64_t rows, int64_t columns,
                    uint8_t *map);

#endif
