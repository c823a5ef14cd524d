/* Timing a network on random input, and what memory it takes. */
#ifndef OCTPIPE_BENCH_MEASURE_H
#define OCTPIPE_BENCH_MEASURE_H

#include "lib/engine/network.h"
#include "lib/io/filter.h"

/* How often: `repetitions`, 0: as many as fit `seconds`, at least one. */
struct measure_effort {
    int64_t repetitions;
    double seconds;
};

/* The seconds of each node in the fastest call, after one that packs the weights and touches all
 * memory, and of that call: their sum, or on a backend with a queue, where a node is waited for
 * only to be measured, those of the fastest call without. Maps that go in are normals; a lone
 * timestep is 500, of several numbers number i is i. Ends the program on an error. */
double measure_network(struct filter *filter, struct network *network, struct measure_effort effort,
                       double *best);

/* The sum of count numbers. */
double measure_sum(const double *seconds, int count);

/* MiB: what the plan holds, inputs and outputs included; the peak of the process (VmHWM). */
double measure_plan(const struct network *network);
double measure_peak(void);

#endif
