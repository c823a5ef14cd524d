#include "lib/io/compare.h"

#include "lib/io/array.h"

#include <math.h>

enum { PIECE = 2048 };

static void add(struct comparison *comparison, double a, double b,
                const struct tolerance *tolerance)
{
    int64_t position = comparison->count++;
    if (isnan(a) || isnan(b)) {
        comparison->nan++;
        comparison->beyond++;
        return;
    }
    double apart = a == b ? 0 : fabs(a - b);
    bool within =
        a == b || (isfinite(apart) && apart <= tolerance->absolute + tolerance->relative * fabs(b));
    comparison->beyond += !within;
    if (apart > comparison->max_absolute) {
        comparison->max_absolute = apart;
        comparison->where = position;
    }
    double relative = apart > 0 ? apart / fmax(fabs(a), fabs(b)) : 0;
    if (isnan(relative)) /* an infinity against a finite number */
        relative = INFINITY;
    comparison->max_relative = fmax(comparison->max_relative, relative);
    comparison->squares += apart * apart;
    comparison->reference += b * b;
}

void comparison_add(struct comparison *comparison, const void *a, enum dtype a_type, const void *b,
                    enum dtype b_type, int64_t count, const struct tolerance *tolerance)
{
    const unsigned char *a_at = a, *b_at = b;
    double a_value[PIECE], b_value[PIECE];
    for (int64_t part; count; count -= part) {
        part = count < PIECE ? count : PIECE;
        array_to_f64(a_at, a_type, a_value, part);
        array_to_f64(b_at, b_type, b_value, part);
        for (int64_t i = 0; i < part; i++)
            add(comparison, a_value[i], b_value[i], tolerance);
        a_at += part * dtype_size(a_type);
        b_at += part * dtype_size(b_type);
    }
}

double comparison_rms(const struct comparison *comparison)
{
    int64_t counted = comparison->count - comparison->nan;
    return counted ? sqrt(comparison->squares / (double)counted) : 0;
}

double comparison_l2(const struct comparison *comparison)
{
    if (!(comparison->squares > 0))
        return 0;
    return sqrt(comparison->squares) / sqrt(comparison->reference);
}
