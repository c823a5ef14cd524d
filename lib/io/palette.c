#include "lib/io/palette.h"

static const uint8_t colour[PALETTE][3] = {
    {213, 94, 0},    /* vermilion */
    {86, 180, 233},  /* sky blue */
    {240, 228, 66},  /* yellow */
    {0, 158, 115},   /* bluish green */
    {204, 121, 167}, /* reddish purple */
    {230, 159, 0},   /* orange */
    {0, 114, 178},   /* blue */
};

const uint8_t *palette_colour(int label)
{
    return colour[(label - 1) % PALETTE];
}
