/* recent_keys.h - the writer's index of table sent_key_recent, which itself has none.
 *
 * A key is at a random place among all keys of its account, so each send would dirty a page of
 * sent_key for it alone. In the order they came a commit's keys share a page; where one stands is
 * known here. When enough have gathered they move to sent_key in the order of accounts, where many
 * then share a page (sent_keys.c).
 *
 * It may have more than the table: what was undone stays until it is dropped, so whoever finds
 * something here looks at the row. It never has less.
 *
 * Uses:    base.
 * Used by: sent_keys.c, connection.c, batch.c.
 * Thread:  the writer's.
 * Memory:  32 bytes for each key there is room for, which doubles, and 24 more for each that moves:
 *          0.7 MB at most.
 */
#ifndef MIGCHAT_STORE_SQLITE_RECENT_KEYS_H
#define MIGCHAT_STORE_SQLITE_RECENT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* So many move together. */
#define RECENT_KEYS_DUE 8192u

struct recent_keys;

/* Never NULL. `due` 0: RECENT_KEYS_DUE. */
struct recent_keys *recent_keys_new(size_t due);
void recent_keys_free(struct recent_keys *keys);

/* After a rollback: nothing of it counts until the table has been read again. */
void recent_keys_forget(struct recent_keys *keys);
bool recent_keys_is_loaded(const struct recent_keys *keys);
/* Everything in the table was added. */
void recent_keys_set_loaded(struct recent_keys *keys);
/* Whether it was loaded since this was asked last. */
bool recent_keys_take_loaded(struct recent_keys *keys);

void recent_keys_add(struct recent_keys *keys, int64_t account_id, struct str key,
                     int64_t message_id);

/* A look for one key: the messages that may have it, one after the other. */
struct recent_look {
    uint64_t hash;
    size_t place;
};

struct recent_look recent_keys_look(const struct recent_keys *keys, int64_t account_id,
                                    struct str key);
/* False: there is no other. */
bool recent_keys_next(const struct recent_keys *keys, struct recent_look *look,
                      int64_t *out_message_id);

/* ---- moving ----------------------------------------------------------------------------------*/

/* How many were added since this was asked last. */
size_t recent_keys_take_added(struct recent_keys *keys);
/* Enough have gathered, and none are being moved. */
bool recent_keys_are_due(const struct recent_keys *keys);
/* Begins to move those of messages up to `last_message_id`. */
void recent_keys_move(struct recent_keys *keys, int64_t last_message_id);
bool recent_keys_are_moving(const struct recent_keys *keys);
/* The last of those being moved. */
int64_t recent_keys_moving_to(const struct recent_keys *keys);
/* The next to be moved, in the order of accounts. False: all were. */
bool recent_keys_take_moving(struct recent_keys *keys, int64_t *out_message_id);
/* What was moved is no longer in the table. */
void recent_keys_drop_moved(struct recent_keys *keys);

#endif
