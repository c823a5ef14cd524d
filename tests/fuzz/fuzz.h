/* Fuzzing of what reads files: tests/fuzz/fuzz_NAME.c is a target, testdata/fuzz/NAME its corpus.
 *
 * `make fuzz` looks for inputs that crash, hang or take memory; `make test` feeds each target its
 * corpus (main.c). Another target is another file here, and a folder of small inputs. */
#ifndef OCTPIPE_TESTS_FUZZ_H
#define OCTPIPE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_LIMIT = 1 << 20 }; /* bytes that readers may take at a time */

/* One input; returns 0. The name and the type are libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The path of a regular file with these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

#endif
