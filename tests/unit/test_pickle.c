/* Pickles: what they make, what is refused, and that nothing they say takes memory or time beyond
 * the limits. */
#include "lib/checkpoint/pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pickle pickle;
static const struct pickle_value *root;
static struct error error;

static int read_bytes(const void *data, size_t size)
{
    int64_t used;
    int status = pickle_read(&pickle, data, (int64_t)size, &used, &root, &error);
    assert_in_range(used, 0, size);
    return status;
}

/* A literal, whose bytes may be zero. */
#define READ(literal) read_bytes("" literal, sizeof(literal) - 1)

static void expect(int status, const char *reason)
{
    if (status != -1 || !strstr(error.text, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, error.text);
    pickle_free(&pickle);
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(
        READ("\x80\x02(NK\x07M\x01\x02J\xfe\xff\xff\xff\x88U\2abX\1\0\0\0cG\0\0\0\0\0\0\0\0t."), 0);
    assert_int_equal(root->kind, PICKLE_TUPLE);
    assert_int_equal(root->count, 8);
    assert_int_equal(root->item[0]->kind, PICKLE_NONE);
    assert_int_equal(root->item[1]->integer, 7);
    assert_int_equal(root->item[2]->integer, 0x201);
    assert_int_equal(root->item[3]->integer, -2);
    assert_int_equal(root->item[4]->integer, 1);
    assert_true(pickle_is_text(root->item[5], "ab"));
    assert_false(pickle_is_text(root->item[5], "a"));
    assert_true(pickle_is_text(root->item[6], "c"));
    assert_int_equal(root->item[7]->kind, PICKLE_REAL);
    pickle_free(&pickle);
    assert_int_equal(READ("(\x8a\0\x8a\x01\xff\x8a\x02\xff\0\x8b\x03\0\0\0\0\0\x80\x8a\x09"
                          "123456789l."),
                     0);
    assert_int_equal(root->item[0]->integer, 0);
    assert_int_equal(root->item[1]->integer, -1);
    assert_int_equal(root->item[2]->integer, 255);
    assert_int_equal(root->item[3]->integer, -0x800000);
    assert_int_equal(root->item[4]->kind, PICKLE_LONG);
    assert_int_equal(root->item[4]->count, 9);
    pickle_free(&pickle);
}

static void test_dicts(void **state)
{
    (void)state;
    const struct pickle_value *const *item;
    assert_int_equal(READ("}(U\1aK\1U\1bK\2uU\1aK\3s."), 0);
    assert_int_equal(pickle_find(root, "a")->integer, 3);
    assert_int_equal(pickle_find(root, "b")->integer, 2);
    assert_null(pickle_find(root, "c"));
    pickle_free(&pickle);
    /* As Python 3 writes it, and as Python 2 does. */
    assert_int_equal(READ("ccollections\nOrderedDict\n)RU\1aK\5s."), 0);
    assert_int_equal(pickle_pairs(root, &item), 1);
    assert_int_equal(pickle_find(root, "a")->integer, 5);
    pickle_free(&pickle);
    assert_int_equal(READ("ccollections\nOrderedDict\n](](U\1aK\5ee\x85R."), 0);
    assert_int_equal(pickle_pairs(root, &item), 1);
    assert_int_equal(pickle_find(root, "a")->integer, 5);
    pickle_free(&pickle);
    expect(READ("ccollections\nOrderedDict\nK\1\x85R."), "REDUCE: an ordered dict");
    expect(READ("ccollections\nOrderedDict\n](](U\1aee\x85R."), "REDUCE: an ordered dict");
}

static void test_calls_are_not_made(void **state)
{
    (void)state;
    char text[64];
    assert_int_equal(READ("cos\nsystem\nU\x09touch /x\0\x85Rq\0."), 0);
    assert_int_equal(root->kind, PICKLE_CALL);
    assert_true(pickle_is_global(root->item[0], "os", "system"));
    assert_string_equal(pickle_describe(root, text, sizeof text), "os.system");
    assert_int_equal(pickle.globals, 1);
    pickle_free(&pickle);
    /* Protocol 4: the module and its name on the stack, memo by order, keyword arguments. */
    assert_int_equal(READ("\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\1m\x94\x8c\1n\x94\x93\x94)}\x92\x94"
                          "Nbh\2\x86."),
                     0);
    assert_true(root->item[0]->state);
    assert_true(pickle_is_global(root->item[1], "m", "n"));
    pickle_free(&pickle);
    char control[] = "cm\x1b\nn\n.";
    assert_int_equal(read_bytes(control, strlen(control)), 0);
    assert_string_equal(pickle_describe(root, text, sizeof text), "m?.n");
    pickle_free(&pickle);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *reason;
    } cases[] = {
        {"", "cut short"},
        {"N", "cut short"},
        {"\x80\x07N.", "PROTO: protocol 7"},
        {"(ios\nsystem\n.", "INST: it is not read"},
        {"(o.", "OBJ: it is not read"},
        {"\x82\x01.", "EXT1: it is not read"},
        {"I1\n.", "INT: it is not read"},
        {"S'x'\n.", "STRING: it is not read"},
        {"Px\n.", "PERSID: it is not read"},
        {"\x97.", "NEXT_BUFFER: it is not read"},
        {"\xff", "no opcode 0xff"},
        {"h\x05.", "BINGET: memo slot 5 is empty"},
        {"Nr\xff\xff\xff\xff.", "LONG_BINPUT: memo slot 4294967295, beyond"},
        {"j\xff\xff\xff\xff.", "LONG_BINGET: memo slot 4294967295 is empty"},
        {"X\xff\xff\xff\xff.", "BINUNICODE: the pickle is cut short"},
        {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "BINUNICODE8: the pickle is cut short"},
        {"cos\nsystem", "GLOBAL: the pickle is cut short"},
        {"cos", "GLOBAL: the pickle is cut short"},
        {"NN\x93.", "a module or its name is not a text"},
        {"NNR.", "arguments are not a tuple"},
        {"NNb.", "a state for what is no object"},
        {"N(e.", "not a list"},
        {"N(u.", "not a dict"},
        {"}(Nu.", "a key without a value"},
        {"(Nd.", "a key without a value"},
        {"t.", "no mark is open"},
        {"1.", "no mark is open"},
        {"N(0.", "the stack is empty"},
        {"N(.", "the stack is empty"},
        {"N(\x85.", "the stack is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(read_bytes(cases[i].bytes, strlen(cases[i].bytes)), cases[i].reason);
}

/* Any opcodes after one another, with any operands, end or are refused. */
static void test_every_opcode(void **state)
{
    (void)state;
    static const char *const starts[] = {"", "N", "(", "N(", ")", "](", "}(", "NN", "cm\nn\n)R"};
    unsigned char bytes[64];
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)
        for (int first = 0; first < 256; first++)
            for (int second = 0; second < 256; second += 1 + (first > 0x80)) {
                size_t length = strlen(starts[s]);
                memset(bytes, 0, sizeof bytes);
                memcpy(bytes, starts[s], length);
                bytes[length] = (unsigned char)first;
                bytes[length + 1] = (unsigned char)second;
                bytes[length + 2] = '.';
                read_bytes(bytes, sizeof bytes);
                pickle_free(&pickle);
            }
}

/* `count` times the byte, and STOP. */
static int read_many(const char *start, char byte, size_t count)
{
    size_t length = strlen(start);
    char *bytes = malloc(length + count + 1);
    assert_non_null(bytes);
    memcpy(bytes, start, length);
    memset(bytes + length, byte, count);
    bytes[length + count] = '.';
    int status = read_bytes(bytes, length + count + 1);
    free(bytes);
    return status;
}

static void test_bombs(void **state)
{
    (void)state;
    expect(read_many("", '(', PICKLE_MARKS + 1), "MARK: more than 1024 containers");
    expect(read_many("", 'N', PICKLE_VALUES + 1), "more than 2097152");
    expect(read_many("N", '2', PICKLE_VALUES + 1), "more than 2097152 entries on the stack");
    assert_int_equal(read_many("N", (char)0x85, 1000000), 0); /* nested, not recursive */
    pickle_free(&pickle);
    expect(read_many("N", '\x94', PICKLE_VALUES + 1), "MEMOIZE: memo slot 2097152, beyond");
    expect(read_many("N", 'q', PICKLE_BYTES + 1), "longer than 67108864 bytes");
    /* Ten levels of lists of ten times the list before: small until somebody walks it. */
    char laughs[512] = "]q", *to = laughs + 3;
    for (char level = 1; level < 10; level++) {
        *to++ = ']';
        *to++ = '(';
        for (int i = 0; i < 10; i++) {
            *to++ = 'h';
            *to++ = (char)(level - 1);
        }
        *to++ = 'e';
        *to++ = 'q';
        *to++ = level;
    }
    *to++ = '.';
    assert_int_equal(read_bytes(laughs, (size_t)(to - laughs)), 0);
    assert_int_equal(root->count, 10);
    pickle_free(&pickle);
    /* A list that holds itself. */
    assert_int_equal(READ("]q\0h\0a."), 0);
    assert_ptr_equal(root->item[0], root);
    pickle_free(&pickle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_dicts),
        cmocka_unit_test(test_calls_are_not_made),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_opcode),
        cmocka_unit_test(test_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
