#include "lib/experiment/markup.h"
#include "lib/experiment/parts.h"
#include "lib/training/plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* In units of the picture; the frame of a curve lies inside it. */
enum { WIDTH = 420, HEIGHT = 210, LEFT = 62, RIGHT = 12, TOP = 24, BOTTOM = 24, QUARTERS = 4 };
static const double frame_width = WIDTH - LEFT - RIGHT, frame_height = HEIGHT - TOP - BOTTOM;

static double across(const struct plot_axes *axes, double step)
{
    return LEFT + plot_across(axes, step) * frame_width;
}

static void put_frame(FILE *out, const struct plot_axes *axes)
{
    for (int i = 0; i <= QUARTERS; i++) {
        double share = (double)i / QUARTERS, y = TOP + frame_height * share;
        double step = axes->first + (axes->last - axes->first) * share;
        fprintf(out, "<path d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"value\">", LEFT, y,
                WIDTH - RIGHT, LEFT - 5, y + 4);
        fprintf(out, "%.4g</text>", plot_value(axes, share));
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" class=\"%s\">%.0f</text>\n", across(axes, step),
                HEIGHT - 8, i == QUARTERS ? "value" : "step", step);
    }
}

/* Through what there is of a column; a value that stands alone is a dot. */
static void put_curve(FILE *out, const struct plot_table *t, const struct plot_axes *axes,
                      int column)
{
    int64_t points = 0;
    double x = 0, y = 0;
    fputs("<polyline points=\"", out);
    for (int64_t i = 0; i < t->rows; i++) {
        double value = t->value[i * t->columns + column];
        if (!isfinite(value))
            continue;
        x = across(axes, t->value[i * t->columns]);
        y = TOP + plot_down(axes, value) * frame_height;
        fprintf(out, "%s%.1f,%.1f", points++ ? " " : "", x, y);
    }
    fputs("\"/>\n", out);
    if (points == 1)
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\"/>\n", x, y);
}

int experiment_curves(FILE *out, const char *path, bool logarithmic, struct error *error)
{
    struct plot_table table;
    struct plot_axes axes;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, "%s: %s", path, strerror(errno));
    int status = plot_read(&table, file, error);
    fclose(file);
    if (status < 0)
        return error_prefix(error, "%s", path);
    for (int i = 0; i < table.columns; i++) {
        if (!plot_axes(&table, i, logarithmic, &axes))
            continue;
        fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n<text x=\"%d\" y=\"15\">", WIDTH,
                HEIGHT, LEFT);
        markup_text(out, table.name[i]);
        fputs("</text>\n", out);
        put_frame(out, &axes);
        put_curve(out, &table, &axes, i);
        fputs("</svg>\n", out);
    }
    plot_free(&table);
    return 0;
}
