/* The CUDA backend: one device, one queue, opened once in a process. */
#include "kernels/cuda/backend.h"
#include "kernels/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CUDNN_LEAST = 91600, /* 9.8 to 9.15 have wrong 3-D convolutions */
    ALIGNMENT = 256,
};

static struct cuda_device device;

const struct cuda_device *cuda_device(void)
{
    return &device;
}

const char *cuda_error(cudaError_t status)
{
    if (status == cudaSuccess)
        return NULL;
    cudaGetLastError(); /* is reported here, not by the next launch */
    return cudaGetErrorString(status);
}

const char *cuda_launched(void)
{
    return cuda_error(cudaGetLastError());
}

size_t cuda_reserve(size_t *total, int64_t count, int64_t size)
{
    return needs_reserve(total, count, size, ALIGNMENT);
}

static bool multiplies_bf16(void)
{
    return true;
}

static void *allocate(size_t bytes)
{
    void *memory;
    return cuda_error(cudaMalloc(&memory, bytes)) ? NULL : memory;
}

static void release(void *memory, size_t bytes)
{
    (void)bytes;
    cudaFree(memory);
}

static const char *copy(enum lane lane, void *to, const void *from, size_t bytes)
{
    return cuda_error(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, device.lane[lane]));
}

static const char *clear(void *memory, size_t bytes)
{
    return cuda_error(cudaMemsetAsync(memory, 0, bytes, device.stream));
}

/* What kernels have found wrong since the last call. */
static const char *trouble(void)
{
    static const char *const words[] = {
        [TROUBLE_NONE] = NULL,
        [TROUBLE_SLICE] = "a number beyond the last slice",
        [TROUBLE_CODE] = "a pixel holds no code of the codebook",
    };
    enum cuda_trouble found = *device.trouble;
    *device.trouble = TROUBLE_NONE;
    return words[found];
}

static const char *wait(void)
{
    const char *why = cuda_error(cudaStreamSynchronize(device.stream));
    return why ? why : trouble();
}

static const char *follow(enum lane lane, enum lane before)
{
    const char *why = cuda_error(cudaEventRecord(device.done[before], device.lane[before]));
    return why ? why : cuda_error(cudaStreamWaitEvent(device.lane[lane], device.done[before], 0));
}

/* Awaiting these, the host sleeps. */
static const char *new_event(cudaEvent_t *event)
{
    return cuda_error(
        cudaEventCreateWithFlags(event, cudaEventDisableTiming | cudaEventBlockingSync));
}

static const char *mark(void **mark)
{
    cudaEvent_t event = *mark;
    const char *why = event ? NULL : new_event(&event);
    if (why)
        return why;
    *mark = event;
    return cuda_error(cudaEventRecord(event, device.lane[LANE_OUT]));
}

static const char *await(void *mark)
{
    const char *why = cuda_error(cudaEventSynchronize(mark));
    return why ? why : trouble();
}

static void unmark(void *mark)
{
    cudaEventDestroy(mark);
}

static const char *record_begin(void)
{
    return cuda_error(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal));
}

static const char *record_end(void **recording)
{
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    cudaError_t status = cudaStreamEndCapture(device.stream, &graph);
    if (status != cudaSuccess)
        return cuda_error(status);
    status = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    if (status == cudaSuccess)
        *recording = executable;
    return cuda_error(status);
}

static const char *replay(void *recording)
{
    return cuda_error(cudaGraphLaunch(recording, device.stream));
}

static void forget(void *recording)
{
    cudaGraphExecDestroy(recording);
}

static void *host_allocate(size_t bytes)
{
    void *memory;
    return cuda_error(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault)) ? NULL : memory;
}

static void host_release(void *memory)
{
    cudaFreeHost(memory);
}

static const struct queue queue = {copy,   clear,         wait,         follow,     mark,
                                   await,  unmark,        record_begin, record_end, replay,
                                   forget, host_allocate, host_release};

static struct cudaDeviceProp properties;

