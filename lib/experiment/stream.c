#include "lib/experiment/markup.h"
#include "lib/experiment/parts.h"
#include "lib/io/crc32c.h"
#include "lib/io/stream.h"

#include <stdlib.h>
#include <string.h>

/* Read the array at hand; *checksum becomes that of its payload. */
static int read_payload(struct stream_reader *reader, const struct array *array, uint32_t *checksum,
                        struct error *error)
{
    int64_t slices = array_slices(array), bytes = array_bytes(array) / slices;
    *checksum = 0;
    void *data = malloc((size_t)(array_batch(array, slices) * bytes));
    if (!data)
        return error_set(error, "no memory for a slice");
    int status = 0;
    for (int64_t done = 0, count; status == 0 && done < slices; done += count) {
        count = array_batch(array, slices - done);
        status = stream_reader_read(reader, data, count, error);
        if (status == 0)
            *checksum = crc32c(*checksum, data, (size_t)(count * bytes));
    }
    free(data);
    return status;
}

static void put_history(FILE *out, const char *history)
{
    fputs("<ol>\n", out);
    while (*history) {
        size_t length = strcspn(history, "\n");
        fputs("<li>", out);
        markup_text_part(out, history, length);
        fputs("</li>\n", out);
        history += length + (history[length] == '\n');
    }
    fputs("</ol>\n", out);
}

static void put_array(FILE *out, const struct array *array, int64_t number, uint32_t checksum)
{
    char text[128];
    fprintf(out, "<p>array %lld: ", (long long)number);
    markup_text(out, array_describe(array, text, sizeof text));
    if (*array->kind) {
        fputs(", ", out);
        markup_text(out, array->kind);
    }
    fprintf(out, ", crc32c %08x</p>\n", checksum);
}

int experiment_stream(FILE *out, const char *path, int64_t limit, struct error *error)
{
    struct stream_reader *reader;
    struct array array;
    char *shown = NULL; /* the history above, which several arrays have in common */
    uint32_t checksum;
    int found;
    if (stream_reader_open(&reader, &path, 1, limit, error) < 0)
        return error_prefix(error, "%s", path);
    for (int64_t number = 1; (found = stream_reader_next(reader, &array, error)) > 0; number++) {
        if (read_payload(reader, &array, &checksum, error) < 0) {
            found = -1;
            break;
        }
        put_array(out, &array, number, checksum);
        if (*array.history && !(shown && strcmp(shown, array.history) == 0)) {
            put_history(out, array.history);
            free(shown);
            shown = strdup(array.history);
        }
    }
    free(shown);
    stream_reader_close(reader);
    return found < 0 ? error_prefix(error, "%s", path) : 0;
}
