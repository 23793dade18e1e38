/* row_text.c - a number's digits are counted first, then written from the last to the first. */
#include "api/row_text.h"

#include "base/digits.h"

char *row_decimal(char *at, int64_t number)
{
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    uint64_t rest = left;
    unsigned count = 1;

    if (number < 0) {
        *at = '-';
        at++;
    }
    while (rest >= 1000) {
        rest /= 1000;
        count += 3;
    }
    count += rest >= 100 ? 2 : rest >= 10 ? 1 : 0;
    char *digit = at + count;
    while (left >= 100) {
        digit -= 2;
        digits_write_pair(digit, (unsigned)(left % 100));
        left /= 100;
    }
    if (left >= 10) {
        digits_write_pair(at, (unsigned)left);
    } else {
        *at = (char)('0' + left);
    }
    return at + count;
}
