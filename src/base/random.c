/* random.c - getrandom(2), asked until it has given everything. */
#include "base/random.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/require.h"

#define ALPHABET_LEN 62u
#define ALPHABET_FAIR_BELOW (256u / ALPHABET_LEN * ALPHABET_LEN) /* 248 */
#define DRAWN_BYTES 64u

void random_fill(void *out, size_t len)
{
    uint8_t *at = out;

    while (len > 0) {
        ssize_t given = getrandom(at, len, 0);
        REQUIRE(given > 0 || (given < 0 && errno == EINTR));
        if (given > 0) {
            at += given;
            len -= (size_t)given;
        }
    }
}

void random_alphanumeric(char *out, size_t len)
{
    static const char alphabet[ALPHABET_LEN + 1] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint8_t drawn[DRAWN_BYTES];
    size_t made = 0;

    while (made < len) {
        random_fill(drawn, sizeof drawn);
        for (size_t i = 0; i < sizeof drawn && made < len; i++) {
            if (drawn[i] < ALPHABET_FAIR_BELOW) {
                out[made++] = alphabet[drawn[i] % ALPHABET_LEN];
            }
        }
    }
    out[len] = '\0';
    /* What was drawn may be part of a token. */
    explicit_bzero(drawn, sizeof drawn);
}

uint64_t number_mixed(uint64_t number)
{
    number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
    return number ^ (number >> 31);
}
