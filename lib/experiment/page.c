#include "lib/experiment/page.h"

#include "lib/experiment/markup.h"
#include "lib/experiment/parts.h"

/* Linked in by the Makefile. */
extern const char style[] __asm__("_binary_lib_experiment_page_css_start");
extern const char style_end[] __asm__("_binary_lib_experiment_page_css_end");

static const char *const title[EXPERIMENT_KINDS] = {
    [EXPERIMENT_TABLE] = "Tables",    [EXPERIMENT_PICTURE] = "Pictures",
    [EXPERIMENT_CURVES] = "Training", [EXPERIMENT_FACTS] = "Measures",
    [EXPERIMENT_STREAM] = "Streams",  [EXPERIMENT_WEIGHTS] = "Weights",
};

static void put_head(FILE *out, const struct experiment_page *page)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "img-src data:; style-src 'unsafe-inline'\">\n<title>",
          out);
    markup_text(out, page->title);
    fputs("</title>\n<style>\n", out);
    fwrite(style, 1, (size_t)(style_end - style), out);
    fputs("</style>\n</head>\n<body>\n<h1>", out);
    markup_text(out, page->title);
    fputs("</h1>\n<p class=\"command\">", out);
    markup_text(out, page->command);
    fputs("</p>\n", out);
}

static int put_part(FILE *out, const struct experiment_page *page,
                    const struct experiment_file *file, struct error *error)
{
    switch (file->kind) {
    case EXPERIMENT_TABLE:
        return experiment_table(out, file->path, false, error);
    case EXPERIMENT_PICTURE:
        return markup_picture(out, file->path, error);
    case EXPERIMENT_CURVES:
        return experiment_curves(out, file->path, page->logarithmic, error);
    case EXPERIMENT_FACTS:
        return experiment_table(out, file->path, true, error);
    case EXPERIMENT_STREAM:
        return experiment_stream(out, file->path, page->limit, error);
    default:
        return experiment_weights(out, file->path, error);
    }
}

/* What the results are comes first and open, how they came about is folded. */
static int put_file(FILE *out, const struct experiment_page *page,
                    const struct experiment_file *file, struct error *error)
{
    bool open = file->kind == EXPERIMENT_TABLE || file->kind == EXPERIMENT_PICTURE ||
                file->kind == EXPERIMENT_CURVES;
    fprintf(out, "<details%s>\n<summary>", open ? " open" : "");
    markup_text(out, file->path);
    fputs("</summary>\n", out);
    int status = put_part(out, page, file, error);
    fputs("</details>\n", out);
    return status;
}

int experiment_page(FILE *out, const struct experiment_page *page,
                    const struct experiment_files *files, struct error *error)
{
    int section = -1;
    put_head(out, page);
    for (int i = 0; i < files->count; i++) {
        const struct experiment_file *file = &files->file[i];
        if ((int)file->kind != section)
            fprintf(out, "%s<section>\n<h2>%s</h2>\n", section < 0 ? "" : "</section>\n",
                    title[file->kind]);
        section = (int)file->kind;
        if (put_file(out, page, file, error) < 0)
            return -1;
    }
    fputs("</section>\n</body>\n</html>\n", out);
    return ferror(out) ? error_set(error, "no memory for the page") : 0;
}
