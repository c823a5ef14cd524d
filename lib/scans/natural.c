#include "lib/scans/natural.h"

#include <ctype.h>
#include <string.h>

/* Compare the numbers that *a and *b start with, and step over them. */
static int compare_numbers(const char **a, const char **b)
{
    while (**a == '0')
        (*a)++;
    while (**b == '0')
        (*b)++;
    size_t a_digits = strspn(*a, "0123456789"), b_digits = strspn(*b, "0123456789");
    int order = a_digits != b_digits ? (a_digits > b_digits) - (a_digits < b_digits)
                                     : strncmp(*a, *b, a_digits);
    *a += a_digits;
    *b += b_digits;
    return order;
}

int natural_compare(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x && *y) {
        int order;
        if (isdigit((unsigned char)*x) && isdigit((unsigned char)*y)) {
            order = compare_numbers(&x, &y);
        } else {
            order = (unsigned char)*x - (unsigned char)*y;
            x++;
            y++;
        }
        if (order)
            return order;
    }
    return *x || *y ? (*x != 0) - (*y != 0) : strcmp(a, b);
}
