/* streams.c - accounts that are followed, and one read at a time for each.
 *
 *   news of an account -> its streams are behind -> it is due -> on_turn lends a read
 *   (with those of other accounts) -> streams_read_returned -> conn_take_events for each stream
 *
 * 1. An account is due or has a read lent, never both; without either, none of its streams is
 *    behind and able to take events.
 * 2. A read starts at the cursor of the stream that waited longest; every other one whose cursor
 *    lies in what was read gets its part of it. So a device that catches up with a long history
 *    delays another by one read at most.
 * 3. Following begins before the look at what changed since: see base/changes.h.
 */
#include "net/streams.h"

#include <stdlib.h>

#include "base/require.h"
#include "http/event_reads.h"
#include "http/kept_request.h"
#include "net/conn.h"
#include "net/connections.h"
#include "net/followed.h"
#include "net/polls.h"

/* A larger scratch is given back after its use. */
#define SCRATCH_KEPT_BYTES (256u * 1024u)

static enum stream_kind traffic_kind(const struct stream *stream);
static void account_tell(struct streams *streams, struct followed *account);
static void all_tell(struct streams *streams);
static void account_due(struct streams *streams, struct followed *account);
static void turn_start(struct streams *streams);
static void on_turn(uv_idle_t *turn);
static void reads_end(struct streams *streams, struct exchange *exchange);
static void reads_fill(struct streams *streams, struct event_reads *reads);
static const struct stream *stream_waiting(const struct followed *account);
static bool stream_can_take(const struct stream *stream);
static void account_returned(struct streams *streams, struct followed *account,
                             const struct exchange *exchange, const struct event_read *read);
static struct event_reads *reads_take(struct streams *streams);

void streams_open(struct streams *streams, struct connections *connections, struct changes *changes,
                  const struct route *reads_route)
{
    *streams = (struct streams){
        .connections = connections, .changes = changes, .reads_route = reads_route};
    list_init(&streams->due);
    list_init(&streams->pool);
    buf_init(&streams->scratch, EVENT_FRAMES_MAX_BYTES);
    REQUIRE(uv_idle_init(connections->loop, &streams->turn) == 0);
}

void streams_close(struct streams *streams, uv_close_cb on_closed)
{
    struct list *node;

    REQUIRE(streams->account_count == 0 && streams->reads_lent == 0);
    while ((node = list_take_first(&streams->pool)) != NULL) {
        struct event_reads *reads = container_of(node, struct event_reads, node);

        buf_release(&reads->bytes);
        free(reads);
    }
    free(streams->buckets);
    streams->buckets = NULL;
    buf_release(&streams->scratch);
    websocket_pool_release(&streams->websockets);
    uv_close((uv_handle_t *)&streams->turn, on_closed);
}

/* ---- streams and their accounts --------------------------------------------------------------*/

struct stream *stream_new(struct streams *streams, struct conn *conn,
                          const struct exchange *exchange)
{
    struct stream *stream = calloc(1, sizeof *stream);

    REQUIRE(stream != NULL && streams->changes != NULL);
    stream->conn = conn;
    stream->kind = (uint8_t)exchange->follow.kind;
    stream->cursor_seq = exchange->follow.cursor_seq;
    stream->session_id = exchange->session_id;
    stream->account = followed_take(streams, exchange->account_id);
    list_append(&stream->account->streams, &stream->node);
    streams->traffic.counts[traffic_kind(stream)]++;
    streams->traffic.held_bytes += sizeof *stream;
    stream->is_behind =
        exchange->follow.is_behind ||
        changes_of_log_since(streams->changes, exchange->account_id, exchange->change);
    return stream;
}

int64_t stream_account_id(const struct stream *stream)
{
    return stream->account->account_id;
}

void stream_free(struct streams *streams, struct stream *stream)
{
    struct followed *account = stream->account;

    list_remove(&stream->node);
    streams->traffic.counts[traffic_kind(stream)]--;
    streams->traffic.held_bytes -= sizeof *stream;
    kept_head_free(stream->kept_head, stream->kept_bytes);
    websocket_free(&stream->socket);
    free(stream);
    followed_free_if_done(streams, account);
}

