/* What a format of scan.h does, and the formats. */
#ifndef OCTPIPE_SCANS_FORMATS_H
#define OCTPIPE_SCANS_FORMATS_H

#include "lib/scans/scan.h"

/* `open` allocates *state, says how many volumes there are (0: unknown), and where they are alike
 * what each of them is; it leaves nothing behind when it fails. `next` is NULL where all volumes
 * are alike, and `read` goes on from one to the next. */
struct scan_format {
    int (*open)(void **state, const char *path, const struct scan_settings *settings,
                int64_t *volumes, struct array *array, struct error *error);
    int (*next)(void *state, struct array *array, struct error *error);
    int (*read)(void *state, void *slice, struct error *error);
    void (*close)(void *state);
};
extern const struct scan_format scan_slices, scan_tiff, scan_nifti, scan_npy, scan_raw;

#endif
