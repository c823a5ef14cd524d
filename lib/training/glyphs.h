/* Letters for pictures: digits, small letters and - + . _ as dots. */
#ifndef OCTPIPE_TRAINING_GLYPHS_H
#define OCTPIPE_TRAINING_GLYPHS_H

#include "lib/io/view.h"

enum { GLYPH_WIDTH = 6, GLYPH_HEIGHT = 9 }; /* of a letter with the space around it, in dots */

/* Write text with its upper left corner there, `scale` pixels a dot; capitals are written small,
 * other characters as spaces, what is outside is left out. */
void glyphs_draw(struct picture *picture, int64_t row, int64_t column, int scale, uint8_t gray,
                 const char *text);

#endif
