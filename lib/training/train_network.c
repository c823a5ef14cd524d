#include "lib/training/train_network.h"

#include "lib/engine/gradient.h"

int train_network_begin(struct builder *b, struct weights *weights, enum dtype activations,
                        struct error *error)
{
    *b = (struct builder){graph_create(activations), weights, error, false};
    return b->graph ? 0 : error_set(error, "out of memory");
}

int train_network_finish(struct network **network, struct builder *b,
                         const struct gradient_seed *seeds, int count,
                         const struct backend *backend, struct train_memory memory)
{
    struct gradient_request request = {.seed = seeds, .seeds = count};
    int64_t left = memory.allowed ? memory.allowed - memory.taken : 0;
    if (memory.allowed && left <= 0)
        layer_fail(b, "parameters, optimizer and batches need %.1f MiB, --memory allows %.1f MiB",
                   (double)memory.taken / (1 << 20), (double)memory.allowed / (1 << 20));
    if (b->failed || graph_differentiate(b->graph, &request, NULL, b->error)) {
        graph_destroy(b->graph);
        return -1;
    }
    if (!network_create_training(network, b->graph, backend, left, b->error))
        return 0;
    return left ? error_prefix(b->error, "beside %.1f MiB of parameters, optimizer and batches",
                               (double)memory.taken / (1 << 20))
                : -1;
}
