/* random.h - bytes from the system generator (getrandom), and a mixture that only looks random.
 *
 * Uses: libc. Used by: domain, http, store. Thread: any. A failing generator aborts.
 */
#ifndef MIGCHAT_BASE_RANDOM_H
#define MIGCHAT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_fill(void *out, size_t len);
/* `len` characters of [A-Za-z0-9], each equally likely (rejection, no modulo bias), and a NUL. */
void random_alphanumeric(char *out, size_t len);
/* One to one, and neighbours end far apart: the finish of splitmix64 (Steele, Lea and Flood, Fast
 * splittable pseudorandom number generators, 2014). Secret to nobody; 0 stays 0. */
uint64_t number_mixed(uint64_t number);

#endif
