#include "lib/checkpoint/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { HIGHEST_PROTOCOL = 5, FIRST_CAPACITY = 1024 };

typedef const struct pickle_value *value_pointer;

static int push(struct machine *m, value_pointer value)
{
    if (!value)
        return -1;
    if (m->depth == m->stack_capacity) {
        int64_t larger = m->stack_capacity ? 2 * m->stack_capacity : FIRST_CAPACITY;
        value_pointer *more = NULL;
        if (larger > PICKLE_VALUES)
            return error_set(m->error, "more than %d entries on the stack", PICKLE_VALUES);
        if (!(more = realloc(m->stack, (size_t)larger * sizeof *more)))
            return error_set(m->error, "out of memory");
        m->stack = more;
        m->stack_capacity = larger;
    }
    m->stack[m->depth++] = value;
    return 0;
}

/* Are there so many entries on the stack since the last mark? */
static int need(struct machine *m, int64_t count)
{
    int64_t bottom = m->marks ? m->mark[m->marks - 1] : 0;
    return m->depth - bottom >= count ? 0 : error_set(m->error, "the stack is empty");
}

/* All values are made by pickle_new; they are constant to those who look at them. */
static struct pickle_value *top(struct machine *m)
{
    return (struct pickle_value *)(uintptr_t)m->stack[m->depth - 1];
}

/* Take the top entries into a new value. */
static int collect(struct machine *m, enum pickle_kind kind, int64_t count)
{
    struct pickle_value *value = pickle_new(m->pickle, kind, m->error);
    if (need(m, count) || !value ||
        (count > 0 && pickle_add(m->pickle, value, m->stack + m->depth - count, count, m->error)))
        return -1;
    m->depth -= count;
    return push(m, value);
}

/* Close the last mark: the number of entries since, or −1. */
static int64_t close_mark(struct machine *m)
{
    if (!m->marks)
        return error_set(m->error, "no mark is open");
    return m->depth - m->mark[--m->marks];
}

static int proto(struct machine *m)
{
    if (m->number > HIGHEST_PROTOCOL)
        return error_set(m->error, "protocol %lld is not known", (long long)m->number);
    return 0;
}

static int frame(struct machine *m)
{
    (void)m;
    return 0;
}

static int stop(struct machine *m)
{
    m->stopped = true;
    return need(m, 1);
}

static int mark(struct machine *m)
{
    if (m->marks == PICKLE_MARKS)
        return error_set(m->error, "more than %d containers are open", PICKLE_MARKS);
    m->mark[m->marks++] = m->depth;
    return 0;
}

static int pop(struct machine *m)
{
    if (need(m, 1))
        return -1;
    m->depth--;
    return 0;
}

static int pop_mark(struct machine *m)
{
    int64_t count = close_mark(m);
    m->depth -= count < 0 ? 0 : count;
    return count < 0 ? -1 : 0;
}

static int dup(struct machine *m)
{
    return need(m, 1) ? -1 : push(m, top(m));
}

static int push_number(struct machine *m, enum pickle_kind kind, int64_t number)
{
    struct pickle_value *value = pickle_new(m->pickle, kind, m->error);
    if (value)
        value->integer = number;
    return push(m, value);
}

static int constant(struct machine *m)
{
    return push_number(m, (enum pickle_kind)m->argument, 0);
}

static int truth(struct machine *m)
{
    return push_number(m, PICKLE_BOOL, m->argument);
}

static int integer(struct machine *m)
{
    return push_number(m, PICKLE_INT, m->number);
}

static int push_text(struct machine *m, enum pickle_kind kind, const char *text, int64_t length)
{
    struct pickle_value *value = pickle_new(m->pickle, kind, m->error);
    if (value) {
        value->text = text;
        value->count = (int32_t)length;
    }
    return push(m, value);
}

static int text(struct machine *m)
{
    return push_text(m, PICKLE_TEXT, m->text, m->number);
}

