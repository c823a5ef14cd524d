#include "lib/io/view_window.h"

#include <math.h>
#include <stdlib.h>

static int64_t tile_count(const struct tile *tile)
{
    return tile->rows * tile->columns;
}

static double highest(const struct view_layout *layout)
{
    double high = 1;
    for (int i = 0; i < layout->tiles; i++)
        for (int64_t k = 0; k < tile_count(&layout->tile[i]); k++)
            high = fmax(high, (double)layout->tile[i].value[k]);
    return high;
}

static int compare_values(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int percentiles(struct window *window, const struct view_layout *layout, int number,
                       struct error *error)
{
    int64_t count = 0, finite = 0;
    for (int i = 0; i < layout->tiles; i++)
        if (layout->tile[i].window == number)
            count += tile_count(&layout->tile[i]);
    float *value = malloc((size_t)count * sizeof *value);
    if (!value)
        return error_set(error, "out of memory");
    for (int i = 0; i < layout->tiles; i++) {
        const struct tile *tile = &layout->tile[i];
        for (int64_t k = 0; tile->window == number && k < tile_count(tile); k++)
            if (isfinite(tile->value[k]))
                value[finite++] = tile->value[k];
    }
    qsort(value, (size_t)finite, sizeof *value, compare_values);
    if (finite) {
        int64_t cut = (finite - 1) / 100;
        *window = (struct window){(double)value[cut], (double)value[finite - 1 - cut]};
    }
    free(value);
    return 0;
}

int window_find(struct window *window, enum window_choice choice, struct window fixed,
                const struct view_layout *layout, int tile, struct error *error)
{
    *window = choice == WINDOW_FIXED ? fixed : (struct window){0, 1};
    int number = layout->tile[tile].window;
    if (choice == WINDOW_HIGHEST)
        window->high = highest(layout);
    else if (choice == WINDOW_PERCENTILE && percentiles(window, layout, number, error) < 0)
        return -1;
    if (!(window->high > window->low)) /* one value everywhere */
        window->high = window->low + 1;
    return 0;
}
