/* bench - time one network of the cascade at its full size, with random input, and say where the
 * time goes. One network a process, so that the process's peak memory is that network's. */
#include "lib/core/random.h"
#include "lib/core/version.h"
#include "lib/models/stage_filter.h"
#include "pipelines/bench/paths.h"
#include "pipelines/bench/peak.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 3, CHANNELS = 4, WINDOW = 5, BATCH = 8 };

static int64_t repetitions, latent = 64, slice = 512, thumbnail = 128;
static double budget_seconds = 10, peak_rate;
static bool paths;

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
     .meaning = "type of activations and products; auto is fp32 on a CPU"},
    {.name = "repetitions",
     .type = OPTION_INT,
     .target = &repetitions,
     .argument = "N",
     .low = 1,
     .high = 1e6,
     .unset = "as many as fit --seconds",
     .meaning = "calls to time, after a first one that is not; the best counts"},
    {.name = "seconds",
     .type = OPTION_REAL,
     .target = &budget_seconds,
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
    .operands = "machine|diffusion3d|refiner|multislice|decoder2d|encoder2d|encoder3d|latent-sr",
    .details = "A row of pipelines/bench/run's table: GFLOP/s counts the multiplications and "
               "additions of the dense convolutions, linear layers and attention, whatever "
               "algorithm is used. machine says what it runs on, and measures what that can do at "
               "most.",
    .options = options,
};

static struct filter filter;

/* Open the network that the operand names; inputs: how many it takes. */
static int open_stage(struct stage *stage, const char *name, struct weights *weights, int *inputs)
{
    struct stage_settings settings = stage_filter_settings(&filter);
    struct error *error = &filter.error;
    *inputs = 1;
    if (!strcmp(name, "diffusion3d")) {
        *inputs = 2;
        return stage_denoise(stage, weights, 3, latent, CHANNELS, latent, latent, &settings, error);
    }
    if (!strcmp(name, "refiner")) {
        *inputs = 3;
        return stage_denoise(stage, weights, 2, BATCH, CHANNELS, latent, latent, &settings, error);
    }
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
    return error_set(error, "%s is no network; networks are %s", name, program.operands);
}

/* Memory for a graph's input or output k, an input filled with normals, a timestep with 500. */
static float *make_array(const struct graph *graph, int k, bool input)
{
    for (int v = 0; v < graph->values; v++) {
        const struct graph_value *value = &graph->value[v];
        if ((input ? value->input : value->output) != k)
            continue;
        int64_t count = shape_count(value->tensor.shape);
        float *array = filter_allocate(&filter, count, sizeof *array);
        if (input && count == 1)
            array[0] = 500;
        else if (input)
            random_normal(&(struct random_key){.stage = RANDOM_NOISE, .slice = k}, array, count);
        return array;
    }
    return NULL;
}

static double sum(const double *seconds, int count)
{
    double total = 0;
    for (int i = 0; i < count; i++)
        total += seconds[i];
    return total;
}

/* The times of each node in the fastest call, after one that packs the weights and touches all
 * memory. */
static void measure(struct network *network, int inputs, double *best)
{
    const struct graph *graph = network_graph(network);
    const void *in[INPUTS];
    double *seconds = filter_allocate(&filter, graph->nodes, sizeof *seconds), spent = 0;
    for (int k = 0; k < inputs; k++)
        in[k] = make_array(graph, k, true);
    void *out[1] = {make_array(graph, 0, false)};
    filter_check(&filter, network_run(network, in, out, &filter.error));
    for (int64_t i = 0; repetitions ? i < repetitions : i == 0 || spent < budget_seconds; i++) {
        filter_check(&filter, network_profile(network, in, out, seconds, &filter.error));
        spent += sum(seconds, graph->nodes);
        if (i == 0 || sum(seconds, graph->nodes) < sum(best, graph->nodes))
            memcpy(best, seconds, (size_t)graph->nodes * sizeof *best);
    }
    for (int k = 0; k < inputs; k++)
        free((void *)(uintptr_t)in[k]);
    free(out[0]);
    free(seconds);
}

/* The process's peak, in MiB: the kernel's high-water mark. */
static double peak_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib / 1024;
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

/* What the plan holds, inputs and outputs included, in MiB. */
static double plan_mib(const struct network *network)
{
    const struct graph *graph = network_graph(network);
    int64_t bytes = network_memory(network).total;
    for (int v = 0; v < graph->values; v++)
        if (graph->value[v].input >= 0 || graph->value[v].output >= 0)
            bytes += tensor_bytes(graph->value[v].tensor);
    return (double)bytes / (1 << 20);
}

static void report(const char *name, struct network *network, const double *seconds)
{
    const struct graph *graph = network_graph(network);
    double share[SHARES] = {0}, convolution_flops = 0, flops = graph_flops(graph);
    double whole = sum(seconds, graph->nodes);
    for (int i = 0; i < graph->nodes; i++) {
        enum share kind = share_of(graph->node[i].operation.kind);
        share[kind] += seconds[i];
        if (kind == CONVOLUTION)
            convolution_flops += graph_node_flops(&graph->node[i]);
    }
    double effective = flops / whole * 1e-9;
    double alone = convolution_flops / share[CONVOLUTION] * 1e-9;
    printf("| %-11s | %-9s | %7.3f | %8.3f | %7.1f |", name,
           graph->activations == DTYPE_BF16 ? "bf16" : "fp32", flops * 1e-12, whole, effective);
    if (peak_rate)
        printf(" %6.2f |", effective / peak_rate);
    else
        printf("      - |");
    printf(" %12.1f | %5.2f |", alone, effective / alone);
    for (int kind = 0; kind < SHARES; kind++)
        printf(" %4.1f |", 100 * share[kind] / whole);
    printf(" %6.0f | %6.0f |\n", plan_mib(network), peak_mib());
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
    struct stage stage;
    int inputs;
    filter_check(&filter, open_stage(&stage, name, weights, &inputs));
    int nodes = network_graph(stage.network)->nodes;
    double *seconds = filter_allocate(&filter, nodes, sizeof *seconds);
    measure(stage.network, inputs, seconds);
    if (paths)
        paths_report(&filter, name, network_graph(stage.network), seconds);
    else
        report(name, stage.network, seconds);
    free(seconds);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
