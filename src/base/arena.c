/* arena.c - chunks linked newest to oldest; allocation bumps a count in the newest.
 *
 * 1. An ordinary chunk is FIRST bytes, each further one twice the last ordinary one, up to LAST.
 * 2. What does not fit an ordinary chunk gets one of exactly its size.
 * 3. At most one chunk has the FIRST size: it is the one arena_clear keeps.
 * 4. Under AddressSanitizer all bytes that are not allocated are poisoned, so a read behind an
 *    allocation's end or after arena_rewind is reported like one of freed memory.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#ifdef ARENA_POISONS
/* Declared here because not every compiler that can instrument brings the header. */
void __asan_poison_memory_region(void const volatile *at, size_t size);
void __asan_unpoison_memory_region(void const volatile *at, size_t size);
#define POISON(at, size) __asan_poison_memory_region((at), (size))
#define UNPOISON(at, size) __asan_unpoison_memory_region((at), (size))
#else
#define POISON(at, size) ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#endif

#define CHUNK_FIRST_BYTES ((size_t)4 * 1024)
#define CHUNK_LAST_BYTES ((size_t)64 * 1024)
#define ALIGNMENT alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *previous;
    size_t size_bytes;     /* of `bytes` */
    size_t ordinary_bytes; /* size of the newest ordinary chunk here or before; 0 for none */
    size_t used_bytes;     /* once there is a newer one */
    alignas(max_align_t) char bytes[];
};

static size_t round_up(size_t size);
static void chunk_add(struct arena *arena, size_t least_bytes);
static void chunk_drop_newest(struct arena *arena);
static void chunk_leave(struct arena *arena);
static void chunk_wipe(struct arena *arena, size_t begin, size_t end);

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_release(struct arena *arena)
{
    while (arena->chunk != NULL) {
        chunk_drop_newest(arena);
    }
    arena_init(arena);
}

void arena_clear(struct arena *arena)
{
    struct arena_chunk *kept = NULL;

    while (arena->chunk != NULL) {
        if (arena->chunk->size_bytes == CHUNK_FIRST_BYTES && kept == NULL) {
            kept = arena->chunk;
            if (arena->is_secret) {
                chunk_wipe(arena, 0, arena->used_bytes);
            }
            chunk_leave(arena);
        } else {
            chunk_drop_newest(arena);
        }
    }
    arena_init(arena);
    if (kept != NULL) {
        kept->previous = NULL;
        kept->ordinary_bytes = kept->size_bytes;
        arena->chunk = kept;
        arena->total_bytes = kept->size_bytes;
        POISON(kept->bytes, kept->size_bytes);
    }
}

void arena_shrink(struct arena *arena)
{
    if (arena->chunk != NULL && arena->chunk->previous == NULL && arena->used_bytes == 0) {
        arena_release(arena);
    }
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t taken_bytes = round_up(size);

    if (arena->chunk == NULL || arena->chunk->size_bytes - arena->used_bytes < taken_bytes) {
        chunk_add(arena, taken_bytes);
    }
    char *at = arena->chunk->bytes + arena->used_bytes;
    arena->used_bytes += taken_bytes;
    UNPOISON(at, size);
    return at;
}

void *arena_alloc_zero(struct arena *arena, size_t size)
{
    void *at = arena_alloc(arena, size);

    memset(at, 0, size);
    return at;
}

struct str arena_copy(struct arena *arena, struct str s)
{
    REQUIRE(s.len < SIZE_MAX);
    char *copy = arena_alloc(arena, s.len + 1);

    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return (struct str){copy, s.len};
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->chunk, arena->used_bytes};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    if (mark.chunk == NULL) {
        arena_clear(arena);
        return;
    }
    while (arena->chunk != mark.chunk) {
        REQUIRE(arena->chunk != NULL);
        chunk_drop_newest(arena);
    }
    if (arena->is_secret) {
        chunk_wipe(arena, mark.used_bytes, arena->used_bytes);
    }
    arena->used_bytes = mark.used_bytes;
    POISON(mark.chunk->bytes + mark.used_bytes, mark.chunk->size_bytes - mark.used_bytes);
}

/* At least one unit, so that two allocations never share an address. */
static size_t round_up(size_t size)
{
    REQUIRE(size <= SIZE_MAX / 2);
    return size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void chunk_add(struct arena *arena, size_t least_bytes)
{
    size_t last_bytes = arena->chunk == NULL ? 0 : arena->chunk->ordinary_bytes;
    size_t ordinary_bytes = last_bytes == 0 ? CHUNK_FIRST_BYTES : last_bytes * 2;

    if (ordinary_bytes > CHUNK_LAST_BYTES) {
        ordinary_bytes = CHUNK_LAST_BYTES;
    }
    bool is_ordinary = least_bytes <= ordinary_bytes;
    size_t size_bytes = is_ordinary ? ordinary_bytes : least_bytes;
    struct arena_chunk *chunk = malloc(sizeof *chunk + size_bytes);
    REQUIRE(chunk != NULL);
    if (arena->chunk != NULL) {
        arena->chunk->used_bytes = arena->used_bytes;
    }
    chunk->previous = arena->chunk;
    chunk->size_bytes = size_bytes;
    chunk->ordinary_bytes = is_ordinary ? ordinary_bytes : last_bytes;
    POISON(chunk->bytes, size_bytes);
    arena->chunk = chunk;
    arena->used_bytes = 0;
    arena->total_bytes += size_bytes;
}

static void chunk_drop_newest(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunk;

    if (arena->is_secret) {
        chunk_wipe(arena, 0, arena->used_bytes);
    }
    chunk_leave(arena);
    arena->total_bytes -= chunk->size_bytes;
    UNPOISON(chunk->bytes, chunk->size_bytes);
    free(chunk);
}

static void chunk_leave(struct arena *arena)
{
    arena->chunk = arena->chunk->previous;
    arena->used_bytes = arena->chunk != NULL ? arena->chunk->used_bytes : 0;
}

/* Part of the newest chunk, if need be. */
static void chunk_wipe(struct arena *arena, size_t begin, size_t end)
{
    UNPOISON(arena->chunk->bytes + begin, end - begin);
    explicit_bzero(arena->chunk->bytes + begin, end - begin);
}
