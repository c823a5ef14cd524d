/* CRC-32C (Castagnoli, RFC 3720): the checksum of the stream's payloads. */
#ifndef OCTPIPE_IO_CRC32C_H
#define OCTPIPE_IO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` covers followed by data; crc is 0 for nothing. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same by tables, whatever the processor has; crc32c chooses. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif
