/* Scans and labels of OCTA-500 as arrays of the stream. Reasons name the file. */
#ifndef OCTPIPE_SCANS_OCTA500_READ_H
#define OCTPIPE_SCANS_OCTA500_READ_H

#include "lib/scans/en_face.h"
#include "lib/scans/scan.h"

enum octa500_labels {
    OCTA500_LABEL_LAYERS,      /* surfaces (6,D,W) f4 */
    OCTA500_LABEL_ARTERY_VEIN, /* 1 in arteries, 2 in veins, 3 where they cross */
    OCTA500_LABEL_CAVF,        /* as stored, 0 to 4 */
    OCTA500_LABEL_CAPILLARY,   /* this and the next two: 0 and 1 */
    OCTA500_LABEL_FAZ,
    OCTA500_LABEL_LARGE_VESSEL,
    OCTA500_LABEL_OCT_FULL, /* projections of the volumes, as stored */
    OCTA500_LABEL_OCTA_ILM_OPL,
    OCTA500_LABELS,
};
extern const char *const octa500_label_names[OCTA500_LABELS + 1]; /* "layers", … NULL */

struct octa500_source {
    const char *root;
    bool flow;              /* volumes of the modality OCTA, not OCT */
    enum en_face_turn turn; /* of en-face files */
    int64_t limit;          /* bytes of a slice, map or surfaces; 0: half of the machine's memory */
};

/* Look whether a scan's labels are there, or with labels < 0 its volume: −1 says what is not. */
int octa500_find(const struct octa500_source *source, int labels, int id, struct error *error);

/* Open the volume of a scan and describe it (D,H,W), spacing included; its slices must be 1.bmp to
 * D.bmp. Slices are read by scan_read, and scan_close ends it. */
int octa500_open_volume(struct scan **scan, struct array *array,
                        const struct octa500_source *source, int id, struct error *error);

/* Read surfaces or an en-face map (D,W) u1 into *data, which free releases. Where the volume is
 * there too, they must fit it, and give it the spacing along H. */
int octa500_read_labels(struct array *array, void **data, const struct octa500_source *source,
                        enum octa500_labels labels, int id, struct error *error);

#endif
