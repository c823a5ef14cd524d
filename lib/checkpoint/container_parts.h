/* The two kinds of container; for lib/checkpoint/container.c. The functions are those of
 * lib/checkpoint/container.h. */
#ifndef OCTPIPE_CHECKPOINT_CONTAINER_PARTS_H
#define OCTPIPE_CHECKPOINT_CONTAINER_PARTS_H

#include "lib/checkpoint/container.h"

struct archive; /* zip */
int archive_open(struct archive **archive, const char *path, struct pickle *pickle,
                 const struct pickle_value **root, struct error *error);
int archive_begin(struct archive *archive, const struct storage *storage, struct error *error);
int archive_read(struct archive *archive, void *data, int64_t bytes, struct error *error);
int archive_end(struct archive *archive, struct error *error);
void archive_close(struct archive *archive);

struct legacy;
int legacy_open(struct legacy **legacy, const char *path, struct pickle *pickle,
                const struct pickle_value **root, struct error *error);
int legacy_begin(struct legacy *legacy, const struct storage *storage, struct error *error);
int legacy_read(struct legacy *legacy, void *data, int64_t bytes, struct error *error);
void legacy_close(struct legacy *legacy);

#endif
