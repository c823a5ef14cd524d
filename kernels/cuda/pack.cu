/* Weights from the files' types and orders to the kernels'. */
#include "kernels/cuda/device.cuh"

#include <cuda_fp16.h>

static __device__ float to_f32(__half x)
{
    return __half2float(x);
}

template <typename From, typename To>
static __global__ void pack_kernel(struct pack p, const From *weight, To *prepared, int64_t count)
{
    float scale = p.scale ? *p.scale : 1.0f;
    EACH(i, count)
    {
        int64_t rest = i, from = p.first;
        bool inside = true;
        for (int axis = PACK_AXES - 1; axis >= 0; axis--) {
            int64_t position = rest % p.extent[axis];
            rest /= p.extent[axis];
            inside &= position < p.limit[axis];
            from += position * p.stride[axis];
        }
        prepared[i] = from_f32<To>(inside ? scale * to_f32(weight[from]) : 0.0f);
    }
}

template <typename From>
static void launch(const struct pack *p, const void *weight, void *prepared, int64_t count)
{
    cudaStream_t stream = cuda_device()->stream;
    const From *from = static_cast<const From *>(weight);
    if (p->dtype == DTYPE_BF16)
        pack_kernel<<<blocks_for(count), THREADS, 0, stream>>>(
            *p, from, static_cast<bf16 *>(prepared), count);
    else
        pack_kernel<<<blocks_for(count), THREADS, 0, stream>>>(
            *p, from, static_cast<float *>(prepared), count);
}

int64_t weight_count(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

int64_t weight_bytes(const struct weight *w)
{
    return weight_count(w) * dtype_size(w->dtype);
}

const char *cuda_pack(const struct weight *w, const struct pack *p, void *prepared, void *scratch)
{
    int64_t count = 1;
    for (int axis = 0; axis < PACK_AXES; axis++)
        count *= p->extent[axis];
    if (w->dtype != DTYPE_F32 && w->dtype != DTYPE_F16 && w->dtype != DTYPE_BF16)
        return "weights are f32, f16 or bf16";
    cudaError_t status = cudaMemcpyAsync(scratch, w->data, (size_t)weight_bytes(w),
                                         cudaMemcpyDefault, cuda_device()->stream);
    if (status != cudaSuccess)
        return cuda_error(status);
    if (w->dtype == DTYPE_F32)
        launch<float>(p, scratch, prepared, count);
    else if (w->dtype == DTYPE_BF16)
        launch<bf16>(p, scratch, prepared, count);
    else
        launch<__half>(p, scratch, prepared, count);
    return cuda_launched();
}

const char *cuda_pack_vector(const struct weight *w, int64_t count, enum dtype dtype,
                             const float *scale, void *prepared, void *scratch)
{
    struct pack p = {{1, 1, 1, 1, count}, {0, 0, 0, 0, 1}, {1, 1, 1, 1, count}, 0, dtype, scale};
    return cuda_pack(w, &p, prepared, scratch);
}

const char *cuda_pack_norm(const struct operation *o, int64_t c, float *affine, void *scratch)
{
    const char *why = cuda_pack_vector(&o->weight[0], c, DTYPE_F32, nullptr, affine, scratch);
    return why ? why : cuda_pack_vector(&o->weight[1], c, DTYPE_F32, nullptr, affine + c, scratch);
}
