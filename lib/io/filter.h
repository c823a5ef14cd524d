/* The frame of a filter: parse → open → loop → finish, with one message and one exit code.
 *
 * This is the only part of lib that prints and exits: on an error it writes
 * "prog: input: reason" to stderr, removes what was being written and exits 2. Common manners live
 * here: signals (remove the partial output, stop), SIGPIPE, threads, -h, the passive wait of
 * OpenMP threads, never a tensor to a terminal. */
#ifndef OCTPIPE_IO_FILTER_H
#define OCTPIPE_IO_FILTER_H

#include "kernels/operation.h"
#include "lib/core/options.h"
#include "lib/io/stream.h"

/* The options that all filters share. A filter's table ends with FILTER_OPTIONS (every filter),
 * or NETWORK_OPTIONS (filters that run a network; includes FILTER_OPTIONS), then {0}.
 * FILTER_MANNERS and DEVICE_OPTIONS are for tables with a --output or --weights of their own,
 * DEVICE_OPTION for networks that compute in fp32 whatever they are asked,
 * SLICE_MEMORY_OPTION and QUIET_OPTION for programs that hold a slice and nothing else. */
struct filter_settings {
    const char *output; /* -o, NULL: stdout */
    bool quiet, verbose;
    int64_t threads;    /* 0: all the processor has */
    int64_t memory;     /* bytes, 0: no bound */
    int precision;      /* index into filter_precisions */
    const char *device; /* auto, cpu, cuda or cuda:N */
    const char *weights;
    bool ema;
};
extern struct filter_settings filter_settings;
extern const char *const filter_devices[];    /* without a number */
extern const char *const filter_precisions[]; /* auto, fp32, bf16 */

/* clang-format off */
#define FILTER_OPTIONS                                                                             \
    {.name = "output", .letter = 'o', .type = OPTION_STRING, .target = &filter_settings.output,    \
     .argument = "FILE", .unset = "stdout", .no_result = true, .meaning = "where to write"},       \
    FILTER_MANNERS
#define FILTER_MANNERS                                                                             \
    {.name = "threads", .type = OPTION_INT, .target = &filter_settings.threads, .argument = "N",   \
     .low = 0, .high = 1024, .unset = "all cores", .no_result = true,                              \
     .meaning = "number of threads"},                                                              \
    {.name = "memory", .type = OPTION_BYTES, .target = &filter_settings.memory,                    \
     .argument = "BYTES", .unset = "no bound", .no_result = true,                                  \
     .meaning = "the most memory to plan for, such as 4G or 1234.5M; what needs more is refused"}, \
    {.name = "verbose", .letter = 'v', .type = OPTION_FLAG, .target = &filter_settings.verbose,    \
     .no_result = true, .meaning = "say what is done, and the memory plan"},                       \
    QUIET_OPTION
#define QUIET_OPTION                                                                               \
    {.name = "quiet", .letter = 'q', .type = OPTION_FLAG, .target = &filter_settings.quiet,        \
     .no_result = true, .meaning = "no progress, no notes"}
#define SLICE_MEMORY_OPTION                                                                        \
    {.name = "memory", .type = OPTION_BYTES, .target = &filter_settings.memory,                    \
     .argument = "BYTES", .unset = "half of the machine's", .no_result = true,                     \
     .meaning = "refuse slices longer than this"}

#define NETWORK_OPTIONS                                                                            \
    {.name = "weights", .letter = 'w', .type = OPTION_STRING, .target = &filter_settings.weights,  \
     .argument = "FILE", .required = true, .meaning = "safetensors file with the weights"},        \
    {.name = "ema", .type = OPTION_FLAG, .target = &filter_settings.ema,                           \
     .meaning = "use the averaged (EMA) weights of the file"},                                     \
    DEVICE_OPTIONS,                                                                                \
    FILTER_OPTIONS
#define DEVICE_OPTIONS                                                                             \
    DEVICE_OPTION,                                                                                 \
    {.name = "precision", .type = OPTION_CHOICE, .target = &filter_settings.precision,             \
     .choices = filter_precisions,                                                                 \
     .meaning = "type of activations and products; auto is fp32 on a CPU, bf16 on a GPU"}
#define DEVICE_OPTION                                                                              \
    {.name = "device", .type = OPTION_STRING, .target = &filter_settings.device,                   \
     .argument = "auto|cpu|cuda[:N]", .choices = filter_devices, .no_result = true,                \
     .meaning = "where to compute; auto is the CPU; cuda is written against cuDNN's "              \
                "documentation and has never run on a device yet"}
/* clang-format on */

struct filter {
    const struct program *program;
    int files; /* operands */
    char **file;
    struct stream_reader *input;
    struct stream_writer *output;
    const struct backend *backend; /* of --device; the CPU without that option */
    struct error error;            /* where filters let library calls put their reason */
    char *command_line;            /* for the history */
};

/* Parse, set the manners up, remember the operands. Exits for --help and for bad options. */
void filter_start(struct filter *filter, const struct program *program, int argc, char **argv);

/* Open the operands (or stdin) as the input stream; open -o (or stdout) as the output stream.
 * filter_next and filter_begin call them when needed. */
void filter_open_input(struct filter *filter);
void filter_open_output(struct filter *filter);

/* From now on the first SIGINT or SIGTERM only sets progress_interrupted, so that a training step
 * can finish and be saved; the second one ends the program. */
void filter_defer_signals(void);

/* The next input array, false at the end. */
bool filter_next(struct filter *filter, struct array *array);
void filter_read(struct filter *filter, void *data, int64_t slices);
void filter_read_f32(struct filter *filter, float *data, int64_t slices);

/* Begin an output array (marked, with this program's history entry added to the array's), write,
 * end. */
void filter_begin(struct filter *filter, const struct array *array);
void filter_write(struct filter *filter, const void *data, int64_t slices);
void filter_end(struct filter *filter);

/* Close everything; returns the exit code 0 for main. */
int filter_finish(struct filter *filter);

/* "prog: input: reason", clean up, exit 2. filter_check does so when status is negative, with
 * filter->error as the reason, and returns status; filter_check_output does not name the input,
 * because writers' reasons name the output. All end by the signal where one interrupted the
 * work. filter_allocate never returns NULL; the memory is zeroed, and free releases it. */
void filter_fail(struct filter *filter, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
int filter_check(struct filter *filter, int status);
void filter_check_output(struct filter *filter, int status);
void *filter_allocate(struct filter *filter, int64_t count, int64_t size);

/* The name of the file for array `index` of several: --output with its number (numbered.h), or as it
 * is for a lone array. free releases it. */
char *filter_output_name(struct filter *filter, int64_t index, bool several);

/* A note on stderr, "prog: text", unless -q; filter_detail only with -v. */
void filter_note(struct filter *filter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void filter_detail(struct filter *filter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Refuse an input that is not a (D,C,H,W) latent, or not a (D,H,W) volume, with both shapes
 * said. channels 0: any. */
void filter_expect_latent(struct filter *filter, const struct array *array, int64_t channels);
void filter_expect_volume(struct filter *filter, const struct array *array);

#endif
