#include "lib/engine/network.h"
#include "lib/engine/plan.h"
#include "lib/engine/recompute.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct network {
    struct graph *graph;
    const struct backend *backend;
    struct plan plan;
    struct needs *needs;
    int *in_place;
    void **state;
    int64_t *prepared; /* offset of each node's packed weights; training: within its workspace */
    bool training;
    struct network_memory memory;
    char *weights, *arena;
    bool tried; /* has run once, node by node */
    void *recording;
    bool unrecorded; /* there can be no recording */
};

static const struct kernel *kernel_of(const struct network *network, int node)
{
    return network->backend->kernel[network->graph->node[node].operation.kind];
}

/* "name (n×d×h×w×c): reason": an operation's trouble with the shape it was asked for. */
static int node_error(const struct network *network, int node, const char *why, struct error *error)
{
    const struct graph_node *n = &network->graph->node[node];
    struct shape s = n->operation.input[0].shape;
    return error_set(error, "%s (%lld×%lld×%lld×%lld×%lld): %s", n->name, (long long)s.n,
                     (long long)s.d, (long long)s.h, (long long)s.w, (long long)s.c, why);
}

/* The states of all nodes, and what they need. */
static int create_states(struct network *network, struct error *error)
{
    for (int i = 0; i < network->graph->nodes; i++) {
        const struct kernel *kernel = kernel_of(network, i);
        const char *why =
            !kernel ? "the backend lacks this operation"
                    : kernel->create(&network->graph->node[i].operation, &network->state[i],
                                     &network->needs[i], &network->in_place[i]);
        if (why)
            return node_error(network, i, why, error);
    }
    return 0;
}

static int64_t aligned(size_t bytes)
{
    return (int64_t)(bytes + 63) / 64 * 64;
}

/* In training, packed weights and what packs them live only while their node runs: all that a node
 * needs is one workspace. */
static struct needs training_needs(struct needs needs)
{
    size_t rest = needs.scratch > needs.workspace ? needs.scratch : needs.workspace;
    return (struct needs){.workspace = (size_t)aligned(needs.prepared) + rest};
}

/* Where kernels cannot reach the caller's memory, inputs and outputs have places behind the arena's
 * `end`. Returns the end of those. */
static int64_t place_outside(struct network *network, int64_t end)
{
    for (int v = 0; network->backend->queue && v < network->graph->values; v++)
        if (network->plan.value[v] < 0) {
            network->plan.value[v] = end;
            end += aligned((size_t)tensor_bytes(network->graph->value[v].tensor));
        }
    return end;
}

static int create_nodes(struct network *network, struct error *error)
{
    int64_t scratch = 0, weights = 0;
    if (create_states(network, error))
        return -1;
    for (int i = 0; i < network->graph->nodes; i++) {
        struct needs *needs = &network->needs[i];
        if (network->training) {
            network->prepared[i] = aligned(needs->prepared);
            *needs = training_needs(*needs);
            continue;
        }
        network->prepared[i] = weights;
        weights += aligned(needs->prepared);
        if ((int64_t)needs->scratch > scratch)
            scratch = (int64_t)needs->scratch;
    }
    if (plan_create(&network->plan, network->graph, network->needs, network->in_place, error))
        return -1;
    int64_t arena = place_outside(network, network->plan.arena);
    if (arena < scratch)
        arena = scratch;
    network->memory = (struct network_memory){weights, arena, weights + arena};
    return 0;
}

static int create(struct network **network, struct graph *graph, const struct backend *backend,
                  bool training, struct error *error)
{
    size_t nodes = graph ? (size_t)graph->nodes : 0;
    struct network *n = calloc(1, sizeof *n);
    int status = -1;
    *network = NULL;
    if (n) {
        n->graph = graph;
        n->backend = backend;
        n->training = training;
        n->needs = calloc(nodes + 1, sizeof *n->needs);
        n->in_place = calloc(nodes + 1, sizeof *n->in_place);
        n->state = calloc(nodes + 1, sizeof *n->state);
        n->prepared = calloc(nodes + 1, sizeof *n->prepared);
    }
    if (!graph || !n || !n->in_place || !n->needs || !n->state || !n->prepared)
        error_set(error, "out of memory");
    else
        status = create_nodes(n, error);
    if (!n)
        graph_destroy(graph);
    else if (status)
        network_destroy(n);
    else
        *network = n;
    return status;
}

