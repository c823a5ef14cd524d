/* Natural order of names: numbers in them count by their value, 2.png before 10.png. */
#ifndef OCTPIPE_SCANS_NATURAL_H
#define OCTPIPE_SCANS_NATURAL_H

/* Below, at or above 0 as a comes before b, is b, or comes after. Names that differ only in leading
 * zeros are ordered as strcmp does. */
int natural_compare(const char *a, const char *b);

#endif
