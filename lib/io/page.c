#include "lib/io/page.h"

#include "lib/io/base64.h"
#include "lib/io/metadata.h"
#include "lib/io/output.h"
#include "lib/io/palette.h"
#include "lib/io/png.h"
#include "lib/io/resize.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Linked in by the Makefile. */
extern const char style[] __asm__("_binary_lib_io_page_css_start");
extern const char style_end[] __asm__("_binary_lib_io_page_css_end");
extern const char body[] __asm__("_binary_lib_io_page_html_start");
extern const char body_end[] __asm__("_binary_lib_io_page_html_end");
extern const char script[] __asm__("_binary_lib_io_page_js_start");
extern const char script_end[] __asm__("_binary_lib_io_page_js_end");

struct page {
    struct output output;
    char *path; /* that the output was opened with */
    struct window window;
    struct resize_size size;
    struct resize *resize;
    int64_t given;  /* slices of the volume */
    float *real;    /* (H',W') of the page */
    uint8_t *gray;  /* (H',W') */
    uint8_t *label; /* (H',W'); NULL: no overlay */
    void *png;
    size_t png_room;
    char *text; /* a PNG as base64 */
    size_t text_room;
};

static void page_free(struct page *page)
{
    resize_close(page->resize);
    free(page->path);
    free(page->real);
    free(page->gray);
    free(page->label);
    free(page->png);
    free(page->text);
    free(page);
}

static int put(struct page *page, const char *text, struct error *error)
{
    return output_write(&page->output, text, strlen(text), error);
}

/* JSON inside a script element: without < nothing in it ends the element. */
static int put_json(struct page *page, const char *json, struct error *error)
{
    while (*json) {
        size_t plain = strcspn(json, "<");
        if (output_write(&page->output, json, plain, error) < 0)
            return -1;
        json += plain;
        if (*json && put(page, "\\u003c", error) < 0)
            return -1;
        json += *json == '<';
    }
    return 0;
}

/* Sides of the page's voxels along D, H, W; they are cubes where the volume's are unknown. */
static void find_sides(const struct array *volume, const struct resize_size *size, double side[3])
{
    const double *spacing = volume->spacing;
    bool known = spacing[0] > 0 && spacing[1] > 0 && spacing[2] > 0;
    for (int i = 0; i < 3; i++)
        side[i] = (known ? spacing[i] : 1) * (double)size->in[i] / (double)size->out[i];
}

static cJSON *numbers(const int64_t extent[3])
{
    return cJSON_CreateDoubleArray(
        (double[]){(double)extent[0], (double)extent[1], (double)extent[2]}, 3);
}

static cJSON *colours(void)
{
    cJSON *list = cJSON_CreateArray();
    for (int label = 1; label <= PALETTE; label++) {
        const uint8_t *rgb = palette_colour(label);
        cJSON_AddItemToArray(list, cJSON_CreateIntArray((int[]){rgb[0], rgb[1], rgb[2]}, 3));
    }
    return list;
}

/* What lib/io/page.js wants to know, as JSON that the caller frees; NULL: no memory. */
static char *describe(const struct page *page, const struct array *volume,
                      const struct page_settings *settings, const char *metadata)
{
    const struct window *window = &settings->window;
    double side[3];
    find_sides(volume, &page->size, side);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "title", settings->title);
    cJSON_AddStringToObject(json, "type", dtype_name(volume->dtype));
    cJSON_AddItemToObject(json, "shape", numbers(page->size.in));
    cJSON_AddItemToObject(json, "extents", numbers(page->size.out));
    cJSON_AddItemToObject(json, "side", cJSON_CreateDoubleArray(side, 3));
    cJSON_AddItemToObject(json, "window",
                          cJSON_CreateDoubleArray((double[]){window->low, window->high}, 2));
    if (settings->overlay) {
        cJSON_AddStringToObject(json, "overlay", settings->overlay);
        cJSON_AddNumberToObject(json, "opacity", settings->opacity);
    }
    cJSON_AddItemToObject(json, "palette", colours());
    cJSON_AddRawToObject(json, "metadata", metadata);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static int put_head(struct page *page, const struct array *volume,
                    const struct page_settings *settings, struct error *error)
{
    char metadata[METADATA_SIZE];
    if (metadata_format(volume, metadata, error) < 0)
        return -1;
    char *about = describe(page, volume, settings, metadata);
    if (!about)
        return error_set(error, "out of memory");
    int status = 0;
    if (put(page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
            "<title>Volume</title>\n<style>\n",
            error) < 0 ||
        output_write(&page->output, style, (size_t)(style_end - style), error) < 0 ||
        put(page, "</style>\n</head>\n<body>\n", error) < 0 ||
        output_write(&page->output, body, (size_t)(body_end - body), error) < 0 ||
        put(page, "<script type=\"application/json\" id=\"about\">", error) < 0 ||
        put_json(page, about, error) < 0 || put(page, "</script>\n<div hidden>\n", error) < 0)
        status = -1;
    free(about);
    return status;
}

