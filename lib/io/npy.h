/* Headers of NPY files (numpy.lib.format): magic, version, length, a dictionary, and our comment.
 *
 *     \x93NUMPY  major minor  length (u2, or u4 from version 2)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } # octpipe {json}    \n
 */
#ifndef OCTPIPE_IO_NPY_H
#define OCTPIPE_IO_NPY_H

#include "lib/io/array.h"

enum {
    NPY_ALIGNMENT = 64,   /* of a header's length; and of where a marked array starts */
    NPY_START = 12,       /* bytes that tell the header's length; 10 in version 1 */
    NPY_HEADER = 1 << 16, /* the longest header that is read */
    NPY_WRITTEN = 10000,  /* the longest that is written; NumPy refuses longer ones */
};

enum npy_role {
    NPY_ARRAY,   /* an array of the stream */
    NPY_TRAILER, /* the trailer of a marked one */
};

struct npy_header {
    enum npy_role role;
    bool big_endian;
    struct array array;
};

/* From the first NPY_START bytes of an array, where the dictionary starts and how long it is.
 * In version 1 the dictionary starts at byte 10, in 2 and 3 at byte 12. */
int npy_measure(const unsigned char start[NPY_START], int *offset, int64_t *length,
                struct error *error);

/* Read a dictionary and its comment into header; text is a string of that length. Refused: types
 * without a dtype here, Fortran order where it matters, impossible shapes. */
int npy_parse(const char *text, int64_t length, struct npy_header *header, struct error *error);

/* Write the whole header of an array of the stream, or of a trailer of `bytes` bytes; the length.
 */
int npy_format(const struct array *array, char text[NPY_WRITTEN], int *length, struct error *error);
int npy_format_trailer(int64_t bytes, char text[NPY_WRITTEN]);

#endif
