#include "lib/core/progress.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double shown_after_seconds = 2;
static const double live_every_seconds = 0.2;
static const double dated_every_seconds = 30;

static volatile sig_atomic_t interrupting_signal;
static bool stdout_watched;
static bool line_open; /* a live line stands on the terminal */

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool stdout_is_pipe(void)
{
    struct stat status;
    return fstat(STDOUT_FILENO, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

/* "4 s", "3:20", "1:02:03" */
static void text_duration(double seconds, char *text, size_t size)
{
    long whole = (long)(seconds + 0.5);
    if (whole < 60)
        snprintf(text, size, "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
    else
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
}

/* "2024-06-01 12:00:00 " */
static void text_date(char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm parts;
    if (!localtime_r(&now, &parts) || strftime(text, size, "%F %T ", &parts) == 0)
        *text = '\0';
}

/* One write, so that lines of the programs of a pipe do not mix. */
static void show(struct progress *progress, double now, bool last)
{
    char start[32] = "\r\033[K", total[32] = "", rate[32], duration[32];
    double elapsed = now - progress->start, per_second = (double)progress->done / elapsed;
    bool countdown = !last && progress->total > 0 && progress->done > 0;
    if (!progress->live)
        text_date(start, sizeof start);
    if (progress->total > 0 && !last)
        snprintf(total, sizeof total, "/%" PRId64, progress->total);
    if (per_second >= 1 || progress->done == 0)
        snprintf(rate, sizeof rate, "%.1f/s", per_second);
    else
        snprintf(rate, sizeof rate, "%.1f s each", 1 / per_second);
    text_duration(countdown ? (double)(progress->total - progress->done) / per_second : elapsed,
                  duration, sizeof duration);
    line_open = progress->live && !last;
    fprintf(stderr, "%s%s: %" PRId64 "%s %s, %s%s%s, %s%s%s", start, progress->program,
            progress->done, total, progress->unit, progress->note, progress->note[0] ? ", " : "",
            rate, duration, countdown ? " left" : "", line_open ? "" : "\n");
    progress->shown = true;
    progress->last = now;
}

void progress_start(struct progress *progress, const char *program, const char *unit, int64_t total,
                    bool silent)
{
    double now = seconds_now();
    *progress = (struct progress){
        .program = program,
        .unit = unit,
        .total = total,
        .start = now,
        .last = now,
        .silent = silent,
        .live = isatty(STDERR_FILENO) && !stdout_is_pipe(),
    };
}

void progress_advance(struct progress *progress, int64_t done)
{
    progress->done += done;
    if (progress->silent)
        return;
    double now = seconds_now();
    double every = progress->live ? live_every_seconds : dated_every_seconds;
    if (now - progress->start >= shown_after_seconds && now - progress->last >= every)
        show(progress, now, false);
}

void progress_finish(struct progress *progress)
{
    if (progress->shown)
        show(progress, seconds_now(), true);
    progress->shown = false;
}

void progress_clear_line(void)
{
    if (line_open)
        fputs("\r\033[K", stderr);
    line_open = false;
}

void progress_interrupt(int number)
{
    interrupting_signal = number;
}

void progress_watch_stdout(void)
{
    stdout_watched = stdout_is_pipe();
}

int progress_signal(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    if (!interrupting_signal && stdout_watched && poll(&out, 1, 0) == 1 && out.revents & POLLERR)
        interrupting_signal = SIGPIPE;
    return interrupting_signal;
}

bool progress_interrupted(void)
{
    return progress_signal() != 0;
}
