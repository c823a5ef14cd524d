#include "lib/models/stage_filter.h"
#include "lib/core/progress.h"
#include "lib/engine/memory.h"
#include "lib/io/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PRECISION_AUTO, PRECISION_FP32, PRECISION_BF16 };

struct weights *stage_filter_weights(struct filter *filter)
{
    struct weights *weights;
    filter_check(filter, weights_open(&weights, filter_settings.weights, filter_settings.ema,
                                      &filter->error));
    return weights;
}

struct stage_settings stage_filter_settings(struct filter *filter)
{
    const struct backend *backend = filter->backend;
    if (filter_settings.precision == PRECISION_AUTO)
        return (struct stage_settings){backend, backend->activations};
    bool bf16 = filter_settings.precision == PRECISION_BF16;
    if (bf16 && !backend->multiplies_bf16())
        filter_fail(filter, "--precision bf16: %s does not multiply bf16", backend->device);
    return (struct stage_settings){backend, bf16 ? DTYPE_BF16 : DTYPE_F32};
}

void stage_filter_plan(struct filter *filter, const struct stage *stage, int64_t bytes)
{
    struct network_memory memory = network_memory(stage->network);
    double mib = 1 << 20, allowed = rint((double)filter_settings.memory / mib * 1e4) / 1e4;
    double needed = ceil((double)bytes / mib * 10) / 10; /* so that --memory of as much is enough */
    filter_detail(
        filter, "plan: %.1f MiB = weights %.1f + arena %.1f + buffers %.1f; %.3f TFLOP a call",
        needed, (double)memory.weights / mib, (double)memory.activations / mib,
        (double)(bytes - memory.total) / mib, graph_flops(network_graph(stage->network)) * 1e-12);
    if (filter_settings.memory && bytes > filter_settings.memory)
        filter_fail(filter, "the smallest plan needs %.1f MiB, --memory allows %.9g MiB", needed,
                    allowed);
}

void stage_filter_read_volume(struct filter *filter, const struct array *array, float *volume,
                              int64_t slices)
{
    int64_t count = slices * array_slice_count(array);
    if (array->dtype != DTYPE_U8) {
        filter_read_f32(filter, volume, slices);
        return;
    }
    /* The bytes lie at the end of the floats' memory and are converted from the front. */
    uint8_t *bytes = (uint8_t *)volume + 3 * count;
    filter_read(filter, bytes, slices);
    volume_to_f32(bytes, DTYPE_U8, volume, count);
}

/* Extent of a volume (D,H,W) or a latent (D,C,H,W) along D, H or W. */
static int64_t extent(const struct array *array, int axis)
{
    return array->shape[axis && array->rank == 4 ? axis + 1 : axis];
}

void stage_filter_output(struct array *out, const struct array *in, const struct stage *stage,
                         int64_t slices, bool volume)
{
    array_derive(out, in);
    out->dtype = DTYPE_F32;
    out->rank = volume ? 3 : 4;
    const int64_t latent[4] = {slices, stage->out_c, stage->out_h, stage->out_w};
    const int64_t plain[3] = {slices, stage->out_h, stage->out_w};
    memcpy(out->shape, volume ? plain : latent, volume ? sizeof plain : sizeof latent);
    strcpy(out->kind, volume ? "volume" : "latent");
    strcpy(out->axes, volume ? "DHW" : "DCHW");
    for (int axis = 0; axis < 3; axis++)
        out->spacing[axis] *= (double)extent(in, axis) / (double)extent(out, axis);
}

void stage_filter_peak(struct filter *filter)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    filter_detail(filter, "peak memory of the process: %.1f MiB", (double)usage.ru_maxrss / 1024);
}

float *stage_filter_allocate(struct filter *filter, int64_t count)
{
    int64_t bytes;
    if (__builtin_mul_overflow(count, (int64_t)sizeof(float), &bytes))
        filter_fail(filter, "absurd size: %lld floats", (long long)count);
    float *memory = memory_host_create(filter->backend, bytes);
    if (!memory)
        filter_fail(filter, "out of memory: %lld bytes", (long long)bytes);
    return memory;
}

