#include "lib/io/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* RFC 3720, appendix B.4, and the check value of the polynomial. */
static void test_known_values(void **state)
{
    (void)state;
    unsigned char bytes[32] = {0};
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
}

/* Any length, any alignment, in one piece, in two, and by tables. */
static void test_pieces_and_tables(void **state)
{
    (void)state;
    unsigned char bytes[300];
    uint32_t word = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        word = word * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(word >> 24);
    }
    for (size_t from = 0; from < 9; from++)
        for (size_t size = 0; from + size <= sizeof bytes; size++) {
            uint32_t whole = crc32c(0, bytes + from, size),
                     first = crc32c(0, bytes + from, size / 3);
            assert_int_equal(whole, crc32c(first, bytes + from + size / 3, size - size / 3));
            assert_int_equal(whole, crc32c_by_table(0, bytes + from, size));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_pieces_and_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
