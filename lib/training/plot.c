#include "lib/training/plot.h"

#include "lib/training/glyphs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In pixels; a panel has its curve's frame inside. */
enum { WIDTH = 560, HEIGHT = 220, LEFT = 84, RIGHT = 16, TOP = 30, BOTTOM = 28, ACROSS = 2 };
enum { WHITE = 255, LIGHT = 224, FRAME = 160, BLACK = 0, LETTER = 64 };
enum { QUARTERS = 4, SCALE = 1 /* of small letters */ };

struct panel {
    struct picture *picture;
    int64_t row, column; /* upper left corner of the frame */
    struct plot_axes axes;
};

static const int64_t frame_height = HEIGHT - TOP - BOTTOM, frame_width = WIDTH - LEFT - RIGHT;

static void put(struct picture *p, int64_t row, int64_t column, uint8_t gray)
{
    if (row >= 0 && row < p->rows && column >= 0 && column < p->columns &&
        gray < p->gray[row * p->columns + column])
        p->gray[row * p->columns + column] = gray;
}

/* A line of one or, thick, two pixels. */
static void draw_line(struct picture *p, const double from[2], const double to[2], uint8_t gray,
                      bool thick)
{
    double length = fmax(fabs(to[0] - from[0]), fabs(to[1] - from[1]));
    int64_t points = (int64_t)ceil(length) + 1;
    for (int64_t i = 0; i < points; i++) {
        double share = points > 1 ? (double)i / (double)(points - 1) : 0.0;
        int64_t row = (int64_t)lrint(from[0] + share * (to[0] - from[0]));
        int64_t column = (int64_t)lrint(from[1] + share * (to[1] - from[1]));
        put(p, row, column, gray);
        if (thick) {
            put(p, row + 1, column, gray);
            put(p, row, column + 1, gray);
        }
    }
}

static void locate(const struct panel *p, double step, double value, double at[2])
{
    at[0] = (double)p->row + plot_down(&p->axes, value) * (double)(frame_height - 1);
    at[1] = (double)p->column + plot_across(&p->axes, step) * (double)(frame_width - 1);
}

static void draw_frame(const struct panel *p, const char *title)
{
    char text[32];
    glyphs_draw(p->picture, p->row - TOP + 6, p->column, 2 * SCALE, BLACK, title);
    for (int i = 0; i <= QUARTERS; i++) {
        uint8_t gray = i % QUARTERS ? LIGHT : FRAME;
        double y = (double)p->row + (double)(frame_height - 1) * i / QUARTERS;
        double x = (double)p->column + (double)(frame_width - 1) * i / QUARTERS;
        double right = (double)(p->column + frame_width - 1);
        double bottom = (double)(p->row + frame_height - 1);
        draw_line(p->picture, (double[]){y, (double)p->column}, (double[]){y, right}, gray, false);
        draw_line(p->picture, (double[]){(double)p->row, x}, (double[]){bottom, x}, gray, false);
        int length =
            snprintf(text, sizeof text, "%.4g", plot_value(&p->axes, (double)i / QUARTERS));
        glyphs_draw(p->picture, (int64_t)y - 4, p->column - 6 - GLYPH_WIDTH * SCALE * length, SCALE,
                    LETTER, text);
        length = snprintf(text, sizeof text, "%.0f",
                          p->axes.first + (p->axes.last - p->axes.first) * i / QUARTERS);
        glyphs_draw(p->picture, (int64_t)bottom + 7,
                    (int64_t)x - GLYPH_WIDTH * SCALE * length * i / QUARTERS, SCALE, LETTER, text);
    }
}

/* A curve through what there is of a column; a point that stands alone is a dot. */
static void draw_curve(const struct panel *p, const struct plot_table *t, int column)
{
    double before[2];
    bool begun = false;
    for (int64_t i = 0; i < t->rows; i++) {
        double at[2], value = t->value[i * t->columns + column];
        if (!isfinite(value))
            continue;
        locate(p, t->value[i * t->columns], value, at);
        draw_line(p->picture, begun ? before : at, at, BLACK, true);
        memcpy(before, at, sizeof at);
        begun = true;
    }
}

/* Lowest and highest finite value of a column; false: there is none. */
static bool find_range(const struct plot_table *t, int column, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < t->rows; i++) {
        double value = t->value[i * t->columns + column];
        if (isfinite(value)) {
            *low = fmin(*low, value);
            *high = fmax(*high, value);
        }
    }
    return *low <= *high;
}

bool plot_axes(const struct plot_table *t, int column, bool logarithmic, struct plot_axes *axes)
{
    if (column == 0 || strcmp(t->name[column], "seconds") == 0 ||
        !find_range(t, column, &axes->low, &axes->high))
        return false;
    find_range(t, 0, &axes->first, &axes->last);
    axes->logarithmic = logarithmic && axes->low > 0.0;
    if (axes->logarithmic) {
        axes->low = log10(axes->low);
        axes->high = log10(axes->high);
    }
    if (axes->first == axes->last)
        axes->last = axes->first + 1.0;
    if (axes->low == axes->high) {
        double margin = fmax(fabs(axes->low) * 0.1, 1e-9);
        axes->low -= margin;
        axes->high += margin;
    }
    return true;
}

double plot_across(const struct plot_axes *axes, double step)
{
    return (step - axes->first) / (axes->last - axes->first);
}

double plot_down(const struct plot_axes *axes, double value)
{
    double y = axes->logarithmic ? log10(value) : value;
    return (axes->high - y) / (axes->high - axes->low);
}

double plot_value(const struct plot_axes *axes, double down)
{
    double value = axes->high + (axes->low - axes->high) * down;
    return axes->logarithmic ? pow(10, value) : value;
}

int plot_draw(const struct plot_table *t, bool logarithmic, struct picture *picture,
              struct error *error)
{
    struct plot_axes axes;
    int64_t panels = 0, drawn = 0;
    for (int i = 0; i < t->columns; i++)
        panels += plot_axes(t, i, logarithmic, &axes);
    if (!panels)
        return error_set(error, "the log holds no numbers");
    int64_t across = panels < ACROSS ? panels : ACROSS;
    *picture = (struct picture){.rows = (panels + across - 1) / across * HEIGHT,
                                .columns = across * WIDTH};
    picture->gray = malloc((size_t)(picture->rows * picture->columns));
    if (!picture->gray)
        return error_set(error, "no memory for a picture");
    memset(picture->gray, WHITE, (size_t)(picture->rows * picture->columns));
    for (int i = 0; i < t->columns; i++)
        if (plot_axes(t, i, logarithmic, &axes)) {
            struct panel panel = {.picture = picture,
                                  .row = drawn / across * HEIGHT + TOP,
                                  .column = drawn % across * WIDTH + LEFT,
                                  .axes = axes};
            draw_frame(&panel, t->name[i]);
            draw_curve(&panel, t, i);
            drawn++;
        }
    return 0;
}
