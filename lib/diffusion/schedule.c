#include "lib/diffusion/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIMESTEPS_LIMIT = 1000 * 1000, TABLES = 7 };

static const double authors_first_beta = 1e-4, authors_last_beta = 2e-2;
static const double cosine_offset = 0.008, cosine_largest_beta = 0.999;

int parameterization_from_name(const char *name, enum parameterization *parameterization,
                               struct error *error)
{
    static const char *const names[] = {"eps", "v", "flow"};
    if (!name)
        name = names[PARAMETERIZATION_EPS];
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *parameterization = (enum parameterization)i;
            return 0;
        }
    return error_set(error, "parameterization \"%.40s\": eps, v and flow are known", name);
}

static void set_linear(double *beta, int64_t timesteps, double first, double last)
{
    double low = sqrt(first), high = sqrt(last);
    for (int64_t t = 0; t < timesteps; t++) {
        double root =
            timesteps > 1 ? low + (high - low) * (double)t / (double)(timesteps - 1) : low;
        beta[t] = root * root;
    }
}

static double cosine_alpha_bar(double fraction)
{
    double cosine = cos((fraction + cosine_offset) / (1 + cosine_offset) * acos(0));
    return cosine * cosine;
}

static void set_cosine(double *beta, int64_t timesteps)
{
    for (int64_t t = 0; t < timesteps; t++) {
        double after = cosine_alpha_bar((double)(t + 1) / (double)timesteps);
        double before = cosine_alpha_bar((double)t / (double)timesteps);
        beta[t] = fmin(1 - after / before, cosine_largest_beta);
    }
}

/* Tables of a variance-preserving schedule from its betas. */
static void accumulate(struct schedule *schedule)
{
    double alpha_bar = 1;
    for (int64_t t = 0; t < schedule->timesteps; t++) {
        alpha_bar *= 1 - schedule->beta[t];
        schedule->alpha_bar[t] = alpha_bar;
        schedule->alpha[t] = sqrt(alpha_bar);
        schedule->sigma[t] = sqrt(1 - alpha_bar);
    }
}

static void set_straight(struct schedule *schedule)
{
    for (int64_t t = 0; t < schedule->timesteps; t++) {
        double before = t ? schedule->alpha_bar[t - 1] : 1;
        schedule->sigma[t] = (double)(t + 1) / (double)schedule->timesteps;
        schedule->alpha[t] = 1 - schedule->sigma[t];
        schedule->alpha_bar[t] = schedule->alpha[t] * schedule->alpha[t];
        schedule->beta[t] = 1 - schedule->alpha_bar[t] / before;
    }
}

/* "linear" or "linear A B". */
static int read_betas(const char *name, double *first, double *last, struct error *error)
{
    const char *text = name + strlen("linear");
    *first = authors_first_beta;
    *last = authors_last_beta;
    if (*text == '\0')
        return 0;
    char *end, *end_of_last;
    *first = strtod(text, &end);
    *last = strtod(end, &end_of_last);
    if (*text != ' ' || end == text || end_of_last == end || *end_of_last != '\0')
        return error_set(error, "schedule \"%.60s\": expected \"linear A B\"", name);
    if (!(*first > 0 && *first <= *last && *last < 1))
        return error_set(error, "schedule \"%.60s\": betas must ascend between 0 and 1", name);
    return 0;
}

static int set_tables(struct schedule *schedule, const char *name, struct error *error)
{
    if (strcmp(name, "straight") == 0) {
        set_straight(schedule);
        return 0;
    }
    if (strcmp(name, "cosine") == 0) {
        set_cosine(schedule->beta, schedule->timesteps);
    } else if (strncmp(name, "linear", strlen("linear")) == 0) {
        double first, last;
        if (read_betas(name, &first, &last, error) < 0)
            return -1;
        set_linear(schedule->beta, schedule->timesteps, first, last);
    } else {
        return error_set(error, "schedule \"%.60s\": linear, cosine and straight are known", name);
    }
    accumulate(schedule);
    return 0;
}

static int allocate(struct schedule *schedule, int64_t timesteps, struct error *error)
{
    if (timesteps < 1 || timesteps > TIMESTEPS_LIMIT)
        return error_set(error, "%" PRId64 " timesteps: 1 to %d are possible", timesteps,
                         TIMESTEPS_LIMIT);
    double **const table[TABLES] = {
        &schedule->beta,
        &schedule->alpha_bar,
        &schedule->alpha,
        &schedule->sigma,
        &schedule->posterior_x0,
        &schedule->posterior_xt,
        &schedule->posterior_variance,
    };
    double *memory = calloc((size_t)timesteps * TABLES, sizeof *memory);
    if (!memory)
        return error_set(error, "out of memory");
    for (int i = 0; i < TABLES; i++)
        *table[i] = memory + i * timesteps;
    schedule->timesteps = timesteps;
    return 0;
}

