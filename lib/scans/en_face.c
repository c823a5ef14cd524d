#include "lib/scans/en_face.h"

#include <stdbool.h>
#include <stddef.h>

const char *const en_face_turns[EN_FACE_TURNS + 1] = {"flip", "none",  "transpose",
                                                      "left", "right", NULL};

void en_face_extent(enum en_face_turn turn, int64_t rows, int64_t columns, int64_t extent[2])
{
    bool kept = turn == EN_FACE_FLIP || turn == EN_FACE_NONE;
    extent[0] = kept ? rows : columns;
    extent[1] = kept ? columns : rows;
}

void en_face_turned(enum en_face_turn turn, const uint8_t *picture, int64_t rows, int64_t columns,
                    uint8_t *map)
{
    int64_t extent[2];
    en_face_extent(turn, rows, columns, extent);
    for (int64_t d = 0; d < extent[0]; d++)
        for (int64_t w = 0; w < extent[1]; w++) {
            int64_t row = turn == EN_FACE_FLIP    ? rows - 1 - d
                          : turn == EN_FACE_NONE  ? d
                          : turn == EN_FACE_RIGHT ? rows - 1 - w
                                                  : w;
            int64_t column = turn == EN_FACE_FLIP || turn == EN_FACE_NONE ? w
                             : turn == EN_FACE_LEFT                       ? columns - 1 - d
                                                                          : d;
            *map++ = picture[row * columns + column];
        }
}
