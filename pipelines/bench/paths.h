/* The convolutions of a network: which algorithm each shape takes, how fast, how exact. */
#ifndef OCTPIPE_BENCH_PATHS_H
#define OCTPIPE_BENCH_PATHS_H

#include "lib/engine/graph.h"
#include "lib/io/filter.h"

/* Print a row of a Markdown table for each distinct shape of a convolution in the graph, the most
 * expensive first. seconds: what each node takes in a call of the network. The error is that of the
 * shape's first layer by itself, on normal random input, at random outputs, against the same sums
 * in double: rms over rms. Ends the program when memory is out. */
void paths_report(struct filter *filter, const char *network, const struct graph *graph,
                  const double *seconds);

#endif
