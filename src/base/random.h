/* random.h - bytes from the system generator (getrandom).
 *
 * Uses: libc. Used by: domain, http, store. Thread: any. A failing generator aborts.
 */
#ifndef MIGCHAT_BASE_RANDOM_H
#define MIGCHAT_BASE_RANDOM_H

#include <stddef.h>

void random_fill(void *out, size_t len);
/* `len` characters of [A-Za-z0-9], each equally likely (rejection, no modulo bias), and a NUL. */
void random_alphanumeric(char *out, size_t len);

#endif
