#include "lib/io/view.h"

#include "lib/io/view_layout.h"
#include "lib/io/view_window.h"

#include <stdlib.h>
#include <string.h>

const char *const view_modes[VIEW_MODES + 1] = {"auto",    "montage",  "cuts",
                                                "en-face", "channels", NULL};

enum {
    GAP = 4, /* pixels between tiles */
    GAP_GRAY = 96,
    PICTURE_AT_MOST = 32767, /* pixels of a side */
    MONTAGE_COUNT = 16,
    CHANNEL_COUNT = 4,
};

struct view {
    struct extent extent;
    int64_t next;
    struct view_layout layout;
    enum window_choice window_choice;
    struct tile_look look;
    uint8_t *own; /* (H,W): the array's slice as labels; NULL: it has none */
};

void picture_free(struct picture *picture)
{
    free(picture->gray);
    free(picture->colour);
    picture->gray = picture->colour = NULL;
}

static int picture_allocate(struct picture *picture, int64_t rows, int64_t columns, bool colour,
                            struct error *error)
{
    if (rows > PICTURE_AT_MOST || columns > PICTURE_AT_MOST)
        return error_set(error, "a picture of %lldx%lld is too large; ask for less with --count",
                         (long long)columns, (long long)rows);
    *picture = (struct picture){.rows = rows, .columns = columns};
    picture->gray = malloc((size_t)(rows * columns));
    picture->colour = colour ? malloc((size_t)(rows * columns * 3)) : NULL;
    if (!picture->gray || (colour && !picture->colour)) {
        picture_free(picture);
        return error_set(error, "no memory for a picture of %lldx%lld", (long long)columns,
                         (long long)rows);
    }
    memset(picture->gray, GAP_GRAY, (size_t)(rows * columns));
    if (colour)
        memset(picture->colour, GAP_GRAY, (size_t)(rows * columns * 3));
    return 0;
}

static void picture_copy(const struct picture *from, struct picture *to, int64_t left)
{
    for (int64_t y = 0; y < from->rows; y++) {
        const uint8_t *gray = from->gray + y * from->columns;
        int64_t start = y * to->columns + left;
        memcpy(to->gray + start, gray, (size_t)from->columns);
        if (from->colour)
            memcpy(to->colour + 3 * start, from->colour + 3 * y * from->columns,
                   3 * (size_t)from->columns);
        else if (to->colour)
            for (int64_t x = 0; x < from->columns; x++)
                memset(to->colour + 3 * (start + x), gray[x], 3);
    }
}

int picture_add_beside(struct picture *picture, struct picture *next, struct error *error)
{
    struct picture both = *next;
    if (picture->gray) {
        int64_t rows = picture->rows > next->rows ? picture->rows : next->rows;
        int64_t left = picture->columns + GAP;
        bool colour = picture->colour || next->colour;
        if (picture_allocate(&both, rows, left + next->columns, colour, error) < 0)
            return -1;
        picture_copy(picture, &both, 0);
        picture_copy(next, &both, left);
        picture_free(picture);
        picture_free(next);
    }
    *next = (struct picture){0};
    *picture = both;
    return 0;
}

static bool is_kind(const struct array *array, const char *kind)
{
    return strcmp(array->kind, kind) == 0;
}

static int choose_mode(const struct array *array, enum view_mode *mode, struct error *error)
{
    char text[256];
    array_describe(array, text, sizeof text);
    bool surfaces = is_kind(array, "surfaces");
    if (array->rank < 2 || array->rank > 4)
        return error_set(error, "%s cannot be shown: (D,W), (D,H,W) or (D,C,H,W) is expected",
                         text);
    enum view_mode natural = array->rank == 2   ? VIEW_EN_FACE
                             : array->rank == 4 ? VIEW_CHANNELS
                             : surfaces         ? VIEW_MONTAGE
                                                : VIEW_CUTS;
    bool any = array->rank == 3 && !surfaces && *mode != VIEW_CHANNELS;
    if (*mode == VIEW_AUTO)
        *mode = natural;
    else if (*mode != natural && !any)
        return error_set(error, "%s %s is shown in mode %s, not %s",
                         array->kind[0] ? array->kind : "array", text, view_modes[natural],
                         view_modes[*mode]);
    return 0;
}

static void choose_window(struct view *view, const struct array *array, enum view_mode mode,
                          const struct view_settings *settings)
{
    bool volume = array->rank == 3 && !is_kind(array, "surfaces") && mode != VIEW_EN_FACE;
    bool bytes = array->dtype == DTYPE_U8;
    if (settings->windowed) {
        view->look.window = settings->window;
    } else if (is_kind(array, "labels")) {
        view->window_choice = WINDOW_HIGHEST;
    } else if (volume || (array->rank == 2 && bytes)) {
        view->look.window = window_of_volume(array->dtype);
    } else {
        view->window_choice = WINDOW_PERCENTILE;
    }
    view->look.nearest = is_kind(array, "labels");
}

static int choose_colours(struct view *view, const struct array *array, enum view_mode mode,
                          const struct view_settings *settings, struct error *error)
{
    const char *kind = array->rank == 2 ? "en-face map" : "labels";
    bool labels = is_kind(array, kind) && array->dtype == DTYPE_U8 && !settings->windowed &&
                  (array->rank == 2 || mode != VIEW_EN_FACE);
    view->look.opacity = settings->opacity;
    if (settings->opacity > 0 && mode == VIEW_EN_FACE)
        return error_set(error, "an overlay lies over cuts and slices, not over a mean");
    if (labels && !(settings->opacity > 0)) {
        view->look.opacity = 1;
        view->own = malloc((size_t)(view->extent.h * view->extent.w));
        if (!view->own)
            return error_set(error, "out of memory");
    }
    return view->look.opacity > 0 ? layout_add_labels(&view->layout, error) : 0;
}

