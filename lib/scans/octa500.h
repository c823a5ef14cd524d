/* The data set OCTA-500 (Li et al., Medical Image Analysis 2024): which scans there are, and where
 * its releases keep them. Ids 10001-10300 show 6x6 mm (400 slices of 640x400), 10301-10500 3x3 mm
 * (304 slices of 640x304), all of them 2 mm along the depth of the eye. */
#ifndef OCTPIPE_SCANS_OCTA500_H
#define OCTPIPE_SCANS_OCTA500_H

#include "lib/core/error.h"

#include <stdbool.h>

enum { OCTA500_FIRST = 10001, OCTA500_FIRST_3MM = 10301, OCTA500_SCANS = 500 };

enum octa500_kind {
    OCTA500_VOLUME,     /* a folder of slices 1.bmp, 2.bmp, … */
    OCTA500_LAYERS,     /* ID.mat */
    OCTA500_EN_FACE,    /* ID.bmp of ground truth */
    OCTA500_PROJECTION, /* ID.bmp of a projection of the volume */
};

double octa500_millimetres(int id); /* of the field along D and W */
double octa500_depth(void);         /* of the field along H */

/* Whether CA-LDM tests on a scan of 6 mm, else it trains: 97 and 203 of them, as the authors'
 * lists say (test_volume_names.json). */
bool octa500_tests(int id);

/* Mark the ids in a list such as 10001-10010,10305; unknown ones are refused. */
int octa500_parse(const char *text, bool chosen[OCTA500_SCANS], struct error *error);

/* The path of what belongs to a scan below `root`, in any of the spellings of the releases, which
 * the caller frees. `folder` is the innermost one that says what it is: OCT, GT_CAVF, OCT(FULL).
 * −1 where there is none. */
int octa500_path(char **path, const char *root, enum octa500_kind kind, const char *folder, int id,
                 struct error *error);

#endif
