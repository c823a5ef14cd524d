#include "lib/io/filter.h"

#include "lib/core/progress.h"
#include "lib/engine/device.h"
#include "lib/io/numbered.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <omp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_TROUBLE = 2 };

struct filter_settings filter_settings = {.device = "auto"};
const char *const filter_devices[] = {"auto", "cpu", "cuda", NULL};
const char *const filter_precisions[] = {"auto", "fp32", "bf16", NULL};

static volatile sig_atomic_t signals_deferred;

/* Ends by the signal, so that a shell sees what happened. */
static void end_by_signal(int number)
{
    stream_writers_discard();
    signal(number, SIG_DFL);
    raise(number);
}

static void on_signal(int number)
{
    if (signals_deferred) {
        signals_deferred = false;
        progress_interrupt(number);
    } else {
        end_by_signal(number);
    }
}

/* A signal that the caller ignores (nohup, a shell's background job) stays ignored. */
static void catch_signal(int number)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void filter_defer_signals(void)
{
    signals_deferred = true;
}

/* The one way out for trouble: "prog: input: reason". No exit handlers: there is nothing left to
 * do, and the data of what failed may be half made. */
static void __attribute__((noreturn))
end(struct filter *filter, const char *input, const char *reason)
{
    if (progress_signal())
        end_by_signal(progress_signal());
    progress_clear_line();
    fprintf(stderr, "%s: %s%s%s\n", filter->program->name, input ? input : "", input ? ": " : "",
            reason);
    fflush(stdout);
    stream_writer_abort(filter->output);
    stream_writers_discard();
    _exit(EXIT_TROUBLE);
}

static const char *input_name(const struct filter *filter)
{
    return filter->input ? stream_reader_name(filter->input) : NULL;
}

