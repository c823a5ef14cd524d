/* The JSON of the stream: the metadata in a marked array's header, and the trailer after it.
 * Both are ASCII (other characters are escaped), one line, version 1; docs/stream.md lists the
 * fields. */
#ifndef OCTPIPE_IO_METADATA_H
#define OCTPIPE_IO_METADATA_H

#include "lib/io/array.h"

enum { METADATA_SIZE = 9000, TRAILER_SIZE = 256 };

/* The metadata of array as JSON, at most METADATA_SIZE bytes with the final 0: the oldest history
 * entries give way. */
int metadata_format(const struct array *array, char text[METADATA_SIZE], struct error *error);

/* Fill the metadata of array (not dtype, rank and shape) from JSON. Unknown fields are ignored,
 * missing ones are unknown. */
int metadata_parse(const char *text, struct array *array, struct error *error);

struct trailer {
    bool complete;    /* else the writer gave up, and the rest says nothing */
    int64_t bytes;    /* of the payload */
    uint32_t payload; /* CRC-32C of the payload */
    uint32_t header;  /* CRC-32C of the array's NPY header, magic and padding included */
};

void trailer_format(const struct trailer *trailer, char text[TRAILER_SIZE]);
int trailer_parse(const char *text, struct trailer *trailer, struct error *error);

#endif
