/* Dice and IoU of two label volumes, class by class, from counts gathered in any order. */
#ifndef OCTPIPE_METRICS_OVERLAP_H
#define OCTPIPE_METRICS_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

enum { OVERLAP_CLASSES = 256 };

/* Voxels of each class in a, in b, and in both at the same place. Starts as {0}. */
struct overlap {
    int64_t a[OVERLAP_CLASSES], b[OVERLAP_CLASSES], both[OVERLAP_CLASSES];
};

/* Count `count` voxels more, whose labels are 0 … 255. */
void overlap_add(struct overlap *overlap, const float *a, const float *b, int64_t count);

/* True where a or b holds the class. */
bool overlap_present(const struct overlap *overlap, int class_number);

/* 2·|A∩B|/(|A|+|B|) and |A∩B|/|A∪B|; NaN for a class that neither holds. */
double overlap_dice(const struct overlap *overlap, int class_number);
double overlap_iou(const struct overlap *overlap, int class_number);

#endif
