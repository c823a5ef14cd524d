/* bench - time one network of the cascade at its full size, with random input, and say where the
 * time goes. One network a process, so that the process's peak memory is that network's. */
#include "lib/core/version.h"
#include "lib/models/inception.h"
#include "lib/models/stage_filter.h"
#include "pipelines/bench/paths.h"
#include "pipelines/bench/peak.h"
#include "pipelines/bench/training.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 4, WINDOW = 5 };

static int64_t latent = 64, slice = 512, thumbnail = 128, batch = 8;
static struct measure_effort effort = {.seconds = 10};
static double peak_rate;
static bool paths, training;

static const struct option options[] = {
    {.name = "weights",
     .letter = 'w',
     .type = OPTION_STRING,
     .target = &filter_settings.weights,
     .argument = "FILE",
     .unset = "none, for machine",
     .meaning = "safetensors file with the network"},
    {.name = "precision",
     .type = OPTION_CHOICE,
     .target = &filter_settings.precision,
     .choices = filter_precisions,
     .meaning = "type of activations and products; auto is fp32 on a CPU, bf16 on a GPU"},
    {.name = "device",
     .type = OPTION_STRING,
     .target = &filter_settings.device,
     .argument = "auto|cpu|cuda[:N]",
     .choices = filter_devices,
     .meaning = "where to compute"},
    {.name = "batch",
     .type = OPTION_INT,
     .target = &batch,
     .argument = "N",
     .low = 1,
     .high = 4096,
     .meaning = "slices of the refiner and of inception at a time"},
    {.name = "repetitions",
     .type = OPTION_INT,
     .target = &effort.repetitions,
     .argument = "N",
     .low = 1,
     .high = 1e6,
     .unset = "as many as fit --seconds",
     .meaning = "calls to time, after a first one that is not; the best counts"},
    {.name = "seconds",
     .type = OPTION_REAL,
     .target = &effort.seconds,
     .argument = "X",
     .low = 0,
     .high = 1e6,
     .meaning = "how long to repeat; at least one call is timed"},
    {.name = "latent",
     .type = OPTION_INT,
     .target = &latent,
     .argument = "N",
     .low = 1,
     .high = 1024,
     .meaning = "extent of a latent"},
    {.name = "slice",
     .type = OPTION_INT,
     .target = &slice,
     .argument = "N",
     .low = 1,
     .high = 8192,
     .meaning = "extent of the 2-D encoder's input"},
    {.name = "thumbnail",
     .type = OPTION_INT,
     .target = &thumbnail,
     .argument = "N",
     .low = 4,
     .high = 1024,
     .meaning = "extent of the 3-D encoder's input"},
    {.name = "peak",
     .type = OPTION_REAL,
     .target = &peak_rate,
     .argument = "X",
     .low = 0,
     .high = 1e9,
     .unset = "unknown",
     .meaning = "the machine's peak in GFLOP/s, to compare with"},
    {.name = "paths",
     .type = OPTION_FLAG,
     .target = &paths,
     .meaning = "a row for each shape of a convolution instead of one for the network"},
    {.name = "training",
     .type = OPTION_FLAG,
     .target = &training,
     .meaning = "a row of a training step"},
    {.name = "memory",
     .type = OPTION_BYTES,
     .target = &filter_settings.memory,
     .argument = "BYTES",
     .unset = "no bound",
     .meaning = "the most memory to plan a training step for"},
    {.name = "threads",
     .type = OPTION_INT,
     .target = &filter_settings.threads,
     .argument = "N",
     .low = 0,
     .high = 1024,
     .unset = "all cores",
     .meaning = "number of threads"},
    {0},
};

static const struct program program = {
    .name = "bench",
    .purpose = "time one network at its full size",
    .operands = "machine|diffusion3d|refiner|multislice|decoder2d|encoder2d|encoder3d|latent-sr|"
                "inception",
    .details = "A row of pipelines/bench/run's table: GFLOP/s counts the multiplications and "
               "additions of the dense convolutions, linear layers and attention, whatever "
               "algorithm is used. machine says what it runs on, and measures what that can do at "
               "most. With --training the networks are diffusion3d, refiner, multislice, "
               "autoencoder2d and nhae, and times are those of a step and of a forward pass.",
    .options = options,
};

static struct filter filter;

