/* The stack machine that a pickle is a program for; for lib/checkpoint/pickle*.c. */
#ifndef OCTPIPE_CHECKPOINT_PICKLE_MACHINE_H
#define OCTPIPE_CHECKPOINT_PICKLE_MACHINE_H

#include "lib/checkpoint/pickle_value.h"

struct machine {
    struct pickle *pickle;
    const struct pickle_value **stack, **memo;
    int64_t depth, stack_capacity, memo_count, memo_capacity;
    int64_t mark[PICKLE_MARKS]; /* the stack's depth where each open container starts */
    int marks;
    bool stopped;
    struct error *error;

    /* Of the opcode at hand. */
    int argument;     /* from the table */
    int64_t number;   /* what the pickle brings: a number, or a length … */
    const char *text; /* … of these bytes */
};

enum opcode_form {
    OPCODE_BARE,
    OPCODE_UNSIGNED, /* `width` bytes, little endian */
    OPCODE_SIGNED,   /* 4 bytes */
    OPCODE_BYTES,    /* a length of `width` bytes, and so many bytes */
    OPCODE_LINES,    /* two, each with its newline */
};

/* By code; name NULL: not known; run NULL: refused. */
extern const struct opcode {
    const char *name;
    enum opcode_form form;
    int width;
    int (*run)(struct machine *machine);
    int argument;
} opcodes[256];

void machine_free(struct machine *machine); /* the pickle's values stay */

#endif
