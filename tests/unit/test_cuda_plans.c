/* On machines without a GPU: cuDNN makes the plans of every convolution of every network of the
 * cascade at full size for devices that are described to it, and the planner places everything. */
#include "kernels/cuda/backend.h"
#include "lib/models/fresh.h"
#include "lib/models/stages.h"
#include "tests/unit/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LATENT = 64, CHANNELS = 4, BATCH = 64, WINDOW = 5, SLICE = 512, THUMBNAIL = 256 };

struct described {
    const char *name;
    int version, multiprocessors, shared_bytes, threads, blocks;
    int64_t memory, l2;
};

static const struct described devices[] = {
    {"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 2048, 32, 84987740160, 41943040},
    {"NVIDIA GeForce RTX 4090", 890, 128, 101376, 1536, 24, 25393692672, 75497472},
    {"NVIDIA H100 80GB HBM3", 900, 132, 232448, 2048, 32, 84942979072, 52428800},
};

static const struct backend *describe(const struct described *d)
{
    static void *object;
    char text[2048];
    const char *why;
    const struct backend *(*plan)(const char *, const char **);
    if (!object)
        object = test_cuda_object();
    if (!object)
        return NULL;
    *(void **)&plan = dlsym(object, "octpipe_backend_plan");
    assert_non_null(plan);
    snprintf(text, sizeof text,
             "{\"deviceName\":\"%s\",\"cudaDeviceId\":0,\"deviceId\":0,\"deviceVer\":%d,"
             "\"multiProcessorCount\":%d,\"driverVer\":13000,\"maxSharedMemoryPerBlockOptin\":%d,"
             "\"maxSharedMemoryPerBlock\":49152,\"reservedSharedMemoryPerBlock\":1024,"
             "\"totalGlobalMem\":%lld,\"regsPerBlock\":65536,\"maxRegistersPerSM\":65536,"
             "\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,\"l2CacheSize\":%lld,"
             "\"warpSize\":32,\"maxGridSize\":[2147483647,65535,65535],"
             "\"maxBlockSize\":[1024,1024,64],\"maxCtasPerSM\":%d,\"maxThreadsPerBlock\":1024,"
             "\"maxThreadsPerSM\":%d,\"isTccDriver\":0,\"supportCoopLaunch\":1,\"pciDeviceId\":0}",
             d->name, d->version, d->multiprocessors, d->shared_bytes, (long long)d->memory,
             (long long)d->l2, d->blocks, d->threads);
    const struct backend *backend = plan(text, &why);
    if (!backend)
        fail_msg("%s: %s", d->name, why);
    return backend;
}

/* The header of a weight file: names, shapes and offsets; returns the bytes of data. */
static int64_t write_header(FILE *file, const struct weights *weights)
{
    const struct safetensor *list;
    int64_t count = weights_declared(weights, &list), offset = 0;
    const char *const *metadata = weights_declared_metadata(weights);
    fprintf(file, "{\"__metadata__\":{");
    for (int i = 0; metadata[i]; i += 2)
        fprintf(file, "%s\"%s\":\"%s\"", i ? "," : "", metadata[i], metadata[i + 1]);
    fprintf(file, "}");
    for (int64_t i = 0; i < count; i++) {
        int64_t bytes = 4;
        fprintf(file, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", list[i].name);
        for (int k = 0; k < list[i].rank; k++) {
            fprintf(file, "%s%lld", k ? "," : "", (long long)list[i].shape[k]);
            bytes *= list[i].shape[k];
        }
        fprintf(file, "],\"data_offsets\":[%lld,%lld]}", (long long)offset,
                (long long)(offset + bytes));
        offset += bytes;
    }
    fprintf(file, "}");
    while (ftell(file) % 8) /* so that tensors can be read where they lie */
        fputc(' ', file);
    return offset;
}

/* Weights of a part at the paper's size, whose data nobody reads: a file that is one hole. */
static struct weights *weights_of(enum fresh_part part)
{
    struct fresh_settings settings = {.part = part, .attentions = -1};
    struct weights *declared, *weights;
    struct error error;
    char path[] = "/tmp/octpipe-plans-XXXXXX";
    if (fresh_declare(&declared, &settings, &error))
        fail_msg("%s", error.text);
    FILE *file = fdopen(mkstemp(path), "w+");
    assert_non_null(file);
    uint64_t length = 0;
    fwrite(&length, sizeof length, 1, file);
    int64_t bytes = write_header(file, declared);
    length = (uint64_t)ftell(file) - sizeof length;
    rewind(file);
    fwrite(&length, sizeof length, 1, file);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(ftruncate(fileno(file), (off_t)(sizeof length + length) + bytes), 0);
    fclose(file);
    int status = weights_open(&weights, path, false, &error);
    unlink(path);
    weights_close(declared);
    if (status)
        fail_msg("%s", error.text);
    return weights;
}

/* What must be tensor cores' work: bf16 convolutions from and to more channels than one vector
 * holds, to which other engines may be as fast. On compute capability 9.0 cuDNN has none for
 * kernels of 4×4×4 in steps of 2. */
static bool wants_tensor_cores(const struct operation *o, int version)
{
    const struct convolution *c = &o->convolution;
    bool wide = c->kernel[AXIS_D] == 4 && c->stride[AXIS_D] == 2;
    return o->input[0].dtype == DTYPE_BF16 && o->output.dtype == DTYPE_BF16 && !c->transposed &&
           o->input[0].shape.c > 8 && o->output.shape.c > 8 && !(wide && version >= 900);
}

/* How a convolution, or a gradient of one, is made: in phases (kernels/cuda/convolution_phases.h),
 * in bf16 on tensor cores; as a whole on tensor cores; … */
enum way { BY_PHASES, BY_CORES, BY_CUDNN, DIRECT, WAYS };

static enum way way_of(const struct backend *backend, const struct operation *o)
{
    struct needs needs;
    void *state;
    int place;
    const char *why = backend->kernel[o->kind]->create(o, &state, &needs, &place);
    if (why)
        fail_msg("%s", why);
    backend->kernel[o->kind]->destroy(state);
    bool cores = strstr(needs.algorithm, "tensor cores"), f32 = o->input[0].dtype == DTYPE_F32;
    if (!strcmp(needs.algorithm, "direct"))
        return DIRECT;
    if (strstr(needs.algorithm, "phases") && (cores || f32))
        return BY_PHASES;
    return cores ? BY_CORES : BY_CUDNN;
}

/* A convolution and its gradients by x and by the kernels. */
enum { FORWARD, BY_X, BY_KERNELS, PASSES };

/* In training dy is cast to the input's type. */
static struct operation pass_of(const struct operation *forward, int pass)
{
    struct operation o = *forward;
    struct tensor dy = forward->output;
    dy.dtype = forward->input[0].dtype;
    if (pass == BY_X) {
        o.kind = OP_CONVOLUTION_DATA;
        o.inputs = 1;
        o.input[0] = dy;
        o.output = forward->input[0];
    } else if (pass == BY_KERNELS) {
        o.kind = OP_CONVOLUTION_WEIGHTS;
        o.inputs = 2;
        o.input[1] = dy;
        o.output = (struct tensor){{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};
    }
    return o;
}

/* The slowest way that will do. Gradients of bf16 are tensor cores' work but for transposed
 * convolutions, which cuDNN does not make. */
static enum way slowest(const struct operation *o, int pass, int version)
{
    if (o->convolution.transposed)
        return DIRECT;
    if (pass == FORWARD)
        return wants_tensor_cores(o, version) ? BY_CORES
               : o->output.shape.c >= 8       ? BY_CUDNN
                                              : DIRECT;
    return o->input[0].dtype == DTYPE_BF16 ? BY_CORES : BY_CUDNN;
}

/* The first node that has the convolution of node i. */
static int first_alike(const struct graph *graph, int i)
{
    const struct operation *o = &graph->node[i].operation;
    for (int k = 0; k < i; k++) {
        const struct operation *other = &graph->node[k].operation;
        if (other->kind == o->kind &&
            !memcmp(&other->convolution, &o->convolution, sizeof o->convolution) &&
            !memcmp(&other->input[0], &o->input[0], sizeof o->input[0]) &&
            !memcmp(&other->output, &o->output, sizeof o->output))
            return k;
    }
    return i;
}

/* What phases spare of a convolution's operations. */
static double spared_by_phases(const struct graph_node *node)
{
    double left = 1;
    for (int a = 0; a < AXES; a++)
        if (node->operation.convolution.upsampled[a])
            left *= 2.0 / 3.0;
    return graph_node_flops(node) * (1 - left);
}

/* Create every convolution and its gradients by themselves and look how they are made. */
static void check_convolutions(const struct backend *backend, const struct graph *graph,
                               int version)
{
    enum way(*made)[PASSES] = calloc((size_t)graph->nodes, sizeof *made);
    int count[PASSES][WAYS] = {{0}};
    double spared = 0;
    assert_non_null(made);
    for (int i = 0; i < graph->nodes; i++) {
        const struct operation *o = &graph->node[i].operation;
        int alike = o->kind == OP_CONVOLUTION ? first_alike(graph, i) : i;
        for (int pass = 0; o->kind == OP_CONVOLUTION && pass < PASSES; pass++) {
            struct operation one = pass_of(o, pass);
            made[i][pass] = alike < i ? made[alike][pass] : way_of(backend, &one);
            if (made[i][pass] > slowest(o, pass, version))
                fail_msg("%s: cuDNN does not make pass %d as it can", graph->node[i].name, pass);
            count[pass][made[i][pass]]++;
            if (made[i][pass] == BY_PHASES)
                spared += spared_by_phases(&graph->node[i]);
        }
    }
    free(made);
    print_message("#   phases spare %.1f %% of %.3f TFLOP\n", 100 * spared / graph_flops(graph),
                  graph_flops(graph) * 1e-12);
    for (int pass = 0; pass < PASSES; pass++)
        print_message("#   %s: %d in phases, %d on tensor cores, %d by cuDNN without, %d direct\n",
                      pass == FORWARD ? "convolutions"
                      : pass == BY_X  ? "gradients by x"
                                      : "gradients by kernels",
                      count[pass][BY_PHASES], count[pass][BY_CORES], count[pass][BY_CUDNN],
                      count[pass][DIRECT]);
}

static void check_stage(const char *name, struct stage *stage, int status,
                        const struct error *error, const struct stage_settings *settings,
                        int version)
{
    if (status)
        fail_msg("%s: %s", name, error->text);
    struct network_memory memory = network_memory(stage->network);
    print_message("# %s %s: %.2f GiB = weights %.2f + arena %.2f\n", name,
                  settings->activations == DTYPE_BF16 ? "bf16" : "fp32",
                  (double)memory.total / (1 << 30), (double)memory.weights / (1 << 30),
                  (double)memory.activations / (1 << 30));
    check_convolutions(settings->backend, network_graph(stage->network), version);
    stage_close(stage);
}

static void check_denoisers(const struct stage_settings *settings, int version)
{
    struct weights *global = weights_of(FRESH_LDM3D), *refiner = weights_of(FRESH_REFINER);
    struct stage stage;
    struct error error;
    int status =
        stage_denoise(&stage, global, 3, LATENT, CHANNELS, LATENT, LATENT, settings, &error);
    check_stage("global diffusion", &stage, status, &error, settings, version);
    status = stage_denoise(&stage, refiner, 2, BATCH, CHANNELS, LATENT, LATENT, settings, &error);
    check_stage("refiner of 64 slices", &stage, status, &error, settings, version);
    weights_close(global);
    weights_close(refiner);
}

static void check_autoencoders(const struct stage_settings *settings, int version)
{
    struct weights *nhae = weights_of(FRESH_NHAE), *multislice = weights_of(FRESH_MULTISLICE);
    struct stage stage;
    struct error error;
    int status = stage_encode3d(&stage, nhae, THUMBNAIL, THUMBNAIL, THUMBNAIL, settings, &error);
    check_stage("3-D encoder", &stage, status, &error, settings, version);
    status = stage_encode2d(&stage, nhae, 1, SLICE, SLICE, settings, &error);
    check_stage("2-D encoder", &stage, status, &error, settings, version);
    status = stage_latent_sr(&stage, nhae, LATENT, CHANNELS, LATENT, LATENT, settings, &error);
    check_stage("latent super-resolution", &stage, status, &error, settings, version);
    status = stage_decode(&stage, nhae, 1, CHANNELS, LATENT, LATENT, settings, &error);
    check_stage("2-D decoder", &stage, status, &error, settings, version);
    status = stage_decode_slices(&stage, multislice, WINDOW, (struct layer_slices){2, 1}, CHANNELS,
                                 LATENT, LATENT, settings, &error);
    check_stage("multi-slice decoder", &stage, status, &error, settings, version);
    weights_close(nhae);
    weights_close(multislice);
}

static void test_plans(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        for (int type = 0; type < 2; type++) {
            struct stage_settings settings = {describe(&devices[i]), type ? DTYPE_BF16 : DTYPE_F32};
            if (!settings.backend)
                skip();
            print_message("# %s\n", devices[i].name);
            check_denoisers(&settings, devices[i].version);
            check_autoencoders(&settings, devices[i].version);
        }
}

/* What the backend does not have is refused in the name of the layer. */
static void test_refusal(void **state)
{
    (void)state;
    enum { SIZE = 75, SLICES = 1 };
    struct stage_settings settings = {describe(&devices[0]), DTYPE_F32};
    struct stage stage;
    struct error error;
    if (!settings.backend)
        skip();
    struct weights *inception = weights_of(FRESH_INCEPTION);
    assert_int_equal(stage_inception(&stage, inception, SLICES, SIZE, SIZE, &settings, &error), -1);
    assert_string_equal(error.text, "Conv2d_1a_3x3 (1×1×75×75×3): batch norm and ReLU within a "
                                    "convolution are the CPU's alone");
    weights_close(inception);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans),
                                       cmocka_unit_test(test_refusal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
