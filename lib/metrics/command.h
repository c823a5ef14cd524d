/* What octmetrics does for each kind of measure. These are parts of that filter: they read its
 * operands (a folder stands for its *.npy), print, and end it on an error as lib/io/filter.h says.
 */
#ifndef OCTPIPE_METRICS_COMMAND_H
#define OCTPIPE_METRICS_COMMAND_H

#include "lib/io/file_list.h"
#include "lib/io/filter.h"
#include "lib/metrics/measure.h"

enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_TSV };
enum command_plane { PLANE_ALL, PLANE_INTRA, PLANE_INTER };
extern const char *const command_planes[];   /* by enum command_plane */
extern const char *const command_features[]; /* auto, then by enum slice_network */

struct command_settings {
    enum report_format format;
    bool background;   /* measures of labels: class 0 counts too */
    int variation;     /* of tv: enum total_variation_kind */
    int64_t scales;    /* of MS-SSIM */
    int64_t pairs;     /* of volumes that the diversity compares at most */
    int64_t seed;      /* of what is drawn */
    int plane;         /* of distances of sets: enum command_plane */
    int features;      /* index into command_features */
    int64_t bootstrap; /* sets drawn for an interval; 0: none */
    int64_t subsets;   /* of kid, and slices of each at most */
    int64_t subset_size;
    int64_t factor[3]; /* by which nearest makes volumes smaller, along D, H, W */
};

/* A measure of arrays, or of pairs of arrays of A and B. Text and JSON of each, and of several
 * together; TSV of all together. */
void command_measure(struct filter *filter, enum measure_kind kind,
                     const struct command_settings *settings);

/* The mean MS-SSIM over pairs of volumes of one set: two slices are held. Files are read once for
 * their number of volumes, then for each pair. */
void command_diversity(struct filter *filter, const struct command_settings *settings);

/* The Fréchet distance, and the kernel inception distance, of features (slice_features.h) of the
 * slices of two sets of volumes. Slices (H,W) along D are intra; (D,W) along H and (H,D) along W,
 * all together, inter. Held are a batch of slices, for inter one volume, and of the features their
 * moments; for the kernel inception distance and a bootstrap also the features themselves. */
void command_fid(struct filter *filter, const struct command_settings *settings);
void command_kid(struct filter *filter, const struct command_settings *settings);

/* The nearest volume of B for each of A (nearest.h). Held are the small volumes of A and one of B.
 */
void command_nearest(struct filter *filter, const struct command_settings *settings);

/* The files of operands A and B; fewer or more, and stdin as both, are refused. */
void command_pair(struct filter *filter, const char *measure, struct file_list list[2]);

/* Make the files the filter's input, and close what was. */
void command_read(struct filter *filter, const struct file_list *list);

/* Refuse what is no volume, or of another shape than `first`, which becomes the first one asked
 * about: it starts as {0}. */
void command_expect_shape(struct filter *filter, const struct array *in, struct array *first);

/* Close the input, which has the names of the files, and free them. */
void command_done(struct filter *filter, struct file_list list[2]);

#endif
