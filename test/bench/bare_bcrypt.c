/* bare_bcrypt.c - how many passwords one core hashes: what sign-ups and log-ins can cost at least.
 *
 * usage: bare_bcrypt COST SECONDS
 */
#include <crypt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
    static struct crypt_data work;
    char setting[64];
    unsigned count = 0;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: bare_bcrypt COST SECONDS\n");
        return 2;
    }
    (void)snprintf(setting, sizeof setting, "$2b$%02u$abcdefghijklmnopqrstuu",
                   (unsigned)strtoul(argv[1], NULL, 10));
    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu_begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t ends_at = begun + (uint64_t)(strtod(argv[2], NULL) * 1e9);

    while (clock_ns(CLOCK_MONOTONIC) < ends_at) {
        if (crypt_r("correct horse", setting, &work) == NULL) {
            (void)fprintf(stderr, "bare_bcrypt: bcrypt is not there\n");
            return 1;
        }
        count++;
    }
    (void)printf("{\"seconds\": %.6f, \"requests\": %u, \"cpu_ns\": %llu}\n",
                 (double)(clock_ns(CLOCK_MONOTONIC) - begun) / 1e9, count,
                 (unsigned long long)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begun));
    return 0;
}