/* Two's complement, little endian, of as many bytes as it takes. */
static int long_integer(struct machine *m)
{
    if (m->number > (int64_t)sizeof(int64_t))
        return push_text(m, PICKLE_LONG, m->text, m->number);
    bool negative = m->number && m->text[m->number - 1] & 0x80;
    uint64_t number = negative ? UINT64_MAX : 0;
    for (int64_t i = m->number - 1; i >= 0; i--)
        number = number << 8 | (unsigned char)m->text[i];
    return push_number(m, PICKLE_INT, (int64_t)number);
}

static int empty(struct machine *m)
{
    return collect(m, (enum pickle_kind)m->argument, 0);
}

static int short_tuple(struct machine *m)
{
    return collect(m, PICKLE_TUPLE, m->argument);
}

static int marked(struct machine *m)
{
    int64_t count = close_mark(m);
    if (m->argument == PICKLE_DICT && count > 0 && count % 2)
        return error_set(m->error, "a key without a value");
    return count < 0 ? -1 : collect(m, (enum pickle_kind)m->argument, count);
}

/* Move the top `count` entries into the container below them. What a call makes may be a list or a
 * dict of its own; only keys and values are kept there. */
static int extend(struct machine *m, int64_t count)
{
    enum pickle_kind kind = (enum pickle_kind)m->argument;
    if (count < 0 || need(m, count + 1))
        return -1;
    m->depth -= count;
    struct pickle_value *to = top(m);
    if (kind == PICKLE_DICT && count % 2)
        return error_set(m->error, "a key without a value");
    if (to->kind == PICKLE_CALL && kind == PICKLE_LIST)
        return 0;
    if (to->kind != kind && to->kind != PICKLE_CALL)
        return error_set(m->error, "not a %s", kind == PICKLE_DICT ? "dict" : "list");
    return pickle_add(m->pickle, to, m->stack + m->depth, count, m->error);
}

static int extend_by_one(struct machine *m)
{
    return extend(m, m->argument == PICKLE_DICT ? 2 : 1);
}

static int extend_by_marked(struct machine *m)
{
    return extend(m, close_mark(m));
}

/* From the module and the name on the stack. */
static int stack_global(struct machine *m)
{
    struct pickle *p = m->pickle;
    if (collect(m, PICKLE_GLOBAL, 2))
        return -1;
    if (top(m)->item[0]->kind != PICKLE_TEXT || top(m)->item[1]->kind != PICKLE_TEXT)
        return error_set(m->error, "a module or its name is not a text");
    return pickle_list(&p->global, &p->globals, &p->globals_capacity, top(m), m->error);
}

static int global(struct machine *m)
{
    const char *end = memchr(m->text, '\n', (size_t)m->number), *name = end + 1;
    if (push_text(m, PICKLE_TEXT, m->text, end - m->text) ||
        push_text(m, PICKLE_TEXT, name, m->text + m->number - 1 - name))
        return -1;
    return stack_global(m);
}

/* Python 2 gives an ordered dict its pairs as an argument. */
static int take_pairs(struct machine *m, struct pickle_value *call)
{
    const struct pickle_value *arguments = call->item[1];
    if (!arguments->count || !pickle_is_global(call->item[0], "collections", "OrderedDict"))
        return 0;
    const struct pickle_value *pairs = arguments->item[0];
    bool fits = arguments->count == 1 && pairs->kind == PICKLE_LIST;
    for (int i = 0; fits && i < pairs->count; i++) {
        const struct pickle_value *pair = pairs->item[i];
        fits = (pair->kind == PICKLE_LIST || pair->kind == PICKLE_TUPLE) && pair->count == 2;
        if (fits && pickle_add(m->pickle, call, pair->item, 2, m->error))
            return -1;
    }
    return fits ? 0 : error_set(m->error, "an ordered dict of no list of pairs");
}

static int call(struct machine *m)
{
    if (need(m, 2))
        return -1;
    if (top(m)->kind != PICKLE_TUPLE)
        return error_set(m->error, "arguments are not a tuple");
    return collect(m, PICKLE_CALL, 2) ? -1 : take_pairs(m, top(m));
}

