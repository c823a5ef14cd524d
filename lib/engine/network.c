#include "lib/engine/network_parts.h"
#include "lib/engine/recompute.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct kernel *network_kernel(const struct network *network, int node)
{
    return network->backend->kernel[network->graph->node[node].operation.kind];
}

/* What the plan needs, in words. */
static void describe_plan(const struct network *network, char *text, size_t size)
{
    double mib = 1 << 20;
    snprintf(
        text, size,
        "out of memory: the plan needs %.1f MiB (weights %.1f, arena %.1f); --memory bounds it",
        (double)network->memory.total / mib, (double)network->memory.weights / mib,
        (double)network->memory.activations / mib);
}

int network_node_error(const struct network *network, int node, const char *why,
                       struct error *error)
{
    const struct graph_node *n = &network->graph->node[node];
    struct shape s = n->operation.input[0].shape;
    char plan[160];
    if (network->arena && !strcmp(why, "out of memory")) {
        describe_plan(network, plan, sizeof plan);
        why = plan;
    }
    return error_set(error, "%s (%lld×%lld×%lld×%lld×%lld): %s", n->name, (long long)s.n,
                     (long long)s.d, (long long)s.h, (long long)s.w, (long long)s.c, why);
}

/* The states of all nodes, and what they need. */
static int create_states(struct network *network, struct error *error)
{
    for (int i = 0; i < network->graph->nodes; i++) {
        const struct kernel *kernel = network_kernel(network, i);
        const char *why =
            !kernel ? "the backend lacks this operation"
                    : kernel->create(&network->graph->node[i].operation, &network->state[i],
                                     &network->needs[i], &network->in_place[i]);
        if (why)
            return network_node_error(network, i, why, error);
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
    network->outside = end;
    for (int v = 0; network->backend->queue && v < network->graph->values; v++)
        if (network->plan.value[v] < 0) {
            network->plan.value[v] = end;
            end += aligned((size_t)tensor_bytes(network->graph->value[v].tensor));
        }
    network->outside_bytes = end - network->outside;
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
        n->calls = 1;
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
            network_kernel(network, i)->destroy(network->state[i]);
    if (network->recording)
        network->backend->queue->forget(network->recording);
    for (int i = 0; i < NETWORK_CALLS; i++)
        if (network->mark[i])
            network->backend->queue->unmark(network->mark[i]);
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

int network_overlap(struct network *network)
{
    struct network_memory *memory = &network->memory;
    if (!network->backend->queue || network->arena || network->training)
        return network->calls;
    int64_t arena = network->outside + NETWORK_CALLS * network->outside_bytes;
    if (memory->activations < arena)
        memory->activations = arena;
    memory->total = memory->weights + memory->activations;
    network->calls = NETWORK_CALLS;
    return network->calls;
}

static char *allocate(const struct network *network, int64_t bytes)
{
    return network->backend->allocate(held(bytes));
}

static int out_of_memory(const struct network *network, struct error *error)
{
    char plan[160];
    describe_plan(network, plan, sizeof plan);
    return error_set(error, "%s", plan);
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
        const char *why = network_kernel(network, i)
                              ->prepare(network->state[i], operation,
                                        network->weights + network->prepared[i], network->arena);
        if (!why && network->backend->queue)
            why = network->backend->queue->wait();
        if (why)
            return network_node_error(network, i, why, error);
        for (int k = 0; k < operation->weights; k++)
            drop_pages(&operation->weight[k]);
    }
    return 0;
}
