#include "pipelines/bench/measure.h"
#include "lib/core/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARRAYS = 8 };

static float *make_array(struct filter *filter, struct tensor tensor, int input)
{
    int64_t count = shape_count(tensor.shape);
    float *array = filter_allocate(filter, count, sizeof *array);
    if (input >= 0 && tensor.shape.h * tensor.shape.w * tensor.shape.c > 1)
        random_normal(&(struct random_key){.stage = RANDOM_NOISE, .slice = input}, array, count);
    else
        for (int64_t i = 0; i < count; i++)
            array[i] = count == 1 ? 500.0f : (float)i;
    return array;
}

double measure_sum(const double *seconds, int count)
{
    double total = 0;
    for (int i = 0; i < count; i++)
        total += seconds[i];
    return total;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool goes_on(struct measure_effort effort, int64_t calls, double spent)
{
    return effort.repetitions ? calls < effort.repetitions : !calls || spent < effort.seconds;
}

static void measure_nodes(struct filter *filter, struct network *network, const void *const *inputs,
                          void *const *out, struct measure_effort effort, double *best)
{
    int nodes = network_graph(network)->nodes;
    double *seconds = filter_allocate(filter, nodes, sizeof *seconds), spent = 0;
    for (int64_t i = 0; goes_on(effort, i, spent); i++) {
        filter_check(filter, network_profile(network, inputs, out, seconds, &filter->error));
        double whole = measure_sum(seconds, nodes);
        spent += whole;
        if (i == 0 || whole < measure_sum(best, nodes))
            memcpy(best, seconds, (size_t)nodes * sizeof *best);
    }
    free(seconds);
}

/* The fastest call, after one that is recorded. */
static double measure_calls(struct filter *filter, struct network *network,
                            const void *const *inputs, void *const *out,
                            struct measure_effort effort)
{
    double best = INFINITY, spent = 0;
    filter_check(filter, network_run(network, inputs, out, &filter->error));
    for (int64_t i = 0; goes_on(effort, i, spent); i++) {
        double start = now();
        filter_check(filter, network_run(network, inputs, out, &filter->error));
        double seconds = now() - start;
        spent += seconds;
        best = seconds < best ? seconds : best;
    }
    return best;
}

double measure_network(struct filter *filter, struct network *network, struct measure_effort effort,
                       double *best)
{
    const struct graph *graph = network_graph(network);
    void *in[ARRAYS] = {NULL}, *out[ARRAYS] = {NULL};
    for (int v = 0; v < graph->values; v++) {
        const struct graph_value *value = &graph->value[v];
        if (value->input >= 0)
            in[value->input] = make_array(filter, value->tensor, value->input);
        if (value->output >= 0)
            out[value->output] = make_array(filter, value->tensor, -1);
    }
    const void *const *inputs = (const void *const *)in;
    filter_check(filter, network_run(network, inputs, out, &filter->error));
    measure_nodes(filter, network, inputs, out, effort, best);
    double whole = filter->backend->queue ? measure_calls(filter, network, inputs, out, effort)
                                          : measure_sum(best, graph->nodes);
    for (int k = 0; k < ARRAYS; k++) {
        free(in[k]);
        free(out[k]);
    }
    return whole;
}

double measure_plan(const struct network *network)
{
    const struct graph *graph = network_graph(network);
    int64_t bytes = network_memory(network).total;
    for (int v = 0; v < graph->values; v++)
        if (graph->value[v].input >= 0 || graph->value[v].output >= 0)
            bytes += tensor_bytes(graph->value[v].tensor);
    return (double)bytes / (1 << 20);
}

double measure_peak(void)
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
