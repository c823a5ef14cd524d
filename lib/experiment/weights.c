#include "lib/experiment/markup.h"
#include "lib/experiment/parts.h"
#include "lib/io/crc32c.h"
#include "lib/io/safetensors.h"

#include <string.h>

enum { SHORT = 200 };

/* Long values but the history, such as the list of training data, are folded away. */
static void put_metadata(FILE *out, const char *key, const char *value)
{
    bool folded = strlen(value) > SHORT && strcmp(key, "history") != 0;
    size_t lines = 1;
    for (const char *at = value; *at; at++)
        lines += *at == '\n';
    fputs("<dt>", out);
    markup_text(out, key);
    fputs("</dt><dd>", out);
    if (folded)
        fprintf(out, "<details><summary>%zu lines</summary>", lines);
    fputs("<pre>", out);
    markup_text(out, value);
    fprintf(out, "</pre>%s</dd>\n", folded ? "</details>" : "");
}

int experiment_weights(FILE *out, const char *path, struct error *error)
{
    struct safetensors file;
    int64_t numbers = 0;
    if (safetensors_open(&file, path, error) < 0)
        return -1;
    for (int64_t i = 0; i < file.count; i++)
        numbers += file.tensor[i].bytes / dtype_size(file.tensor[i].dtype);
    fprintf(out, "<p>%lld tensors of %lld numbers, %lld bytes, crc32c of the file %08x</p>\n<dl>\n",
            (long long)file.count, (long long)numbers, (long long)file.map_bytes,
            crc32c(0, file.map, (size_t)file.map_bytes));
    for (int64_t i = 0; i < file.metadata_count; i++)
        put_metadata(out, file.metadata_key[i], file.metadata_value[i]);
    fputs("</dl>\n", out);
    safetensors_close(&file);
    return 0;
}