static int prepare(struct page *page, const struct array *volume,
                   const struct page_settings *settings, struct error *error)
{
    struct resize_size *size = &page->size;
    page->window = settings->window;
    for (int i = 0; i < 3; i++) {
        size->in[i] = size->used[i] = volume->shape[i];
        size->out[i] = volume->shape[i] < settings->most ? volume->shape[i] : settings->most;
    }
    size_t count = (size_t)(size->out[1] * size->out[2]);
    page->real = calloc(count, sizeof *page->real);
    page->gray = calloc(count, 1);
    page->label = settings->overlay ? calloc(count, 1) : NULL;
    if (!page->path || !page->real || !page->gray || (settings->overlay && !page->label))
        return error_set(error, "out of memory");
    return resize_open(&page->resize, RESIZE_AREA, size, error);
}

int page_open(struct page **result, const char *path, const struct array *volume,
              const struct page_settings *settings, struct error *error)
{
    struct page *page = calloc(1, sizeof *page);
    if (!page)
        return error_set(error, "out of memory");
    page->path = strdup(path ? path : "-");
    if (prepare(page, volume, settings, error) < 0 ||
        output_open(&page->output, page->path, error) < 0) {
        page_free(page);
        return -1;
    }
    if (put_head(page, volume, settings, error) < 0) {
        output_discard(&page->output);
        page_free(page);
        return -1;
    }
    *result = page;
    return 0;
}

static int put_image(struct page *page, const char *class, const uint8_t *gray, struct error *error)
{
    size_t bytes;
    char tag[64];
    if (png_encode(&page->png, &page->png_room, &bytes, page->size.out[1], page->size.out[2], 1,
                   DTYPE_U8, gray, error) < 0)
        return -1;
    if (page->text_room < base64_length(bytes)) {
        char *larger = realloc(page->text, base64_length(page->png_room));
        if (!larger)
            return error_set(error, "out of memory");
        page->text = larger;
        page->text_room = base64_length(page->png_room);
    }
    base64_encode(page->png, bytes, page->text);
    snprintf(tag, sizeof tag, "<img class=\"%s\" alt=\"\" src=\"data:image/png;base64,", class);
    if (put(page, tag, error) < 0 ||
        output_write(&page->output, page->text, base64_length(bytes), error) < 0)
        return -1;
    return put(page, "\">\n", error);
}

/* Voxel of the page that voxel i of the volume lies in. */
static int64_t place(const struct resize_size *size, int axis, int64_t i)
{
    return i * size->out[axis] / size->in[axis];
}

static int add_labels(struct page *page, const uint8_t *label, struct error *error)
{
    const struct resize_size *size = &page->size;
    int64_t d = page->given;
    for (int64_t y = 0; y < size->in[1]; y++) {
        uint8_t *row = page->label + place(size, 1, y) * size->out[2];
        for (int64_t x = 0; x < size->in[2]; x++, label++) {
            uint8_t *to = &row[place(size, 2, x)];
            *to = *label > *to ? *label : *to;
        }
    }
    if (d + 1 < size->in[0] && place(size, 0, d) == place(size, 0, d + 1))
        return 0;
    int status = put_image(page, "label", page->label, error);
    memset(page->label, 0, (size_t)(size->out[1] * size->out[2]));
    return status;
}

int page_add(struct page *page, const float *slice, const uint8_t *label, struct error *error)
{
    int64_t count = page->size.out[1] * page->size.out[2];
    resize_put(page->resize, slice);
    while (resize_take(page->resize, page->real)) {
        for (int64_t i = 0; i < count; i++)
            page->gray[i] = window_gray((double)page->real[i], page->window);
        if (put_image(page, "slice", page->gray, error) < 0)
            return -1;
    }
    if (page->label && add_labels(page, label, error) < 0)
        return -1;
    page->given++;
    return 0;
}

int page_close(struct page *page, const char *path, struct error *error)
{
    int status = 0;
    if (put(page, "</div>\n<script>\n", error) < 0 ||
        output_write(&page->output, script, (size_t)(script_end - script), error) < 0 ||
        put(page, "</script>\n</body>\n</html>\n", error) < 0 ||
        (path && page->output.target && output_rename(&page->output, path, error) < 0)) {
        output_discard(&page->output);
        status = -1;
    } else {
        status = output_close(&page->output, error);
    }
    page_free(page);
    return status;
}
