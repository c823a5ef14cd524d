/* Colours of labels, which colour-blind eyes tell apart too: those of M. Okabe and K. Ito, "Color
 * universal design" (2008), without black. */
#ifndef OCTPIPE_IO_PALETTE_H
#define OCTPIPE_IO_PALETTE_H

#include <stdint.h>

enum { PALETTE = 7 };

/* Red, green and blue of a label from 1 on; after PALETTE labels the colours repeat. */
const uint8_t *palette_colour(int label);

#endif
