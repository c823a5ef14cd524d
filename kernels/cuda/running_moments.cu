/* OP_RUNNING_MOMENTS: moments of each channel in chunks of positions, then of all in their order.
 */
#include "kernels/cuda/device.cuh"

enum { CHUNK = 64 /* positions */ };

struct running_state {
    int64_t positions, chunks, c;
    enum dtype dtype;
    float momentum, *mean, *variance;
};

/* Count, mean and Σ(x − mean)² of values. */
struct moments {
    double count, mean, square;
};

/* Channels and chunks lie side by side. */
static __global__ void measure(struct running_state s, struct values x, struct moments *moments)
{
    EACH(i, s.chunks * s.c)
    {
        int64_t c = i % s.c, start = i / s.c * CHUNK, end = min(start + CHUNK, s.positions);
        double shift = get(x, start * s.c + c), sum = 0.0, square = 0.0;
        for (int64_t p = start; p < end; p++) {
            double distance = (double)get(x, p * s.c + c) - shift;
            sum += distance;
            square += distance * distance;
        }
        double n = (double)(end - start), mean = sum / n;
        moments[i] = {n, shift + mean, square - sum * mean};
    }
}

static __global__ void follow(struct running_state s, const struct moments *moments, float *token)
{
    double keep = 1.0 - (double)s.momentum;
    EACH(c, s.c)
    {
        struct moments all = moments[c];
        for (int64_t chunk = 1; chunk < s.chunks; chunk++) {
            struct moments m = moments[chunk * s.c + c];
            double count = all.count + m.count, d = m.mean - all.mean;
            all.mean += d * m.count / count;
            all.square += m.square + d * d * all.count * m.count / count;
            all.count = count;
        }
        double variance = all.square / (all.count - 1.0);
        s.mean[c] = (float)(keep * (double)s.mean[c] + (double)s.momentum * all.mean);
        s.variance[c] = (float)(keep * (double)s.variance[c] + (double)s.momentum * variance);
        if (c == 0)
            *token = 0.0f;
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_running_moments(o);
    if (why)
        return why;
    running_state *s = new_state<running_state>();
    if (!s)
        return "out of memory";
    s->c = o->input[0].shape.c;
    s->positions = shape_count(o->input[0].shape) / s->c;
    s->chunks = (s->positions + CHUNK - 1) / CHUNK;
    s->dtype = o->input[0].dtype;
    s->momentum = o->running_moments.momentum;
    s->mean = o->gradient[0];
    s->variance = o->gradient[1];
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->workspace, s->chunks * s->c, sizeof(struct moments));
    *state = s;
    return nullptr;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const running_state *s = static_cast<running_state *>(state);
    struct moments *moments = static_cast<struct moments *>(workspace);
    cudaStream_t stream = cuda_device()->stream;
    measure<<<blocks_for(s->chunks * s->c), THREADS, 0, stream>>>(
        *s, values_of(inputs[0], s->dtype), moments);
    follow<<<blocks_for(s->c), THREADS, 0, stream>>>(*s, moments, static_cast<float *>(output));
    return cuda_launched();
}

const struct kernel cuda_running_moments = {create, needs_nothing, run, free};
