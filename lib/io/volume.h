/* The two number types of a volume: u1 0…255 and f4 in [−1,1], x = u1/127.5 − 1 (MODEL.md). */
#ifndef OCTPIPE_IO_VOLUME_H
#define OCTPIPE_IO_VOLUME_H

#include "kernels/tensor.h"

/* count voxels of a u1 or f4 volume as f4 in [−1,1]. from and to may be the same for f4. */
void volume_to_f32(const void *from, enum dtype dtype, float *to, int64_t count);

/* f4 in [−1,1] to u1, or to u2 0…65535, rounded to nearest, clamped. */
void volume_to_u8(const float *from, uint8_t *to, int64_t count);
void volume_to_u16(const float *from, uint16_t *to, int64_t count);

#endif