int network_create(struct network **network, struct graph *graph, const struct backend *backend,
                   struct error *error)
{
    return create(network, graph, backend, false, error);
}

int network_create_training(struct network **network, struct graph *graph,
                            const struct backend *backend, int64_t memory, struct error *error)
{
    struct network *whole;
    *network = NULL;
    if (create(&whole, graph, backend, true, error))
        return -1;
    if (!memory || whole->memory.total <= memory) {
        *network = whole;
        return 0;
    }
    struct graph *fitting =
        recompute_fit(whole->graph, whole->needs, whole->in_place, memory, error);
    network_destroy(whole);
    return fitting ? create(network, fitting, backend, true, error) : -1;
}

/* Bytes to ask for: there are no empty blocks. */
static size_t held(int64_t bytes)
{
    return bytes ? (size_t)bytes : 64;
}

void network_destroy(struct network *network)
{
    if (!network)
        return;
    for (int i = 0; network->state && network->graph && i < network->graph->nodes; i++)
        if (network->state[i])
            kernel_of(network, i)->destroy(network->state[i]);
    if (network->recording)
        network->backend->queue->forget(network->recording);
    if (network->weights)
        network->backend->release(network->weights, held(network->memory.weights));
    if (network->arena)
        network->backend->release(network->arena, held(network->memory.activations));
    plan_destroy(&network->plan);
    graph_destroy(network->graph);
    free(network->needs);
    free(network->in_place);
    free(network->state);
    free(network->prepared);
    free(network);
}

struct network_memory network_memory(const struct network *network)
{
    return network->memory;
}

const struct graph *network_graph(const struct network *network)
{
    return network->graph;
}

/* Give back the whole pages inside a mapped tensor. */
static void drop_pages(const struct weight *weight)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    int64_t bytes = dtype_size(weight->dtype);
    for (int i = 0; i < weight->rank; i++)
        bytes *= weight->shape[i];
    uintptr_t first = ((uintptr_t)weight->data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)weight->data + (uintptr_t)bytes) / page * page;
    if (weight->mapped && weight->rank && end > first)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

static char *allocate(const struct network *network, int64_t bytes)
{
    return network->backend->allocate(held(bytes));
}

static int out_of_memory(const struct network *network, struct error *error)
{
    return error_set(
        error,
        "out of memory: the plan needs %.2f GiB (weights %.2f, arena %.2f); --memory bounds it",
        (double)network->memory.total / (1 << 30), (double)network->memory.weights / (1 << 30),
        (double)network->memory.activations / (1 << 30));
}

int network_prepare(struct network *network, struct error *error)
{
    if (network->arena)
        return 0;
    network->weights = allocate(network, network->memory.weights);
    network->arena = allocate(network, network->memory.activations);
    if (!network->weights || !network->arena)
        return out_of_memory(network, error);
    for (int i = 0; i < network->graph->nodes && !network->training; i++) {
        const struct operation *operation = &network->graph->node[i].operation;
        const char *why = kernel_of(network, i)
                              ->prepare(network->state[i], operation,
                                        network->weights + network->prepared[i], network->arena);
        if (!why && network->backend->queue)
            why = network->backend->queue->wait();
        if (why)
            return node_error(network, i, why, error);
        for (int k = 0; k < operation->weights; k++)
            drop_pages(&operation->weight[k]);
    }
    return 0;
}

static void *place(const struct network *network, int value, const void *const *inputs,
                   void *const *outputs)
{
    const struct graph_value *v = &network->graph->value[value];
    if (network->plan.value[value] >= 0)
        return network->arena + network->plan.value[value];
    return v->input >= 0 ? (void *)(uintptr_t)inputs[v->input] : outputs[v->output];
}