/* Keyword arguments are not kept: no known call has any. */
static int call_with_keywords(struct machine *m)
{
    return pop(m) ? -1 : call(m);
}

static int build(struct machine *m)
{
    if (need(m, 2) || pop(m))
        return -1;
    if (top(m)->kind != PICKLE_CALL)
        return error_set(m->error, "a state for what is no object");
    top(m)->state = true;
    return 0;
}

static int persistent(struct machine *m)
{
    struct pickle *p = m->pickle;
    if (collect(m, PICKLE_PERSISTENT, 1))
        return -1;
    return pickle_list(&p->persistent, &p->persistents, &p->persistents_capacity, top(m), m->error);
}

static int put(struct machine *m)
{
    if (need(m, 1))
        return -1;
    if (m->number >= PICKLE_VALUES)
        return error_set(m->error, "memo slot %lld, beyond %d", (long long)m->number,
                         PICKLE_VALUES);
    if (m->number >= m->memo_capacity) {
        int64_t larger = 2 * m->number + FIRST_CAPACITY;
        value_pointer *more = realloc(m->memo, (size_t)larger * sizeof *more);
        if (!more)
            return error_set(m->error, "out of memory");
        memset(more + m->memo_capacity, 0, (size_t)(larger - m->memo_capacity) * sizeof *more);
        m->memo = more;
        m->memo_capacity = larger;
    }
    m->memo_count += !m->memo[m->number];
    m->memo[m->number] = top(m);
    return 0;
}

static int memoize(struct machine *m)
{
    m->number = m->memo_count;
    return put(m);
}

static int get(struct machine *m)
{
    if (m->number >= m->memo_capacity || !m->memo[m->number])
        return error_set(m->error, "memo slot %lld is empty", (long long)m->number);
    return push(m, m->memo[m->number]);
}

void machine_free(struct machine *m)
{
    free(m->stack);
    free(m->memo);
}