void filter_fail(struct filter *filter, const char *format, ...)
{
    char reason[sizeof filter->error.text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    end(filter, input_name(filter), reason);
}

int filter_check(struct filter *filter, int status)
{
    if (status < 0)
        end(filter, input_name(filter), filter->error.text);
    return status;
}

void filter_check_output(struct filter *filter, int status)
{
    if (status < 0)
        end(filter, NULL, filter->error.text);
}

void *filter_allocate(struct filter *filter, int64_t count, int64_t size)
{
    int64_t bytes;
    if (count < 0 || size < 0 || __builtin_mul_overflow(count, size, &bytes))
        filter_fail(filter, "absurd size: %" PRId64 " times %" PRId64 " bytes", count, size);
    void *memory = calloc((size_t)bytes + (bytes == 0), 1);
    if (!memory)
        filter_fail(filter, "out of memory: %" PRId64 " bytes", bytes);
    return memory;
}

static void __attribute__((format(printf, 2, 0)))
note(const struct filter *filter, const char *format, va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    progress_clear_line();
    fprintf(stderr, "%s: %s\n", filter->program->name, text);
}

char *filter_output_name(struct filter *filter, int64_t index, bool several)
{
    char *name;
    filter_check_output(
        filter, numbered_name(&name, filter_settings.output, index, several, &filter->error));
    return name;
}

void filter_note(struct filter *filter, const char *format, ...)
{
    if (filter_settings.quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    note(filter, format, arguments);
    va_end(arguments);
}

void filter_detail(struct filter *filter, const char *format, ...)
{
    if (!filter_settings.verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    note(filter, format, arguments);
    va_end(arguments);
}

static bool is_pipe(int descriptor)
{
    struct stat status;
    return !fstat(descriptor, &status) && S_ISFIFO(status.st_mode);
}

/* Filters of one pipe share the cores, so threads sleep while they wait; outside a pipe they look
 * for work some 50 µs more, less than waking takes, before they sleep. OpenMP's runtime reads its
 * policy when it is loaded, before main: set it and start over, under the program's own path so
 * that ps and kill know its name. Without /proc go on as it is. */
static void wait_passively(char **argv)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0 || setenv("OMP_WAIT_POLICY", "passive", false))
        return;
    if (!is_pipe(STDIN_FILENO) && !is_pipe(STDOUT_FILENO))
        setenv("GOMP_SPINCOUNT", "3000", false);
    path[length] = 0;
    execv(path, argv);
}

static bool takes(const struct program *program, const void *target)
{
    for (const struct option *option = program->options; option->name; option++)
        if (option->target == target)
            return true;
    return false;
}

static void choose_device(struct filter *filter)
{
    filter->backend = backend_cpu();
    if (!takes(filter->program, &filter_settings.device))
        return;
    filter->backend = device_open(filter_settings.device, &filter->error);
    if (!filter->backend)
        filter_fail(filter, "%s", filter->error.text);
    filter_detail(filter, "device: %s, %s", filter->backend->name, filter->backend->device);
}

/* Text on stdout counts only when all of it arrived. A stdout that is closed already, by a writer
 * or by the caller, is no trouble when nothing is left for it. */
static void close_stdout(struct filter *filter)
{
    if (fflush(stdout) != 0 || ferror(stdout) || (close(STDOUT_FILENO) != 0 && errno != EBADF))
        filter_check_output(filter, error_set(&filter->error, "stdout: %s", strerror(errno)));
}

void filter_start(struct filter *filter, const struct program *program, int argc, char **argv)
{
    *filter = (struct filter){.program = program};
    signal(SIGPIPE, SIG_DFL);
    if (options_answer(program, argc, argv, stdout)) {
        close_stdout(filter);
        exit(0);
    }
    if (!getenv("OMP_WAIT_POLICY"))
        wait_passively(argv);

    filter->command_line = options_command_line(program, argc, argv);
    if (!filter->command_line)
        filter_fail(filter, "out of memory");
    if (options_parse(program, argc, argv, &filter->files, &filter->error) < 0)
        filter_fail(filter, "%s; try %s --help", filter->error.text, program->name);
    filter->file = argv + 1;
    choose_device(filter);
    if (filter_settings.threads)
        omp_set_num_threads((int)filter_settings.threads);

    const char *output = filter_settings.output;
    if (program->output && (!output || strcmp(output, "-") == 0)) {
        if (isatty(STDOUT_FILENO))
            filter_fail(filter, "stdout: tensors are not written to a terminal; use -o or a pipe");
        progress_watch_stdout();
    }
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

void filter_open_input(struct filter *filter)
{
    bool from_stdin = filter->files == 0 || strcmp(filter->file[0], "-") == 0;
    if (from_stdin && isatty(STDIN_FILENO))
        filter_fail(filter, "stdin: tensors are not read from a terminal; give a file or a pipe");
    filter_check(filter, stream_reader_open(&filter->input, (const char *const *)filter->file,
                                            filter->files, filter_settings.memory, &filter->error));
    stream_reader_refuse_nan(filter->input, filter_settings.weights != NULL);
}

void filter_open_output(struct filter *filter)
{
    filter_check_output(
        filter, stream_writer_open(&filter->output, filter_settings.output, &filter->error));
}

bool filter_next(struct filter *filter, struct array *array)
{
    if (!filter->input)
        filter_open_input(filter);
    return filter_check(filter, stream_reader_next(filter->input, array, &filter->error)) > 0;
}

void filter_read(struct filter *filter, void *data, int64_t slices)
{
    filter_check(filter, stream_reader_read(filter->input, data, slices, &filter->error));
}

void filter_read_f32(struct filter *filter, float *data, int64_t slices)
{
    filter_check(filter, stream_reader_read_f32(filter->input, data, slices, &filter->error));
}

void filter_begin(struct filter *filter, const struct array *array)
{
    if (!filter->output)
        filter_open_output(filter);
    struct array marked = *array;
    marked.marked = true;
    array_add_history(&marked, filter->command_line);
    filter_check_output(filter, stream_writer_begin(filter->output, &marked, &filter->error));
}

void filter_write(struct filter *filter, const void *data, int64_t slices)
{
    filter_check_output(filter, stream_writer_write(filter->output, data, slices, &filter->error));
}

void filter_end(struct filter *filter)
{
    filter_check_output(filter, stream_writer_end(filter->output, &filter->error));
}

int filter_finish(struct filter *filter)
{
    if (filter->output) {
        struct stream_writer *output = filter->output;
        filter->output = NULL; /* closing frees it, also when it fails */
        filter_check_output(filter, stream_writer_close(output, &filter->error));
    } else {
        close_stdout(filter);
    }
    stream_reader_close(filter->input);
    free(filter->command_line);
    return 0;
}

void filter_expect_latent(struct filter *filter, const struct array *array, int64_t channels)
{
    char found[128], expected[64] = "(D,C,H,W)";
    if (channels)
        snprintf(expected, sizeof expected, "(D,%" PRId64 ",H,W)", channels);
    if (array->rank != 4 || (channels && array->shape[1] != channels) ||
        (array->dtype != DTYPE_F32 && array->dtype != DTYPE_F16 && array->dtype != DTYPE_F64) ||
        (*array->kind && strcmp(array->kind, "latent") != 0))
        filter_fail(filter, "a latent f4 %s is expected, not %s %s", expected,
                    *array->kind ? array->kind : "an array",
                    array_describe(array, found, sizeof found));
}

void filter_expect_volume(struct filter *filter, const struct array *array)
{
    char found[128];
    if (array->rank != 3 ||
        (array->dtype != DTYPE_U8 && array->dtype != DTYPE_F32 && array->dtype != DTYPE_F16 &&
         array->dtype != DTYPE_F64) ||
        (*array->kind && strcmp(array->kind, "volume") != 0))
        filter_fail(filter, "a volume u1 or f4 (D,H,W) is expected, not %s %s",
                    *array->kind ? array->kind : "an array",
                    array_describe(array, found, sizeof found));
}
