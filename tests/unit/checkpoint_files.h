/* What the checkpoints' tests share: pickles and legacy files put together byte by byte. */
#ifndef OCTPIPE_TESTS_CHECKPOINT_FILES_H
#define OCTPIPE_TESTS_CHECKPOINT_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A pickle, or a file, that grows. */
struct bytes {
    char data[8192];
    size_t count;
};

static inline void put(struct bytes *b, const void *data, size_t count)
{
    memcpy(b->data + b->count, data, count);
    b->count += count;
}

/* Opcodes without zeros. */
static inline void put_codes(struct bytes *b, const char *codes)
{
    put(b, codes, strlen(codes));
}

static inline void put_text(struct bytes *b, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    put_codes(b, "X");
    put(b, &length, 4);
    put_codes(b, text);
}

static inline void put_number(struct bytes *b, int64_t number)
{
    put_codes(b, "\x8a\x08");
    put(b, &number, 8);
}

static inline void put_numbers(struct bytes *b, int rank, const int64_t *number)
{
    put_codes(b, "(");
    for (int i = 0; i < rank; i++)
        put_number(b, number[i]);
    put_codes(b, "t");
}

/* A tensor as torch.save writes it. */
struct written_tensor {
    const char *key; /* of its storage */
    const char *type;
    int64_t count; /* of its storage */
    int64_t offset;
    int rank;
    int64_t shape[9], stride[9];
};

static inline void put_tensor(struct bytes *b, const struct written_tensor *t)
{
    put_codes(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(b, "storage");
    put_codes(b, "ctorch\n");
    put_codes(b, t->type);
    put_codes(b, "\n");
    put_text(b, t->key);
    put_text(b, "cpu");
    put_number(b, t->count);
    put_codes(b, "tQ");
    put_number(b, t->offset);
    put_numbers(b, t->rank, t->shape);
    put_numbers(b, t->rank, t->stride);
    put_codes(b, "\x89"
                 "ccollections\nOrderedDict\n)RtR");
}

/* What stands before the object's pickle in a legacy file. */
static inline void put_legacy_start(struct bytes *b, const char *magic, int64_t protocol,
                                    const char *little)
{
    put_codes(b, "\x80\x02\x8a\x0a");
    put_codes(b, magic);
    put_codes(b, ".\x80\x02");
    put_number(b, protocol);
    put_codes(b, ".\x80\x02}");
    put_text(b, "little_endian");
    put_codes(b, little);
    put_codes(b, "s.");
}

static const char legacy_magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

#endif
