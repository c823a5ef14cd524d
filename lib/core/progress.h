/* Progress on stderr for work over two seconds: rate and time left. A live line when stderr is a
 * terminal and stdout is not a pipe to another program, else a dated line every 30 seconds. */
#ifndef OCTPIPE_CORE_PROGRESS_H
#define OCTPIPE_CORE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *program, *unit; /* "steps", "slices" */
    int64_t total, done;
    double start, last;
    char note[64]; /* shown beside the count: "loss 0.123"; may be set at any time */
    bool silent, live, shown;
};

void progress_start(struct progress *progress, const char *program, const char *unit, int64_t total,
                    bool silent);
void progress_advance(struct progress *progress, int64_t done); /* done since the last call */
void progress_finish(struct progress *progress);

/* Take a live line off the terminal, before a message is written. */
void progress_clear_line(void);

/* True once SIGINT or SIGTERM arrived, or the reader of stdout went away; samplers look at it
 * between steps and return an error. */
bool progress_interrupted(void);

/* The signal behind progress_interrupted: SIGINT, SIGTERM, SIGPIPE, or 0. */
int progress_signal(void);

/* For the frame of the filters: a signal arrived (async-signal-safe); stdout is the output, so its
 * reader matters. */
void progress_interrupt(int number);
void progress_watch_stdout(void);

#endif
