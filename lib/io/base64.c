#include "lib/io/base64.h"

#include <stdint.h>

size_t base64_length(size_t size)
{
    return (size + 2) / 3 * 4;
}

void base64_encode(const void *data, size_t size, char *text)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = data;
    for (size_t i = 0; i < size; i += 3, text += 4) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)from[i] << 16 | (uint32_t)(left > 1 ? from[i + 1] : 0) << 8 |
                        (uint32_t)(left > 2 ? from[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            text[k] = digit[bits >> (18 - 6 * k) & 63];
        for (size_t k = left + 1; k < 4; k++)
            text[k] = '=';
    }
}
