/* decimal.c - from the last digit to the first. */
#include "api/decimal.h"

struct str decimal_text(int64_t number, char text[DECIMAL_MAX_BYTES])
{
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t at = DECIMAL_MAX_BYTES;

    do {
        at--;
        text[at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        at--;
        text[at] = '-';
    }
    return (struct str){text + at, DECIMAL_MAX_BYTES - at};
}
