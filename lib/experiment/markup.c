#include "lib/experiment/markup.h"

#include "lib/io/base64.h"

#include <errno.h>
#include <string.h>

/* Bytes that are encoded at a time: a multiple of three, so that pieces join. */
enum { PIECE = 3 << 14, SIGNATURE = 8 };

void markup_text_part(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '&')
            fputs("&amp;", out);
        else if (byte == '<')
            fputs("&lt;", out);
        else if (byte == '>')
            fputs("&gt;", out);
        else if (byte == '"')
            fputs("&quot;", out);
        else
            fputc((byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7f ? ' ' : byte, out);
    }
}

void markup_text(FILE *out, const char *text)
{
    markup_text_part(out, text, strlen(text));
}

/* An element of the PNG that begins with these bytes. */
static void put_picture(FILE *out, const char *path, FILE *file, char bytes[PIECE], size_t count)
{
    char text[PIECE / 3 * 4];
    fputs("<img alt=\"", out);
    markup_text(out, path);
    fputs("\" src=\"data:image/png;base64,", out);
    for (; count > 0; count = fread(bytes, 1, PIECE, file)) {
        base64_encode(bytes, count, text);
        fwrite(text, 1, base64_length(count), out);
    }
    fputs("\">\n", out);
}

int markup_picture(FILE *out, const char *path, struct error *error)
{
    char bytes[PIECE];
    int status = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, "%s: %s", path, strerror(errno));
    size_t count = fread(bytes, 1, sizeof bytes, file);
    if (count < SIGNATURE || memcmp(bytes, "\x89PNG\r\n\x1a\n", SIGNATURE) != 0)
        status = error_set(error, "%s: not a PNG", path);
    else
        put_picture(out, path, file, bytes, count);
    if (status == 0 && ferror(file))
        status = error_set(error, "%s: cannot read it", path);
    fclose(file);
    return status;
}
