#include "lib/metrics/overlap.h"

#include <math.h>

void overlap_add(struct overlap *overlap, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        int label_a = (int)a[i], label_b = (int)b[i];
        overlap->a[label_a]++;
        overlap->b[label_b]++;
        overlap->both[label_a] += label_a == label_b;
    }
}

bool overlap_present(const struct overlap *overlap, int class_number)
{
    return overlap->a[class_number] + overlap->b[class_number] > 0;
}

double overlap_dice(const struct overlap *overlap, int class_number)
{
    if (!overlap_present(overlap, class_number))
        return NAN;
    int64_t sum = overlap->a[class_number] + overlap->b[class_number];
    return 2.0 * (double)overlap->both[class_number] / (double)sum;
}

double overlap_iou(const struct overlap *overlap, int class_number)
{
    if (!overlap_present(overlap, class_number))
        return NAN;
    int64_t both = overlap->both[class_number];
    int64_t either = overlap->a[class_number] + overlap->b[class_number] - both;
    return (double)both / (double)either;
}