static const char *run_node(const struct network *network, int i, const void *const *inputs,
                            void *const *outputs)
{
    const struct graph_node *node = &network->graph->node[i];
    const struct kernel *kernel = kernel_of(network, i);
    char *workspace = network->arena + network->plan.workspace[i];
    const void *in[OPERATION_INPUTS] = {NULL};
    for (int k = 0; k < node->operation.inputs; k++)
        in[k] = place(network, node->input[k], inputs, outputs);
    if (network->training) {
        char *prepared = workspace;
        workspace += network->prepared[i];
        const char *why = kernel->prepare(network->state[i], &node->operation, prepared, workspace);
        if (why)
            return why;
    }
    return kernel->run(network->state[i], in, place(network, node->output, inputs, outputs),
                       workspace);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int network_run(struct network *network, const void *const *inputs, void *const *outputs,
                struct error *error)
{
    return network_profile(network, inputs, outputs, NULL, error);
}

/* Run the nodes one after another. With `waits` each is done before the next begins, so that a
 * failure is known by its node. */
static int run_nodes(struct network *network, const void *const *inputs, void *const *outputs,
                     double *seconds, bool waits, struct error *error)
{
    for (int i = 0; i < network->graph->nodes; i++) {
        double start = seconds ? now() : 0;
        const char *why = run_node(network, i, inputs, outputs);
        if (!why && waits)
            why = network->backend->queue->wait();
        if (why)
            return node_error(network, i, why, error);
        if (seconds)
            seconds[i] = now() - start;
    }
    return 0;
}

/* Keep what the nodes of a run put in the queue, all of it or nothing. */
static int record(struct network *network, struct error *error)
{
    const struct queue *queue = network->backend->queue;
    const char *why = queue->record_begin();
    if (why)
        return error_set(error, "recording a run: %s", why);
    int status = run_nodes(network, NULL, NULL, NULL, false, error);
    why = queue->record_end(&network->recording);
    if (status && !why) {
        queue->forget(network->recording);
        network->recording = NULL;
    }
    return status || !why ? status : error_set(error, "recording a run: %s", why);
}

/* Put the nodes of a run in the queue: the first time, and to measure, one by one; then all at once
 * as a recording, where one can be made. In training the host's part of `prepare` runs with every
 * node. */
static int queue_nodes(struct network *network, double *seconds, struct error *error)
{
    bool waits = seconds || !network->tried;
    if (waits || network->training) {
        network->tried = true;
        return run_nodes(network, NULL, NULL, seconds, waits, error);
    }
    if (!network->recording && !network->unrecorded)
        network->unrecorded = record(network, error) != 0;
    if (network->unrecorded)
        return run_nodes(network, NULL, NULL, NULL, false, error);
    const char *why = network->backend->queue->replay(network->recording);
    return why ? error_set(error, "%s", why) : 0;
}

/* Upload the inputs or download the outputs. */
static int copy_outside(const struct network *network, const void *const *inputs,
                        void *const *outputs, struct error *error)
{
    const struct queue *queue = network->backend->queue;
    for (int v = 0; v < network->graph->values; v++) {
        const struct graph_value *value = &network->graph->value[v];
        size_t bytes = (size_t)tensor_bytes(value->tensor);
        void *place = network->arena + network->plan.value[v];
        const char *why = NULL;
        if (inputs && value->input >= 0)
            why = queue->upload(place, inputs[value->input], bytes);
        if (outputs && value->output >= 0)
            why = queue->download(outputs[value->output], place, bytes);
        if (why)
            return error_set(error, "copying %zu bytes: %s", bytes, why);
    }
    return 0;
}

static int run_queued(struct network *network, const void *const *inputs, void *const *outputs,
                      double *seconds, struct error *error)
{
    if (copy_outside(network, inputs, NULL, error) || queue_nodes(network, seconds, error) ||
        copy_outside(network, NULL, outputs, error))
        return -1;
    const char *why = network->backend->queue->wait();
    return why ? error_set(error, "%s", why) : 0;
}

int network_profile(struct network *network, const void *const *inputs, void *const *outputs,
                    double *seconds, struct error *error)
{
    if (network_prepare(network, error))
        return -1;
    if (network->backend->queue)
        return run_queued(network, inputs, outputs, seconds, error);
    return run_nodes(network, inputs, outputs, seconds, false, error);
}
