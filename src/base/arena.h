/* arena.h - memory that ends all at once, with what it served.
 *
 * A bump allocator over chunks. Every exchange has one. Nothing is freed singly; a mark lets a
 * long list reuse what one page took. Memory exhaustion aborts (REQUIRE): sizes are limited at
 * the edge instead (head, body, page), so an arena never grows by what a client merely claims.
 *
 * Uses: base/require, libc. Used by: everyone. Thread: one at a time; it travels with its owner.
 */
#ifndef MIGCHAT_BASE_ARENA_H
#define MIGCHAT_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* newest; NULL before the first allocation */
    size_t used_bytes;         /* in the newest chunk */
    size_t total_bytes;        /* of all chunks */
    bool is_secret;            /* may hold a password or token: what was used is wiped before it is
                                  used for anything else. Set by whoever fills it, until it is
                                  emptied. */
};

/* What was in use when the mark was taken. */
struct arena_mark {
    struct arena_chunk *chunk;
    size_t used_bytes;
};

void arena_init(struct arena *arena);
/* Gives all memory back; the arena can be used again. */
void arena_release(struct arena *arena);
/* Empties the arena but keeps one chunk of ordinary size for the next use. */
void arena_clear(struct arena *arena);
/* Gives the memory that was kept back, unless something is in it. */
void arena_shrink(struct arena *arena);
/* `size` bytes aligned for any type, not cleared. Never NULL. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same, filled with zero bytes. */
void *arena_alloc_zero(struct arena *arena, size_t size);
/* A copy of the bytes, with a NUL behind it (not counted). */
struct str arena_copy(struct arena *arena, struct str s);
struct arena_mark arena_mark(const struct arena *arena);
/* Forgets everything allocated since the mark. */
void arena_rewind(struct arena *arena, struct arena_mark mark);

#define ARENA_NEW(arena, type) ((type *)arena_alloc_zero((arena), sizeof(type)))

#endif
