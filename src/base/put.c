/* put.c - a number's digits are counted first, then written from the last to the first. */
#include "base/put.h"

#include "base/digits.h"

char *put_int(char *at, int64_t number)
{
    if (number >= 0) {
        return put_uint(at, (uint64_t)number);
    }
    *at = '-';
    return put_uint(at + 1, 0 - (uint64_t)number);
}

char *put_uint(char *at, uint64_t number)
{
    uint64_t left = number;
    uint64_t rest = number;
    unsigned count = 1;

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
