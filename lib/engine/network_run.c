#include "lib/engine/network_parts.h"

#include <time.h>

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
    const struct kernel *kernel = network_kernel(network, i);
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
            return network_node_error(network, i, why, error);
        if (seconds)
            seconds[i] = now() - start;
    }
    return 0;
}

/* The trouble of a whole run, whose node is not known: "N operations from " and what the first one
 * says. */
static int queue_error(const struct network *network, const char *why, struct error *error)
{
    struct error first;
    network_node_error(network, 0, why, &first);
    return error_set(error, "%d operations from %s", network->graph->nodes, first.text);
}

/* The trouble of a copy, which can be that of a run under way. */
static int copy_error(const struct network *network, const char *direction, const char *why,
                      struct error *error)
{
    struct error run;
    queue_error(network, why, &run);
    return error_set(error, "copying %s the device, %s", direction, run.text);
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
    return why ? queue_error(network, why, error) : 0;
}

/* Between the caller's memory and the places of inputs or outputs, those `beside` or their own; the
 * ones that are not meant are NULL. */
static const char *copy_outside(const struct network *network, enum lane lane, int64_t beside,
                                const void *const *inputs, void *const *outputs)
{
    const struct queue *queue = network->backend->queue;
    const char *why = NULL;
    for (int v = 0; v < network->graph->values && !why; v++) {
        const struct graph_value *value = &network->graph->value[v];
        size_t bytes = (size_t)tensor_bytes(value->tensor);
        char *place = network->arena + network->plan.value[v] + beside;
        if (inputs && value->input >= 0)
            why = queue->copy(lane, place, inputs[value->input], bytes);
        if (outputs && value->output >= 0)
            why = queue->copy(lane, outputs[value->output], place, bytes);
    }
    return why;
}

/* Between the places of inputs or outputs and those beside, in the order of the work. */
static const char *copy_beside(const struct network *network, bool inputs)
{
    const char *why = NULL;
    for (int v = 0; v < network->graph->values && !why; v++) {
        const struct graph_value *value = &network->graph->value[v];
        char *place = network->arena + network->plan.value[v];
        char *beside = place + network->outside_bytes;
        if ((inputs ? value->input : value->output) >= 0)
            why = network->backend->queue->copy(LANE_WORK, inputs ? place : beside,
                                                inputs ? beside : place,
                                                (size_t)tensor_bytes(value->tensor));
    }
    return why;
}

/* The inputs come while earlier calls work, and are in their places before this one does; only then
 * may the next ones come. */
static const char *copy_in(const struct network *network, const void *const *inputs)
{
    const struct queue *queue = network->backend->queue;
    if (network->calls == 1)
        return copy_outside(network, LANE_WORK, 0, inputs, NULL);
    const char *why = copy_outside(network, LANE_IN, network->outside_bytes, inputs, NULL);
    if (!why)
        why = queue->follow(LANE_WORK, LANE_IN);
    if (!why)
        why = copy_beside(network, true);
    return why ? why : queue->follow(LANE_IN, LANE_WORK);
}

/* The outputs leave while later calls work, and after those before them have left. */
static const char *copy_out(const struct network *network, void *const *outputs)
{
    const struct queue *queue = network->backend->queue;
    if (network->calls == 1)
        return copy_outside(network, LANE_WORK, 0, NULL, outputs);
    const char *why = queue->follow(LANE_WORK, LANE_OUT);
    if (!why)
        why = copy_beside(network, false);
    if (!why)
        why = queue->follow(LANE_OUT, LANE_WORK);
    return why ? why : copy_outside(network, LANE_OUT, network->outside_bytes, NULL, outputs);
}

static int start_queued(struct network *network, const void *const *inputs, void *const *outputs,
                        double *seconds, struct error *error)
{
    int call = (network->oldest + network->started) % NETWORK_CALLS;
    const char *why = copy_in(network, inputs);
    if (why)
        return copy_error(network, "to", why, error);
    if (queue_nodes(network, seconds, error))
        return -1;
    why = copy_out(network, outputs);
    if (!why && network->calls > 1)
        why = network->backend->queue->mark(&network->mark[call]);
    return why ? copy_error(network, "from", why, error) : 0;
}

static int start(struct network *network, const void *const *inputs, void *const *outputs,
                 double *seconds, struct error *error)
{
    if (network->started == network->calls)
        return error_set(error, "too many calls are under way");
    if (network_prepare(network, error))
        return -1;
    if (network->backend->queue ? start_queued(network, inputs, outputs, seconds, error)
                                : run_nodes(network, inputs, outputs, seconds, false, error))
        return -1;
    network->started++;
    return 0;
}

int network_start(struct network *network, const void *const *inputs, void *const *outputs,
                  struct error *error)
{
    return start(network, inputs, outputs, NULL, error);
}

int network_finish(struct network *network, struct error *error)
{
    const struct queue *queue = network->backend->queue;
    const char *why = NULL;
    if (queue)
        why = network->calls > 1 ? queue->await(network->mark[network->oldest]) : queue->wait();
    network->oldest = (network->oldest + 1) % NETWORK_CALLS;
    network->started--;
    return why ? queue_error(network, why, error) : 0;
}

int network_profile(struct network *network, const void *const *inputs, void *const *outputs,
                    double *seconds, struct error *error)
{
    if (network->started)
        return error_set(error, "calls are under way");
    return start(network, inputs, outputs, seconds, error) ? -1 : network_finish(network, error);
}

int network_run(struct network *network, const void *const *inputs, void *const *outputs,
                struct error *error)
{
    return network_profile(network, inputs, outputs, NULL, error);
}
