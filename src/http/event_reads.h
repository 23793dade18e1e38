/* event_reads.h - reads of several accounts' events, lent to a lane together.
 *
 * Streams hold no events; when their account's log has grown, the loop asks for what is behind the
 * cursor of one of them. Many accounts change with one commit, so their reads go in one exchange.
 *
 * Uses:    base.
 * Used by: net/streams (asks), api/event_reads (answers).
 * Thread:  whoever holds the exchange.
 * Memory:  heap, from the streams' pool; given back emptied.
 */
#ifndef MIGCHAT_HTTP_EVENT_READS_H
#define MIGCHAT_HTTP_EVENT_READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"

/* Accounts in one exchange, events of all of them together, and their bytes, which only the first
 * event may exceed: so one exchange takes a bounded time and memory. */
#define EVENT_READS_MAX 64u
#define EVENT_RECORDS_MAX 512u
#define EVENT_BYTES_MAX (64u * 1024u)

struct streams; /* net/streams.h */

/* More than any event is: SQLite stores no longer text (SQLITE_MAX_LENGTH). */
#define EVENT_FRAMES_MAX_BYTES ((size_t)1 << 31)

/* An event in `bytes`, as Server-Sent Events frame it; its JSON is a part of that. */
struct event_record {
    int64_t seq;
    int64_t ended_session_id; /* 0 when it tells of no session's end */
    size_t at;
    size_t len;
    size_t json_at;
    size_t json_len;
};

enum event_verdict {
    EVENTS_NOT_REACHED, /* there was no room left: ask again */
    EVENTS_READ,        /* records are the entries after_seq + 1, and so on without a gap */
    EVENTS_OVER         /* the log is shorter than that: its account is being removed */
};

/* One account's. */
struct event_read {
    int64_t account_id;
    int64_t after_seq;
    enum event_verdict verdict;
    bool has_more; /* there may be entries above the last record */
    size_t first;  /* of `records` */
    size_t count;
};

struct event_reads {
    struct list node;        /* in the pool */
    struct streams *streams; /* whose it is (net/streams.h); only the loop follows it */
    struct event_read reads[EVENT_READS_MAX];
    size_t read_count;
    struct event_record records[EVENT_RECORDS_MAX];
    size_t record_count;
    struct buf bytes;
};

#endif