static enum stream_kind traffic_kind(const struct stream *stream)
{
    switch ((enum follow_kind)stream->kind) {
    case FOLLOW_EVENTS:
        return STREAM_SSE;
    case FOLLOW_SOCKET:
        return STREAM_WEBSOCKET;
    default:
        return STREAM_POLL;
    }
}

/* ---- news ------------------------------------------------------------------------------------*/

void streams_take_news(struct streams *streams)
{
    int64_t account_id;

    if (streams->changes == NULL) {
        return;
    }
    turn_start(streams); /* a lane that was full has room again */
    if (!changes_have_news(streams->changes)) {
        return;
    }
    while (changes_take_news(streams->changes, &account_id)) {
        struct followed *account = followed_find(streams, account_id);

        if (account != NULL) {
            account_tell(streams, account);
        }
    }
    if (changes_take_loss(streams->changes)) {
        all_tell(streams);
    }
}

/* Nothing is new to those whose read saw it already. Polls that are run again free their streams;
 * the account stays, as long as it is marked as lent. */
static void account_tell(struct streams *streams, struct followed *account)
{
    bool was_lent = account->is_lent;
    bool has_streams = false;

    if (!changes_of_log_since(streams->changes, account->account_id, account->change)) {
        return;
    }
    account->is_lent = true;
    for (struct list *node = account->streams.next; node != &account->streams; node = node->next) {
        struct stream *stream = stream_of(node);

        stream->is_behind = true;
        has_streams = has_streams || stream->kind != FOLLOW_POLL;
    }
    polls_run(account);
    account->is_lent = was_lent;
    if (has_streams) {
        account_due(streams, account);
    }
    followed_free_if_done(streams, account);
}

void streams_tell(struct streams *streams, int64_t account_id, struct str text)
{
    struct followed *account = followed_find(streams, account_id);

    if (account == NULL) {
        return;
    }
    bool was_lent = account->is_lent;
    account->is_lent = true;
    for (struct list *node = account->streams.next, *next; node != &account->streams; node = next) {
        struct stream *stream = stream_of(node);

        next = node->next;
        if (stream_can_take(stream) && !stream->is_behind) {
            conn_tell(stream->conn, text);
        }
    }
    account->is_lent = was_lent;
    followed_free_if_done(streams, account);
}

/* Some news had no room. */
static void all_tell(struct streams *streams)
{
    for (size_t i = 0; i < streams->bucket_count; i++) {
        struct followed *next;

        for (struct followed *account = streams->buckets[i]; account != NULL; account = next) {
            next = account->next;
            account_tell(streams, account);
        }
    }
}

void stream_want(struct streams *streams, struct stream *stream)
{
    account_due(streams, stream->account);
}

static void account_due(struct streams *streams, struct followed *account)
{
    if (account->is_lent || list_is_linked(&account->due) || stream_waiting(account) == NULL) {
        return;
    }
    list_append(&streams->due, &account->due);
    turn_start(streams);
}

/* libuv runs idle handles before the prepare handle that hands over what was lent. */
static void turn_start(struct streams *streams)
{
    if (streams->reads_lent < READS_LENT_MAX && !list_is_empty(&streams->due)) {
        REQUIRE(uv_idle_start(&streams->turn, on_turn) == 0);
    }
}

/* The first that is behind and whose connection could write now. */
static const struct stream *stream_waiting(const struct followed *account)
{
    for (struct list *node = account->streams.next; node != &account->streams; node = node->next) {
        const struct stream *stream = stream_of(node);

        if (stream_can_take(stream) && stream->is_behind) {
            return stream;
        }
    }
    return NULL;
}

/* Events are for open streams, between two writes, until their session's end. */
static bool stream_can_take(const struct stream *stream)
{
    return stream->kind != FOLLOW_POLL && !stream->is_ending && !conn_is_writing(stream->conn);
}

/* ---- reads -----------------------------------------------------------------------------------*/