static struct backend backend = {
    .name = "cuda",
    .device = properties.name,
    .activations = DTYPE_BF16,
    .multiplies_bf16 = multiplies_bf16,
    .kernel = {[OP_TO_CHANNELS_LAST] = &cuda_to_channels_last,
               [OP_TO_SLICE_MAJOR] = &cuda_to_slice_major,
               [OP_CAST] = &cuda_cast,
               [OP_CONVOLUTION] = &cuda_convolution,
               [OP_CONVOLUTION_PAIR] = &cuda_convolution_pair,
               [OP_GROUP_NORM] = &cuda_group_norm,
               [OP_RESAMPLE] = &cuda_resample,
               [OP_ATTENTION] = &cuda_attention,
               [OP_LINEAR] = &cuda_linear,
               [OP_TIMESTEP_EMBEDDING] = &cuda_timestep_embedding,
               [OP_QUANTIZE] = &cuda_quantize,
               [OP_CONVOLUTION_DATA] = &cuda_convolution_data,
               [OP_CONVOLUTION_WEIGHTS] = &cuda_convolution_weights,
               [OP_MIX_GRADIENT] = &cuda_mix_gradient,
               [OP_GROUP_NORM_SUMS] = &cuda_group_norm_sums,
               [OP_GROUP_NORM_DATA] = &cuda_group_norm_data,
               [OP_GROUP_NORM_WEIGHTS] = &cuda_group_norm_weights,
               [OP_ATTENTION_DATA] = &cuda_attention_data,
               [OP_LINEAR_DATA] = &cuda_linear_data,
               [OP_LINEAR_WEIGHTS] = &cuda_linear_weights,
               [OP_CODEBOOK_WEIGHTS] = &cuda_codebook_weights,
               [OP_ADD] = &cuda_add,
               [OP_FILL] = &cuda_fill,
               [OP_LOSS] = &cuda_loss,
               [OP_LOSS_DATA] = &cuda_loss_data,
               [OP_GATHER] = &cuda_gather,
               [OP_SCATTER] = &cuda_scatter,
               [OP_LEAKY_RELU] = &cuda_leaky_relu,
               [OP_MAX_POOL] = &cuda_max_pool,
               [OP_MAX_POOL_DATA] = &cuda_max_pool_data,
               [OP_FEATURE_DISTANCE] = &cuda_feature_distance,
               [OP_FEATURE_DISTANCE_DATA] = &cuda_feature_distance_data,
               [OP_RUNNING_MOMENTS] = &cuda_running_moments,
               [OP_ADAPTIVE_WEIGHT] = &cuda_adaptive_weight,
               [OP_LEAKY_RELU_DATA] = &cuda_leaky_relu},
    .allocate = allocate,
    .release = release,
    .queue = &queue,
    .optimizer = &cuda_optimizer,
};

static const char *open_device(int number)
{
    int count;
    const char *why = cuda_error(cudaGetDeviceCount(&count));
    if (why)
        return why;
    if (number >= count)
        return "there are not so many";
    why = cuda_error(cudaSetDevice(number));
    if (!why)
        why = cuda_error(cudaGetDeviceProperties(&properties, number));
    if (!why && properties.major < 8)
        return "it is older than compute capability 8.0";
    return why;
}

static void close_queue(void)
{
    for (int i = 0; i < LANE_COUNT; i++) {
        if (device.lane[i])
            cudaStreamDestroy(device.lane[i]);
        if (device.done[i])
            cudaEventDestroy(device.done[i]);
    }
    if (device.trouble)
        cudaFreeHost(device.trouble);
    device = (struct cuda_device){0};
}

static const char *open_lanes(void)
{
    void *memory;
    const char *why =
        cuda_error(cudaHostAlloc(&memory, sizeof *device.trouble, cudaHostAllocMapped));
    if (why)
        return why;
    device.trouble = memset(memory, 0, sizeof *device.trouble);
    for (int i = 0; i < LANE_COUNT && !why; i++) {
        why = cuda_error(cudaStreamCreateWithFlags(&device.lane[i], cudaStreamNonBlocking));
        if (!why)
            why = new_event(&device.done[i]);
    }
    return why;
}

/* The queue and cuDNN's handle on it, or neither. */
static const char *open_queue(void)
{
    cudnnHandle_t handle;
    const char *why = open_lanes();
    if (!why) {
        cudnnStatus_t status = cudnnCreate(&handle);
        if (status == CUDNN_STATUS_SUCCESS) {
            status = cudnnSetStream(handle, device.lane[LANE_WORK]);
            if (status != CUDNN_STATUS_SUCCESS)
                cudnnDestroy(handle);
        }
        why = status == CUDNN_STATUS_SUCCESS ? NULL : cudnnGetErrorString(status);
    }
    if (why) {
        close_queue();
        return why;
    }
    device.stream = device.lane[LANE_WORK];
    device.target.handle = handle;
    device.multiprocessors = backend.multiprocessors = properties.multiProcessorCount;
    return NULL;
}

const struct backend *octpipe_backend_open(unsigned interface, int number, const char **why)
{
    if (interface != BACKEND_INTERFACE) {
        *why = "its octpipe-cuda.so is of another build";
        return NULL;
    }
    if (device.stream)
        return &backend;
    if (cudnnGetVersion() < CUDNN_LEAST) {
        *why = "cuDNN is older than 9.16, whose 3-D convolutions are the first to be right";
        return NULL;
    }
    *why = open_device(number);
    if (!*why)
        *why = open_queue();
    return *why ? NULL : &backend;
}

const struct backend *octpipe_backend_plan(const char *description, const char **why)
{
    static const char key[] = "\"multiProcessorCount\":";
    const char *count = strstr(description, key);
    *why = cudnn_target_describe(&device.target, description);
    if (!count && !*why)
        *why = "the description lacks the number of multiprocessors";
    if (*why)
        return NULL;
    device.multiprocessors = backend.multiprocessors = atoi(count + strlen(key));
    snprintf(properties.name, sizeof properties.name, "a described device");
    return &backend;
}
