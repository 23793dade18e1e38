/* list_reference.h - two accounts with messages, and the lists these must give, rendered plainly.
 *
 * What is sent through it is written down in order. A list that the API gives is compared with
 * one made from that, by other code than the server's.
 *
 * Uses:    support/loopback.h, domain, the fake store.
 * Used by: unit tests of api.
 * Thread:  one.
 */
#ifndef MIGCHAT_TEST_LIST_REFERENCE_H
#define MIGCHAT_TEST_LIST_REFERENCE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "support/loopback.h"

#define ANNA_ID 1
#define BEN_ID 2
#define CARL_ID 3 /* after reference_create_carl; his name has quotes in it */

#define SENT_MAX 2048u
#define SENT_TEXT_MAX_BYTES (64u * 1024u)
#define LIST_MAX_BYTES (256u << 20)

/* One message of anna's log. */
struct sent {
    int64_t from_id;
    int64_t to_id;
    int64_t seq;
    int64_t at_ms;
    struct str text; /* escaped */
};

struct list_reference {
    struct store *store;
    struct loopback loopback;
    char anna[TOKEN_LEN + 1];
    char ben[TOKEN_LEN + 1];
    struct sent sent[SENT_MAX];
    size_t sent_count;
    struct arena texts;
};
extern struct list_reference reference;

/* For cmocka: before and after each test. */
int reference_set_up(void **state);
int reference_tear_down(void **state);
void reference_create_carl(void);

/* Sends one message from or to anna, within a batch. */
void reference_send(int64_t from_id, int64_t to_id, struct str text);
/* Sends `count` short ones, in a batch of its own: of five, two to ben, one from him, one to
 * herself, one from carl. */
void reference_send_small(size_t count);
/* `len` times the same byte; lasts as long as the test. */
struct str reference_text(char fill, size_t len);

/* A name as it stands in JSON. */
const char *reference_name(int64_t account_id);
/* Appends anna's entries in (after, before), with `other_id` or with all (0), newest first, at
 * most `limit`, as the API must list them. The seq of the last one, 0 for none. */
int64_t reference_write(struct buf *out, int64_t other_id, int64_t after, int64_t before,
                        size_t limit);

/* GET by anna. */
void reference_ask(const char *target, between_pages between, struct answer *out_answer);

#endif