static void on_turn(uv_idle_t *turn)
{
    struct streams *streams = container_of(turn, struct streams, turn);
    struct connections *connections = streams->connections;
    bool goes_on = true;

    uv_idle_stop(turn);
    while (goes_on && !list_is_empty(&streams->due) && streams->reads_lent < READS_LENT_MAX) {
        struct exchange *exchange = exchange_new();

        exchange->reads = reads_take(streams);
        exchange->route = streams->reads_route;
        reads_fill(streams, exchange->reads);
        streams->reads_lent++;
        goes_on = exchange->reads->read_count > 0 && lanes_lend(connections->lanes, exchange);
        if (!goes_on) {
            /* Nobody could take events, or the lane is full: what it returns leads here again. */
            reads_end(streams, exchange);
        }
    }
}

static void reads_fill(struct streams *streams, struct event_reads *reads)
{
    struct list *node;

    reads->read_count = 0;
    while (reads->read_count < EVENT_READS_MAX && (node = list_take_first(&streams->due)) != NULL) {
        struct followed *account = container_of(node, struct followed, due);
        const struct stream *stream = stream_waiting(account);

        if (stream == NULL) {
            continue;
        }
        account->is_lent = true;
        reads->reads[reads->read_count++] =
            (struct event_read){.account_id = account->account_id, .after_seq = stream->cursor_seq};
    }
}

void streams_read_returned(struct streams *streams, struct exchange *exchange)
{
    reads_end(streams, exchange);
    turn_start(streams);
    streams->connections->on_read_over(streams->connections);
}

static void reads_end(struct streams *streams, struct exchange *exchange)
{
    struct event_reads *reads = exchange->reads;

    streams->reads_lent--;
    for (size_t i = 0; i < reads->read_count; i++) {
        struct followed *account = followed_find(streams, reads->reads[i].account_id);

        REQUIRE(account != NULL && account->is_lent);
        account_returned(streams, account, exchange, &reads->reads[i]);
    }
    buf_clear(&reads->bytes);
    if (reads->bytes.capacity > EVENT_BYTES_MAX * 2) {
        buf_release(&reads->bytes);
    }
    if (streams->scratch.capacity > SCRATCH_KEPT_BYTES) {
        buf_release(&streams->scratch);
    }
    list_append(&streams->pool, &reads->node);
    exchange_free(exchange);
}

static void account_returned(struct streams *streams, struct followed *account,
                             const struct exchange *exchange, const struct event_read *read)
{
    bool is_answered = exchange->is_done && exchange->response.error == OK;
    bool has_failed = exchange->is_done && exchange->response.error != OK;
    bool is_read = is_answered && read->verdict == EVENTS_READ;
    struct list served;

    list_init(&served);
    if (is_read && !read->has_more) {
        account->change = exchange->change;
    }
    /* News may have come while the read was lent. */
    bool has_more = read->has_more ||
                    changes_of_log_since(streams->changes, account->account_id, exchange->change);
    for (struct list *node = account->streams.next, *next; node != &account->streams; node = next) {
        struct stream *stream = stream_of(node);

        next = node->next;
        if (stream->kind == FOLLOW_POLL) {
            continue;
        }
        if (has_failed || (is_answered && read->verdict == EVENTS_OVER)) {
            conn_end_stream(stream->conn, has_failed);
        } else if (is_read && stream_can_take(stream) && stream->is_behind &&
                   stream->cursor_seq >= read->after_seq &&
                   stream->cursor_seq <= read->after_seq + (int64_t)read->count) {
            /* To the end: the others come first with the next read. */
            list_remove(node);
            list_append(&served, node);
            conn_take_events(stream->conn, exchange->reads, read, has_more);
        }
    }
    list_append_all(&account->streams, &served);
    account->is_lent = false;
    if (exchange->is_done) {
        account_due(streams, account);
    } else if (stream_waiting(account) != NULL && !list_is_linked(&account->due)) {
        list_append(&streams->due, &account->due);
    }
    followed_free_if_done(streams, account);
}

static struct event_reads *reads_take(struct streams *streams)
{
    struct list *node = list_take_first(&streams->pool);

    if (node != NULL) {
        return container_of(node, struct event_reads, node);
    }
    struct event_reads *reads = calloc(1, sizeof *reads);
    REQUIRE(reads != NULL);
    reads->streams = streams;
    buf_init(&reads->bytes, EVENT_FRAMES_MAX_BYTES);
    return reads;
}