/* Open the network that the operand names. */
static int open_stage(struct stage *stage, const char *name, struct weights *weights)
{
    struct stage_settings settings = stage_filter_settings(&filter);
    struct error *error = &filter.error;
    if (!strcmp(name, "diffusion3d"))
        return stage_denoise(stage, weights, 3, latent, CHANNELS, latent, latent, &settings, error);
    if (!strcmp(name, "refiner"))
        return stage_denoise(stage, weights, 2, batch, CHANNELS, latent, latent, &settings, error);
    if (!strcmp(name, "multislice"))
        return stage_decode(stage, weights, WINDOW, CHANNELS, latent, latent, &settings, error);
    if (!strcmp(name, "decoder2d"))
        return stage_decode(stage, weights, 1, CHANNELS, latent, latent, &settings, error);
    if (!strcmp(name, "encoder2d"))
        return stage_encode2d(stage, weights, 1, slice, slice, &settings, error);
    if (!strcmp(name, "encoder3d"))
        return stage_encode3d(stage, weights, thumbnail, thumbnail, thumbnail, &settings, error);
    if (!strcmp(name, "latent-sr"))
        return stage_latent_sr(stage, weights, latent, CHANNELS, latent, latent, &settings, error);
    if (!strcmp(name, "inception"))
        return stage_inception(stage, weights, batch, INCEPTION_SIZE, INCEPTION_SIZE, &settings,
                               error);
    return error_set(error, "%s is no network; networks are %s", name, program.operands);
}

/* Kinds of operations as the table tells them apart. */
enum share { CONVOLUTION, NORM, ATTENTION, RESAMPLING, CODES, REST, SHARES };

static enum share share_of(enum operation_kind kind)
{
    switch (kind) {
    case OP_CONVOLUTION:
    case OP_CONVOLUTION_PAIR:
        return CONVOLUTION;
    case OP_GROUP_NORM:
        return NORM;
    case OP_ATTENTION:
        return ATTENTION;
    case OP_RESAMPLE:
        return RESAMPLING;
    case OP_QUANTIZE:
        return CODES;
    default:
        return REST;
    }
}

/* whole: seconds of a call; those of its nodes, which give the shares, may add up to more. */
static void report(const char *name, struct network *network, const double *seconds, double whole)
{
    const struct graph *graph = network_graph(network);
    double share[SHARES] = {0}, convolution_flops = 0, flops = graph_flops(graph);
    double all = measure_sum(seconds, graph->nodes);
    for (int i = 0; i < graph->nodes; i++) {
        enum share kind = share_of(graph->node[i].operation.kind);
        share[kind] += seconds[i];
        if (kind == CONVOLUTION)
            convolution_flops += graph_node_flops(&graph->node[i]);
    }
    double effective = flops / whole * 1e-9;
    double alone = convolution_flops / share[CONVOLUTION] * 1e-9;
    printf("| %-11s | %-9s | %7.3f | %8.4f | %7.1f |", name,
           graph->activations == DTYPE_BF16 ? "bf16" : "fp32", flops * 1e-12, whole, effective);
    if (peak_rate)
        printf(" %6.2f |", effective / peak_rate);
    else
        printf("      - |");
    printf(" %12.1f | %5.2f |", alone, effective / alone);
    for (int kind = 0; kind < SHARES; kind++)
        printf(" %4.1f |", 100 * share[kind] / all);
    printf(" %6.0f | %6.0f |\n", measure_plan(network), measure_peak());
}

static void describe_machine(void)
{
    struct peak peak = peak_measure();
    printf("octpipe: %s\ncompiler: gcc %s\ninstruction set: %s\nthreads: %d\n", OCTPIPE_VERSION,
           __VERSION__, cpu_instruction_set(), omp_get_max_threads());
    printf("fp32 peak: %.0f GFLOP/s\n", peak.fp32);
    if (peak.bf16)
        printf("bf16 peak: %.0f GFLOP/s\n", peak.bf16);
    else
        printf("bf16 peak: none, the processor does not multiply bf16\n");
    printf("copy: %.1f GB/s read and written\n", peak.copy);
}

/* Time one call of the network. */
static void measure_call(const char *name, struct weights *weights)
{
    struct stage stage;
    filter_check(&filter, open_stage(&stage, name, weights));
    const struct graph *graph = network_graph(stage.network);
    double *seconds = filter_allocate(&filter, graph->nodes, sizeof *seconds);
    double whole = measure_network(&filter, stage.network, effort, seconds);
    if (paths)
        paths_report(&filter, name, graph, seconds);
    else
        report(name, stage.network, seconds, whole);
    free(seconds);
    stage_close(&stage);
    weights_close(weights);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    const char *name = filter.file[0];
    if (!strcmp(name, "machine")) {
        describe_machine();
        return filter_finish(&filter);
    }
    if (!filter_settings.weights)
        filter_fail(&filter, "give weights with -w");
    struct weights *weights = stage_filter_weights(&filter);
    if (training)
        training_report(&filter, weights,
                        &(struct training_bench){name, latent, filter_settings.memory,
                                                 stage_filter_settings(&filter), effort});
    else
        measure_call(name, weights);
    return filter_finish(&filter);
}