void stage_filter_free(struct filter *filter, float *memory)
{
    memory_host_destroy(filter->backend, memory);
}

/* An array on its way through a stage, `chunk` slices a call; the buffers of call k are the
 * (k mod calls)-th. */
struct passage {
    struct filter *filter;
    const struct stage *stage;
    const struct array *in;
    int calls; /* under way at once */
    int64_t chunk, in_count, out_count;
    float *x, *y;
};

static void start_call(const struct passage *p, int64_t k)
{
    float *x = p->x + k % p->calls * p->in_count, *y = p->y + k % p->calls * p->out_count;
    if (p->in->rank == 3)
        stage_filter_read_volume(p->filter, p->in, x, p->chunk);
    else
        filter_read_f32(p->filter, x, p->chunk);
    filter_check(p->filter, network_start(p->stage->network, (const void *const[]){x},
                                          (void *const[]){y}, &p->filter->error));
}

static void end_call(const struct passage *p, int64_t k)
{
    filter_check(p->filter, network_finish(p->stage->network, &p->filter->error));
    filter_write(p->filter, p->y + k % p->calls * p->out_count, p->stage->out_d);
}

/* Send one array through the stage, `chunk` slices at a time. Of a single call there is no progress
 * to show. */
static void run_array(struct filter *filter, const struct stage *stage, const struct array *in,
                      const struct array *out, int64_t chunk)
{
    int64_t calls = in->shape[0] / chunk, ended = 0;
    struct passage p = {filter,
                        stage,
                        in,
                        1,
                        chunk,
                        chunk * array_slice_count(in),
                        stage->out_d * array_slice_count(out),
                        NULL,
                        NULL};
    if (calls > 1)
        p.calls = network_overlap(stage->network);
    stage_filter_plan(filter, stage,
                      network_memory(stage->network).total +
                          p.calls * (p.in_count + p.out_count) * (int64_t)sizeof(float));
    p.x = stage_filter_allocate(filter, p.calls * p.in_count);
    p.y = stage_filter_allocate(filter, p.calls * p.out_count);
    struct progress progress;
    progress_start(&progress, filter->program->name, "slices", in->shape[0],
                   filter_settings.quiet || calls == 1);
    filter_begin(filter, out);
    for (int64_t k = 0; k <= calls; k++) {
        for (; ended < k && (k == calls || k - ended == p.calls); ended++) {
            end_call(&p, ended);
            progress_advance(&progress, chunk);
        }
        if (k < calls)
            start_call(&p, k);
    }
    filter_end(filter);
    progress_finish(&progress);
    stage_filter_free(filter, p.x);
    stage_filter_free(filter, p.y);
}

int stage_filter_main(const struct stage_filter *s, int argc, char **argv)
{
    static struct filter filter;
    filter_start(&filter, s->program, argc, argv);
    struct weights *weights = stage_filter_weights(&filter);
    struct stage_settings settings = stage_filter_settings(&filter);
    struct array in, out, last = {0};
    struct stage stage = {0};
    while (filter_next(&filter, &in)) {
        if (s->latent)
            filter_expect_latent(&filter, &in, 0);
        else
            filter_expect_volume(&filter, &in);
        struct array seen = in;
        seen.shape[0] = s->slicewise ? 1 : in.shape[0];
        if (memcmp(seen.shape, last.shape, sizeof seen.shape)) {
            stage_close(&stage);
            filter_check(&filter, s->open(&stage, weights, seen.shape, &settings, &filter.error));
            last = seen;
        }
        int64_t chunk = seen.shape[0];
        stage_filter_output(&out, &in, &stage, in.shape[0] / chunk * stage.out_d, false);
        run_array(&filter, &stage, &in, &out, chunk);
    }
    stage_filter_peak(&filter);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