static int choose_layout(struct view *view, const struct array *array, enum view_mode mode,
                         const struct view_settings *settings, struct error *error)
{
    const double *spacing = array->spacing, square[3] = {1, 1, 1};
    const double *side = spacing[0] > 0 && spacing[1] > 0 && spacing[2] > 0 ? spacing : square;
    int64_t count = settings->count > 0     ? settings->count
                    : mode == VIEW_CHANNELS ? CHANNEL_COUNT
                                            : MONTAGE_COUNT;
    if (mode == VIEW_CUTS)
        return layout_cuts(&view->layout, &view->extent, side, settings->at, error);
    if (mode == VIEW_EN_FACE)
        return layout_en_face(&view->layout, &view->extent, side, error);
    if (is_kind(array, "surfaces"))
        return layout_surfaces(&view->layout, &view->extent, side, error);
    return layout_slices(&view->layout, &view->extent, side, count, error);
}

static void view_free(struct view *view)
{
    layout_free(&view->layout);
    free(view->own);
    free(view);
}

int view_begin(struct view **result, const struct array *array,
               const struct view_settings *settings, struct error *error)
{
    enum view_mode mode = settings->mode;
    if (choose_mode(array, &mode, error) < 0)
        return -1;
    struct view *view = calloc(1, sizeof *view);
    if (!view)
        return error_set(error, "out of memory");
    const int64_t *shape = array->shape;
    view->extent = array->rank == 2   ? (struct extent){shape[0], 1, 1, shape[1]}
                   : array->rank == 3 ? (struct extent){shape[0], 1, shape[1], shape[2]}
                                      : (struct extent){shape[0], shape[1], shape[2], shape[3]};
    choose_window(view, array, mode, settings);
    if (choose_layout(view, array, mode, settings, error) < 0 ||
        choose_colours(view, array, mode, settings, error) < 0) {
        view_free(view);
        return -1;
    }
    for (int i = 0; i < view->layout.tiles; i++) {
        view->layout.tile[i].from = settings->between[0];
        view->layout.tile[i].to = settings->between[1];
    }
    *result = view;
    return 0;
}

void view_add(struct view *view, const float *slice, const uint8_t *label)
{
    for (int64_t i = 0; view->own && i < view->extent.h * view->extent.w; i++)
        view->own[i] = (uint8_t)slice[i];
    for (int i = 0; i < view->layout.tiles; i++) {
        struct tile *tile = &view->layout.tile[i];
        tile_gather(tile, &view->extent, slice, view->next);
        if (tile->label)
            tile_gather_labels(tile, &view->extent, view->own ? view->own : label, view->next);
    }
    view->next++;
}

/* Where the grid's rows and columns start, and last the size of the picture. */
struct grid {
    int rows, columns;
    int64_t *top, *left; /* rows + 1, columns + 1 */
};

/* Pixels before line `index` of the grid, from the largest extent of each line. */
static void add_up(int64_t *line, int count)
{
    int64_t position = 0;
    for (int i = 0; i <= count; i++) {
        int64_t extent = line[i];
        line[i] = position;
        position += extent + (i + 1 < count ? GAP : 0);
    }
}

static int make_grid(struct grid *grid, const struct view_layout *layout, struct error *error)
{
    for (int i = 0; i < layout->tiles; i++) {
        const struct tile *tile = &layout->tile[i];
        grid->rows = tile->grid_row >= grid->rows ? tile->grid_row + 1 : grid->rows;
        grid->columns = tile->grid_column >= grid->columns ? tile->grid_column + 1 : grid->columns;
    }
    grid->top = calloc((size_t)grid->rows + 1, sizeof *grid->top);
    grid->left = calloc((size_t)grid->columns + 1, sizeof *grid->left);
    if (!grid->top || !grid->left)
        return error_set(error, "out of memory");
    for (int i = 0; i < layout->tiles; i++) {
        const struct tile *tile = &layout->tile[i];
        int64_t height = tile_height(tile, layout->unit), width = tile_width(tile, layout->unit);
        int64_t *tallest = &grid->top[tile->grid_row], *widest = &grid->left[tile->grid_column];
        *tallest = height > *tallest ? height : *tallest;
        *widest = width > *widest ? width : *widest;
    }
    add_up(grid->top, grid->rows);
    add_up(grid->left, grid->columns);
    return 0;
}

static int draw_tiles(const struct view *view, const struct grid *grid, struct picture *picture,
                      struct error *error)
{
    const struct view_layout *layout = &view->layout;
    int64_t rows = grid->top[grid->rows], columns = grid->left[grid->columns];
    if (picture_allocate(picture, rows, columns, view->look.opacity > 0, error) < 0)
        return -1;
    struct tile_look look = view->look;
    for (int i = 0; i < layout->tiles; i++) {
        const struct tile *tile = &layout->tile[i];
        bool same = i > 0 && tile->window == layout->tile[i - 1].window;
        if (!same && window_find(&look.window, view->window_choice, view->look.window, layout, i,
                                 error) < 0) {
            picture_free(picture);
            return -1;
        }
        tile_draw(tile, layout->unit, &look, picture, grid->top[tile->grid_row],
                  grid->left[tile->grid_column]);
    }
    return 0;
}

int view_finish(struct view *view, struct picture *picture, struct error *error)
{
    struct grid grid = {0};
    int status = make_grid(&grid, &view->layout, error);
    if (status == 0)
        status = draw_tiles(view, &grid, picture, error);
    free(grid.top);
    free(grid.left);
    view_free(view);
    return status;
}
