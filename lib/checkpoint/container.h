/* The files that torch.save writes, as a pickle and the storages that it refers to.
 *
 * Zip (PyTorch 1.6 and later): NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder;
 * stored or deflated, checksums are verified. Legacy: the pickles of a magic number, of the
 * protocol, of the system, of the object, and of the storages' keys; then each storage's number of
 * elements (i64) and bytes. Big-endian files are refused. */
#ifndef OCTPIPE_CHECKPOINT_CONTAINER_H
#define OCTPIPE_CHECKPOINT_CONTAINER_H

#include "kernels/tensor.h"
#include "lib/checkpoint/pickle.h"

/* What a persistent identifier says: ('storage', torch.FloatStorage, key, device, count). */
struct storage {
    const struct pickle_value *key; /* a text */
    enum dtype dtype;
    int64_t count, bytes;
};
int storage_read(struct storage *storage, const struct pickle_value *persistent,
                 struct error *error);

/* The order of keys, for sorting. */
int storage_compare(const struct pickle_value *a, const struct pickle_value *b);

struct container;

/* Open a file and read its pickles. */
int container_open(struct container **container, const char *path, struct error *error);
void container_close(struct container *container); /* NULL is fine */

/* The object's pickle, and what it makes. They live as long as the container. */
const struct pickle *container_pickle(const struct container *container);
const struct pickle_value *container_root(const struct container *container);

/* Read a storage from its beginning: begin, read in pieces until all is read, end; one at a time.
 * A storage of another size than its identifier says is an error, and so is a wrong checksum. Each
 * begin is followed by an end. */
int container_begin(struct container *container, const struct storage *storage,
                    struct error *error);
int container_read(struct container *container, void *data, int64_t bytes, struct error *error);
int container_end(struct container *container, struct error *error);

#endif
