#include "lib/engine/plan.h"
#include "lib/engine/recompute.h"

#include <math.h>
#include <stdlib.h>

/* A search among graphs that make some of their segments again. */
struct search {
    const struct graph *graph;
    const struct needs *needs;
    const int *in_place;
    int64_t memory;
    int64_t least;      /* the smallest plan so far */
    struct graph *best; /* of those that fit */
    double flops;       /* of one run of the best */
};

/* Bytes of the plan of a graph made from search->graph; −1 on an error. */
static int64_t plan_bytes(const struct search *s, const struct graph *graph, const int *origin,
                          struct error *error)
{
    size_t nodes = (size_t)graph->nodes;
    struct needs *needs = calloc(nodes, sizeof *needs);
    int *in_place = calloc(nodes, sizeof *in_place);
    struct plan plan;
    int64_t bytes = -1;
    for (size_t i = 0; needs && in_place && i < nodes; i++) {
        needs[i] = s->needs[origin[i]];
        in_place[i] = s->in_place[origin[i]];
    }
    if (!needs || !in_place) {
        error_set(error, "out of memory");
    } else if (!plan_create(&plan, graph, needs, in_place, error)) {
        bytes = plan.arena;
        plan_destroy(&plan);
    }
    free(needs);
    free(in_place);
    return bytes;
}

/* Make the first `again` segments again. Returns 1 where the plan fits, 0 where it does not, −1 on
 * an error. */
static int try(struct search *s, const int *cut, int again, struct error *error)
{
    int *origin;
    struct graph *graph = recompute_graph(s->graph, cut, again, &origin, error);
    int64_t bytes = graph ? plan_bytes(s, graph, origin, error) : -1;
    double flops = graph ? graph_flops(graph) : 0.0;
    if (graph)
        free(origin);
    if (bytes >= 0 && (s->least < 0 || bytes < s->least))
        s->least = bytes;
    if (bytes >= 0 && bytes <= s->memory && flops < s->flops) {
        graph_destroy(s->best);
        s->best = graph;
        s->flops = flops;
        return 1;
    }
    graph_destroy(graph);
    return bytes < 0 ? -1 : bytes <= s->memory;
}

/* The last segment's gradients come first, so its values need not be made again. */
static int search_segments(struct search *s, int segments, struct error *error)
{
    int cut[RECOMPUTE_SEGMENTS + 1];
    int count = recompute_cut(s->graph, segments, cut), fits = 0;
    if (count < 0)
        return error_set(error, "out of memory");
    for (int again = 1; again < count && !fits; again++)
        fits = try(s, cut, again, error);
    return fits < 0 ? -1 : 0;
}

struct graph *recompute_fit(const struct graph *graph, const struct needs *needs,
                            const int *in_place, int64_t memory, struct error *error)
{
    static const int segments[] = {2, 3, 4, 6, 8, 12, 16, 24, RECOMPUTE_SEGMENTS};
    struct search s = {graph, needs, in_place, memory, -1, NULL, INFINITY};
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++)
        if (search_segments(&s, segments[i], error)) {
            graph_destroy(s.best);
            return NULL;
        }
    if (!s.best)
        error_set(error, "training needs at least %.1f MiB, %.1f MiB are allowed",
                  (double)s.least / (1 << 20), (double)memory / (1 << 20));
    return s.best;
}
