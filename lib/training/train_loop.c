#include "lib/training/train_loop.h"

#include "lib/core/progress.h"
#include "lib/io/png.h"
#include "lib/training/train_log.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMN_SECONDS, COLUMN_RATE, COLUMN_NORM, COLUMN_MEASURES };
enum { NUMBER_SECONDS = 2 }; /* in state.number: time spent in steps so far */

struct loop {
    struct filter *filter;
    const struct train_options *options;
    const struct trainer *trainer;
    struct weights *weights;
    const char *run;
    int measures; /* columns of the log */
    struct training_state state;
    struct train_log log;
    struct progress progress;
    char checkpoint[PATH_MAX], table[PATH_MAX], picture[PATH_MAX];
    double start, saved; /* seconds */
    int64_t saved_step;  /* of the checkpoint; −1: there is none */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* The files of a run stand beside -o: refiner.safetensors, refiner.checkpoint, refiner.tsv. */
static void name_files(struct loop *l)
{
    static const char ending[] = ".safetensors";
    const char *output = filter_settings.output;
    if (!strcmp(output, "-"))
        filter_fail(l->filter, "-o -: weights and what stands beside them need a file's name");
    size_t length = strlen(output), tail = sizeof ending - 1;
    if (length > tail && !strcmp(output + length - tail, ending))
        length -= tail;
    if (length + sizeof ".checkpoint" > sizeof l->checkpoint)
        filter_fail(l->filter, "%s: the name is too long", output);
    snprintf(l->checkpoint, sizeof l->checkpoint, "%.*s.checkpoint", (int)length, output);
    snprintf(l->table, sizeof l->table, "%.*s.tsv", (int)length, output);
    snprintf(l->picture, sizeof l->picture, "%.*s.png", (int)length, output);
}

static void check(struct loop *l, int status)
{
    filter_check_output(l->filter, status);
}

/* Optimizers and averages, from the checkpoint where there is one. */
static void make_state(struct loop *l)
{
    const struct train_options *o = l->options;
    const struct adamw_settings settings = {0.9, o->beta2, 1e-8, o->decay, o->clip};
    struct error *error = &l->filter->error;
    struct training_state *s = &l->state;
    for (; s->sets < STATE_SETS && l->trainer->parameters[s->sets]; s->sets++) {
        s->parameters[s->sets] = l->trainer->parameters[s->sets];
        check(l, adamw_create(&s->adamw[s->sets], s->parameters[s->sets], &settings, error));
    }
    if (o->ema > 0.0)
        check(l, ema_create(&s->ema, s->parameters[0], o->ema, error));
    int loaded = state_load(s, l->run, l->checkpoint, error);
    check(l, loaded);
    l->saved_step = loaded ? s->step : -1;
    if (loaded)
        filter_note(l->filter, "continues after step %" PRId64, s->step);
}

static void check_memory(struct loop *l)
{
    int64_t state = 0, total;
    double mib = 1 << 20;
    for (int i = 0; i < l->state.sets; i++)
        state += state_bytes(l->state.parameters[i], l->state.ema.parameters && i == 0);
    total = state + l->trainer->bytes;
    filter_detail(l->filter, "plan: %.1f MiB = parameters and optimizer %.1f + networks %.1f",
                  (double)total / mib, (double)state / mib, (double)l->trainer->bytes / mib);
    if (l->options->memory && total > l->options->memory)
        filter_fail(l->filter, "the plan needs %.1f MiB, --memory allows %.1f MiB",
                    (double)total / mib, (double)l->options->memory / mib);
}

static void open_log(struct loop *l)
{
    const char *names[TRAIN_LOG_COLUMNS + 1] = {"seconds", "learning_rate", "gradient_norm"};
    int count = COLUMN_MEASURES;
    for (const char *const *measure = l->trainer->measures; *measure; measure++)
        names[count++] = *measure;
    l->measures = count - COLUMN_MEASURES;
    for (const char *const *loss = l->trainer->losses; *loss; loss++)
        names[count++] = *loss;
    check(l, train_log_open(&l->log, l->table, names, l->state.step, &l->filter->error));
}

static void write_weights(struct loop *l)
{
    char step[24];
    snprintf(step, sizeof step, "%" PRId64, l->state.step);
    check(l, weights_declare_metadata(l->weights, "steps", step)
                 ? error_set(&l->filter->error, "too much metadata")
                 : 0);
    check(l, state_write_weights(&l->state, l->weights, filter_settings.output, &l->filter->error));
}

/* A signal that asked to stop has done so; what goes wrong from here on is said. A second one ends
 * the program and leaves the last checkpoint. */
static void save(struct loop *l)
{
    int signal = progress_signal();
    progress_interrupt(0);
    if (l->saved_step != l->state.step) {
        check(l, state_save(&l->state, l->run, l->checkpoint, &l->filter->error));
        l->saved_step = l->state.step;
    }
    write_weights(l);
    l->saved = now();
    if (signal)
        progress_interrupt(signal);
}

static void validate(struct loop *l)
{
    struct error *error = &l->filter->error;
    struct picture picture;
    double measures[TRAINER_MEASURES];
    if (!l->trainer->validate)
        return;
    ema_swap(&l->state.ema);
    int status = l->trainer->validate(l->trainer->context, measures, error);
    if (!status)
        status = l->trainer->draw(l->trainer->context, &picture, error);
    ema_swap(&l->state.ema);
    if (status && progress_interrupted())
        return;
    check(l, status);
    check(l, png_write(l->picture, &picture, error));
    picture_free(&picture);
    for (int i = 0; i < l->measures; i++) {
        train_log_add(&l->log, COLUMN_MEASURES + i, measures[i]);
        filter_detail(l->filter, "step %" PRId64 ": %s %.5g", l->state.step,
                      l->trainer->measures[i], measures[i]);
    }
}

/* What the progress line says beside its own count, which begins where this call did. */
static void describe(struct loop *l, double loss)
{
    double minutes = l->options->minutes - (now() - l->start) / 60.0;
    char *text = l->progress.note;
    int room = sizeof l->progress.note, used = 0;
    if (l->progress.done + 1 != l->state.step)
        used = snprintf(text, (size_t)room, "step %" PRId64 ", ", l->state.step);
    used += snprintf(text + used, (size_t)(room - used), "loss %.4g", loss);
    if (l->options->minutes > 0.0)
        snprintf(text + used, (size_t)(room - used), ", %.0f min left", fmax(minutes, 0.0));
}

static void step(struct loop *l)
{
    double losses[TRAINER_LOSSES], norm, begun = now();
    const struct train_options *o = l->options;
    struct training_state *s = &l->state;
    double rate = adamw_warm_up(o->rate, o->warm_up, s->adamw[0].updates);
    if (train_step(s, l->trainer, o, losses, &norm, &l->filter->error)) {
        if (l->saved_step < 0)
            filter_fail(l->filter, "%s; nothing was saved before", l->filter->error.text);
        filter_fail(l->filter, "%s; %s and %s are of step %" PRId64, l->filter->error.text,
                    filter_settings.output, l->checkpoint, l->saved_step);
    }
    s->number[NUMBER_SECONDS] += now() - begun;
    train_log_add(&l->log, COLUMN_RATE, rate);
    train_log_add(&l->log, COLUMN_NORM, norm);
    for (int i = 0; l->trainer->losses[i]; i++)
        train_log_add(&l->log, COLUMN_MEASURES + l->measures + i, losses[i]);
    describe(l, losses[0]);
    progress_advance(&l->progress, 1);
}

/* After a step: what is due. */
static void follow(struct loop *l, bool last)
{
    int64_t done = l->state.step;
    bool validates = last || done % l->options->validate_every == 0;
    bool saves = last || now() - l->saved >= 60.0 * l->options->checkpoint_minutes;
    if (validates && !progress_interrupted())
        validate(l);
    if (validates || saves || done % l->options->log_every == 0) {
        train_log_add(&l->log, COLUMN_SECONDS, l->state.number[NUMBER_SECONDS]);
        check(l, train_log_row(&l->log, done, &l->filter->error));
    }
    if (saves)
        save(l);
}

static bool is_over(const struct loop *l)
{
    const struct train_options *o = l->options;
    return progress_interrupted() || (o->steps && l->state.step >= o->steps) ||
           (o->minutes > 0.0 && now() - l->start >= 60.0 * o->minutes);
}

void train_run(struct filter *filter, const struct train_options *options, struct weights *weights,
               const struct trainer *trainer, const char *run)
{
    struct loop l = {
        .filter = filter, .options = options, .trainer = trainer, .weights = weights, .run = run};
    name_files(&l);
    make_state(&l);
    check_memory(&l);
    open_log(&l);
    filter_defer_signals();
    l.start = l.saved = now();
    int64_t left = options->steps > l.state.step ? options->steps - l.state.step : 0;
    progress_start(&l.progress, filter->program->name, "steps", left, filter_settings.quiet);
    bool over = is_over(&l);
    if (over)
        save(&l);
    while (!over) {
        step(&l);
        over = is_over(&l);
        follow(&l, over);
    }
    progress_finish(&l.progress);
    train_log_close(&l.log);
    filter_note(filter, "%s and %s are of step %" PRId64, filter_settings.output, l.checkpoint,
                l.state.step);
    state_destroy(&l.state);
    if (progress_interrupted())
        filter_fail(filter, "stopped by a signal");
}
