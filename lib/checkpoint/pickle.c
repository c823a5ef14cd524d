#include "lib/checkpoint/pickle.h"
#include "lib/checkpoint/pickle_machine.h"

#include <string.h>

/* The pickle's bytes that are still to be read. */
struct rest {
    const unsigned char *data;
    int64_t size;
};

static const char *take(struct rest *rest, uint64_t count, struct error *error)
{
    const char *bytes = (const char *)rest->data;
    if (count > (uint64_t)rest->size) {
        error_set(error, "the pickle is cut short");
        return NULL;
    }
    rest->data += count;
    rest->size -= (int64_t)count;
    return bytes;
}

static int take_number(struct rest *rest, int width, uint64_t *number, struct error *error)
{
    const char *bytes = take(rest, (uint64_t)width, error);
    *number = 0;
    for (int i = width - 1; bytes && i >= 0; i--)
        *number = *number << 8 | (unsigned char)bytes[i];
    return bytes ? 0 : -1;
}

/* Two lines, the bytes of a GLOBAL. */
static int take_lines(struct rest *rest, struct machine *m)
{
    const unsigned char *end = rest->data;
    for (int line = 0; line < 2; line++) {
        int64_t left = rest->size - (end - rest->data);
        const unsigned char *newline = left ? memchr(end, '\n', (size_t)left) : NULL;
        if (!newline)
            return error_set(m->error, "the pickle is cut short");
        end = newline + 1;
    }
    m->number = end - rest->data;
    m->text = take(rest, (uint64_t)m->number, m->error);
    return 0;
}

static int take_operand(const struct opcode *opcode, struct rest *rest, struct machine *m)
{
    uint64_t number = 0;
    if (opcode->form == OPCODE_LINES)
        return take_lines(rest, m);
    if (take_number(rest, opcode->width, &number, m->error))
        return -1;
    if (opcode->form == OPCODE_BYTES && !(m->text = take(rest, number, m->error)))
        return -1;
    m->number = opcode->form == OPCODE_SIGNED ? (int32_t)number : (int64_t)number;
    return 0;
}

static int run(struct machine *m, struct rest *rest)
{
    while (!m->stopped) {
        const unsigned char *start = rest->data;
        if (!take(rest, 1, m->error))
            return -1;
        const struct opcode *opcode = &opcodes[*start];
        m->argument = opcode->argument;
        if (!opcode->name)
            return error_set(m->error, "there is no opcode 0x%02x", *start);
        if (!opcode->run)
            error_set(m->error, "it is not read");
        if (!opcode->run || take_operand(opcode, rest, m) || opcode->run(m))
            return error_prefix(m->error, "%s", opcode->name);
    }
    return 0;
}

int pickle_read(struct pickle *pickle, const unsigned char *data, int64_t size, int64_t *used,
                const struct pickle_value **root, struct error *error)
{
    struct machine machine = {.pickle = pickle, .error = error};
    struct rest rest = {data, size < PICKLE_BYTES ? size : PICKLE_BYTES};
    int status = run(&machine, &rest);
    *used = rest.data - data;
    if (status && rest.size == 0 && size > PICKLE_BYTES)
        status = error_set(error, "longer than %d bytes", PICKLE_BYTES);
    else if (status)
        error_prefix(error, "pickle, before byte %lld", (long long)*used);
    else
        *root = machine.stack[machine.depth - 1];
    machine_free(&machine);
    return status;
}
