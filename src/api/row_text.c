/* row_text.c - a number's digits are counted first, then written from the last to the first. */
#include "api/row_text.h"

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
    for (char *digit = at + count; digit > at; left /= 10) {
        digit--;
        *digit = (char)('0' + left % 10);
    }
    return at + count;
}
