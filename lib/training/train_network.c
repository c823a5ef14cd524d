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
                         const struct stage_settings *settings, int64_t taken)
{
    struct gradient_request request = {.seed = seeds, .seeds = count};
    int64_t left = settings->memory ? settings->memory - taken : 0;
    if (settings->memory && left <= 0)
        layer_fail(b, "parameters, optimizer and batches need %.1f MiB, --memory allows %.1f MiB",
                   (double)taken / (1 << 20), (double)settings->memory / (1 << 20));
    if (b->failed || graph_differentiate(b->graph, &request, NULL, b->error)) {
        graph_destroy(b->graph);
        return -1;
    }
    if (!network_create_training(network, b->graph, settings->backend, left, b->error))
        return 0;
    return left ? error_prefix(b->error, "beside %.1f MiB of parameters, optimizer and batches",
                               (double)taken / (1 << 20))
                : -1;
}
