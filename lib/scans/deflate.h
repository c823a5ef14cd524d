#ifndef OCTPIPE_SCANS_DEFLATE_H
#define OCTPIPE_SCANS_DEFLATE_H

/* Bytes that a byte of deflate stands for at most: a file that says more is refused before memory
 * is taken for it. */
enum { DEFLATE_MOST = 1032 };

#endif
