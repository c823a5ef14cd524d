/* Python's pickles as data: what PyTorch writes is read into a tree of values, and nothing is ever
 * imported or called.
 *
 * A class or function that a pickle names (GLOBAL) is a pair of texts, a call (REDUCE, NEWOBJ) is
 * a value that holds the callee and its arguments. Their meaning is given afterwards, by name, to
 * the few that tensors need (lib/checkpoint/checkpoint.h). The opcodes are those of protocols 2 to
 * 5; the text opcodes of protocols 0 and 1, INST, OBJ and the extension registry are refused. */
#ifndef OCTPIPE_CHECKPOINT_PICKLE_H
#define OCTPIPE_CHECKPOINT_PICKLE_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Where reading ends; a pickle that needs more is refused. */
enum {
    PICKLE_BYTES = 1 << 26,  /* of one pickle */
    PICKLE_VALUES = 1 << 21, /* values, stack entries, memo slots, and items of containers: each */
    PICKLE_MARKS = 1 << 10,  /* containers open at a time */
};

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,        /* of at most 8 bytes */
    PICKLE_LONG,       /* longer: bytes, little endian */
    PICKLE_REAL,       /* its value is not kept */
    PICKLE_TEXT,       /* str, bytes */
    PICKLE_TUPLE,      /* items */
    PICKLE_LIST,       /* items; sets too */
    PICKLE_DICT,       /* items: key, value, key, value … */
    PICKLE_GLOBAL,     /* items: module, name (texts) */
    PICKLE_PERSISTENT, /* items: the identifier */
    PICKLE_CALL,       /* items: callee, arguments, then keys and values that were set */
};

struct pickle_value {
    enum pickle_kind kind;
    bool state; /* call: BUILD gave it a state, which is not kept */
    int32_t count, capacity;
    union {
        int64_t integer;
        struct {
            const char *text; /* in the pickle, not terminated; its length is `count` */
        };
        const struct pickle_value **item;
    };
};

/* The values of one or several pickles; the pickles' bytes must outlive it. {0} is empty. */
struct pickle {
    struct pickle_value **block; /* of values */
    int64_t count, items;
    const struct pickle_value **global; /* every GLOBAL, in order of appearance */
    int64_t globals, globals_capacity;
    const struct pickle_value **persistent; /* every persistent identifier */
    int64_t persistents, persistents_capacity;
};

/* Read the pickle at the start of data; *used becomes its length, *root what it makes. Errors name
 * the opcode and the byte. After an error the pickle can only be freed. */
int pickle_read(struct pickle *pickle, const unsigned char *data, int64_t size, int64_t *used,
                const struct pickle_value **root, struct error *error);
void pickle_free(struct pickle *pickle);

/* Is value this text? the global module.name? NULL is neither. */
bool pickle_is_text(const struct pickle_value *value, const char *text);
bool pickle_is_global(const struct pickle_value *value, const char *module, const char *name);

/* The value of a key of a dict, or of an ordered dict (a call of collections.OrderedDict); NULL
 * where there is none. */
const struct pickle_value *pickle_find(const struct pickle_value *dict, const char *key);

/* Keys and values of a dict or ordered dict: item[0 … 2·n−1]; −1: value is neither. An ordered
 * dict's arguments must be empty. */
int64_t pickle_pairs(const struct pickle_value *value, const struct pickle_value *const **item);

/* "module.name" of a global or of what a call calls, else the kind ("a list"), for messages. */
const char *pickle_describe(const struct pickle_value *value, char *text, int size);

#endif