int schedule_create(struct schedule *schedule, const char *name, int64_t timesteps,
                    enum parameterization parameterization, struct error *error)
{
    *schedule = (struct schedule){0};
    if (!name)
        name = parameterization == PARAMETERIZATION_FLOW ? "straight" : "linear";
    if (allocate(schedule, timesteps, error) < 0)
        return -1;
    int result = set_tables(schedule, name, error);
    if (result == 0 && parameterization == PARAMETERIZATION_EPS &&
        schedule->alpha[timesteps - 1] == 0)
        result =
            error_set(error, "schedule \"%.60s\" needs a network that predicts v or flow", name);
    if (result < 0) {
        schedule_destroy(schedule);
        return -1;
    }
    for (int64_t t = 0; t < timesteps; t++) {
        struct transition transition = schedule_transition(schedule, t, t - 1);
        schedule->posterior_xt[t] = transition.from_xt;
        schedule->posterior_x0[t] = transition.from_x0;
        schedule->posterior_variance[t] = transition.variance;
    }
    return 0;
}

void schedule_destroy(struct schedule *schedule)
{
    free(schedule->beta); /* all tables are one block */
    *schedule = (struct schedule){0};
}

double schedule_alpha(const struct schedule *schedule, int64_t t)
{
    return t < 0 ? 1 : schedule->alpha[t];
}

double schedule_sigma(const struct schedule *schedule, int64_t t)
{
    return t < 0 ? 0 : schedule->sigma[t];
}

struct transition schedule_transition(const struct schedule *schedule, int64_t t, int64_t earlier)
{
    double alpha = schedule_alpha(schedule, earlier), sigma = schedule_sigma(schedule, earlier);
    double ratio = schedule->alpha[t] / alpha;
    double all = schedule->sigma[t] * schedule->sigma[t];
    double kept = sigma * sigma / all;                  /* the share of the noise that is older */
    double added = all - ratio * ratio * sigma * sigma; /* variance of x_t given x_earlier */
    return (struct transition){
        .from_xt = ratio * kept, .from_x0 = alpha * added / all, .variance = added * kept};
}

struct conversion schedule_conversion(const struct schedule *schedule, int64_t t,
                                      enum parameterization parameterization)
{
    double alpha = schedule->alpha[t], sigma = schedule->sigma[t];
    double power = alpha * alpha + sigma * sigma, sum = alpha + sigma;
    switch (parameterization) {
    case PARAMETERIZATION_V:
        return (struct conversion){alpha / power, -sigma / power, sigma / power, alpha / power};
    case PARAMETERIZATION_FLOW:
        return (struct conversion){1 / sum, -sigma / sum, 1 / sum, alpha / sum};
    default:
        return (struct conversion){1 / alpha, -sigma / alpha, 0, 1};
    }
}

int schedule_ddim_timesteps(const struct schedule *schedule, int64_t steps, int64_t *timestep,
                            struct error *error)
{
    const int64_t total = schedule->timesteps;
    if (steps < 1 || steps >= total || total % steps != 0) {
        int64_t below = steps < total ? steps : total - 1, above = steps > 1 ? steps : 1;
        while (below > 0 && total % below != 0)
            below--;
        while (above < total && total % above != 0)
            above++;
        if (below > 0 && above < total)
            return error_set(error,
                             "%" PRId64 " DDIM steps do not divide %" PRId64 " timesteps; %" PRId64
                             " and %" PRId64 " do",
                             steps, total, below, above);
        if (below > 0 || above < total)
            return error_set(error,
                             "%" PRId64 " DDIM steps of %" PRId64
                             " timesteps are not possible; the nearest number is %" PRId64,
                             steps, total, below > 0 ? below : above);
        return error_set(error, "DDIM needs at least 2 timesteps, not %" PRId64, total);
    }
    for (int64_t i = 0; i < steps; i++)
        timestep[i] = 1 + i * (total / steps);
    return 0;
}

int schedule_dpm_timesteps(const struct schedule *schedule, int64_t steps, int64_t *timestep,
                           struct error *error)
{
    const int64_t last = schedule->timesteps - 1;
    if (steps < 1 || steps > last)
        return error_set(error,
                         "%" PRId64 " DPM-Solver++ steps of %" PRId64
                         " timesteps are not possible; at least 1 and fewer than that are",
                         steps, schedule->timesteps);
    for (int64_t i = 0; i < steps; i++)
        timestep[i] = (2 * last * (i + 1) + steps) / (2 * steps);
    return 0;
}
