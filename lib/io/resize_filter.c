#include "lib/io/resize_filter.h"

#include <stdlib.h>
#include <string.h>

const char *const resize_methods[] = {"nearest", "area", "linear", NULL};

void resize_filter_expect(struct filter *filter, enum resize_method method, const struct array *in)
{
    char text[128];
    if (strcmp(in->kind, "labels")) {
        filter_expect_volume(filter, in);
        return;
    }
    if (in->rank != 3 || in->dtype != DTYPE_U8)
        filter_fail(filter, "labels u1 (D,H,W) are expected, not %s",
                    array_describe(in, text, sizeof text));
    if (method != RESIZE_NEAREST)
        filter_fail(filter, "labels have no %s; use --method nearest",
                    method == RESIZE_AREA ? "mean" : "values between them");
}

static struct array describe(const struct array *in, const struct resize_size *size)
{
    struct array out = *in;
    out.dtype = in->dtype == DTYPE_U8 ? DTYPE_U8 : DTYPE_F32;
    for (int i = 0; i < 3; i++) {
        out.shape[i] = size->out[i];
        out.spacing[i] *= (double)size->used[i] / (double)size->out[i];
    }
    return out;
}

void resize_filter(struct filter *filter, enum resize_method method, const struct array *in,
                   const struct resize_size *size)
{
    struct resize *resize;
    filter_check(filter, resize_open(&resize, method, size, &filter->error));
    struct array out = describe(in, size);
    int64_t count = array_slice_count(&out), left = out.shape[0];
    float *slice = filter_allocate(filter, array_slice_count(in), sizeof *slice);
    float *resized = filter_allocate(filter, count, sizeof *resized);
    void *written = filter_allocate(filter, count, dtype_size(out.dtype));
    filter_begin(filter, &out);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read_f32(filter, slice, 1);
        resize_put(resize, slice);
        bool last = d + 1 == in->shape[0];
        while ((left > 1 || last) && resize_take(resize, resized)) {
            if (array_from_f32(resized, out.dtype, written, count))
                filter_fail(filter, "NaN in a u1 volume");
            filter_write(filter, written, 1);
            left--;
        }
    }
    filter_end(filter);
    resize_close(resize);
    free(slice);
    free(resized);
    free(written);
}