const struct opcode opcodes[256] = {
    [0x80] = {"PROTO", OPCODE_UNSIGNED, 1, proto, 0},
    [0x95] = {"FRAME", OPCODE_UNSIGNED, 8, frame, 0},
    ['.'] = {"STOP", OPCODE_BARE, 0, stop, 0},
    ['('] = {"MARK", OPCODE_BARE, 0, mark, 0},
    ['0'] = {"POP", OPCODE_BARE, 0, pop, 0},
    ['1'] = {"POP_MARK", OPCODE_BARE, 0, pop_mark, 0},
    ['2'] = {"DUP", OPCODE_BARE, 0, dup, 0},
    ['N'] = {"NONE", OPCODE_BARE, 0, constant, PICKLE_NONE},
    [0x88] = {"NEWTRUE", OPCODE_BARE, 0, truth, true},
    [0x89] = {"NEWFALSE", OPCODE_BARE, 0, truth, false},
    ['J'] = {"BININT", OPCODE_SIGNED, 4, integer, 0},
    ['K'] = {"BININT1", OPCODE_UNSIGNED, 1, integer, 0},
    ['M'] = {"BININT2", OPCODE_UNSIGNED, 2, integer, 0},
    [0x8a] = {"LONG1", OPCODE_BYTES, 1, long_integer, 0},
    [0x8b] = {"LONG4", OPCODE_BYTES, 4, long_integer, 0},
    ['G'] = {"BINFLOAT", OPCODE_UNSIGNED, 8, constant, PICKLE_REAL},
    ['T'] = {"BINSTRING", OPCODE_BYTES, 4, text, 0},
    ['U'] = {"SHORT_BINSTRING", OPCODE_BYTES, 1, text, 0},
    ['X'] = {"BINUNICODE", OPCODE_BYTES, 4, text, 0},
    [0x8c] = {"SHORT_BINUNICODE", OPCODE_BYTES, 1, text, 0},
    [0x8d] = {"BINUNICODE8", OPCODE_BYTES, 8, text, 0},
    ['B'] = {"BINBYTES", OPCODE_BYTES, 4, text, 0},
    ['C'] = {"SHORT_BINBYTES", OPCODE_BYTES, 1, text, 0},
    [0x8e] = {"BINBYTES8", OPCODE_BYTES, 8, text, 0},
    [0x96] = {"BYTEARRAY8", OPCODE_BYTES, 8, text, 0},
    [')'] = {"EMPTY_TUPLE", OPCODE_BARE, 0, empty, PICKLE_TUPLE},
    [0x85] = {"TUPLE1", OPCODE_BARE, 0, short_tuple, 1},
    [0x86] = {"TUPLE2", OPCODE_BARE, 0, short_tuple, 2},
    [0x87] = {"TUPLE3", OPCODE_BARE, 0, short_tuple, 3},
    ['t'] = {"TUPLE", OPCODE_BARE, 0, marked, PICKLE_TUPLE},
    [']'] = {"EMPTY_LIST", OPCODE_BARE, 0, empty, PICKLE_LIST},
    ['a'] = {"APPEND", OPCODE_BARE, 0, extend_by_one, PICKLE_LIST},
    ['e'] = {"APPENDS", OPCODE_BARE, 0, extend_by_marked, PICKLE_LIST},
    ['l'] = {"LIST", OPCODE_BARE, 0, marked, PICKLE_LIST},
    ['}'] = {"EMPTY_DICT", OPCODE_BARE, 0, empty, PICKLE_DICT},
    ['s'] = {"SETITEM", OPCODE_BARE, 0, extend_by_one, PICKLE_DICT},
    ['u'] = {"SETITEMS", OPCODE_BARE, 0, extend_by_marked, PICKLE_DICT},
    ['d'] = {"DICT", OPCODE_BARE, 0, marked, PICKLE_DICT},
    [0x8f] = {"EMPTY_SET", OPCODE_BARE, 0, empty, PICKLE_LIST},
    [0x90] = {"ADDITEMS", OPCODE_BARE, 0, extend_by_marked, PICKLE_LIST},
    [0x91] = {"FROZENSET", OPCODE_BARE, 0, marked, PICKLE_LIST},
    ['c'] = {"GLOBAL", OPCODE_LINES, 0, global, 0},
    [0x93] = {"STACK_GLOBAL", OPCODE_BARE, 0, stack_global, 0},
    ['R'] = {"REDUCE", OPCODE_BARE, 0, call, 0},
    [0x81] = {"NEWOBJ", OPCODE_BARE, 0, call, 0},
    [0x92] = {"NEWOBJ_EX", OPCODE_BARE, 0, call_with_keywords, 0},
    ['b'] = {"BUILD", OPCODE_BARE, 0, build, 0},
    ['Q'] = {"BINPERSID", OPCODE_BARE, 0, persistent, 0},
    ['q'] = {"BINPUT", OPCODE_UNSIGNED, 1, put, 0},
    ['r'] = {"LONG_BINPUT", OPCODE_UNSIGNED, 4, put, 0},
    [0x94] = {"MEMOIZE", OPCODE_BARE, 0, memoize, 0},
    ['h'] = {"BINGET", OPCODE_UNSIGNED, 1, get, 0},
    ['j'] = {"LONG_BINGET", OPCODE_UNSIGNED, 4, get, 0},
    /* Refused by name. */
    ['I'] = {.name = "INT"},
    ['L'] = {.name = "LONG"},
    ['F'] = {.name = "FLOAT"},
    ['S'] = {.name = "STRING"},
    ['V'] = {.name = "UNICODE"},
    ['P'] = {.name = "PERSID"},
    ['p'] = {.name = "PUT"},
    ['g'] = {.name = "GET"},
    ['i'] = {.name = "INST"},
    ['o'] = {.name = "OBJ"},
    [0x82] = {.name = "EXT1"},
    [0x83] = {.name = "EXT2"},
    [0x84] = {.name = "EXT4"},
    [0x97] = {.name = "NEXT_BUFFER"},
    [0x98] = {.name = "READONLY_BUFFER"},
};
