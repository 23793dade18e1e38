/* polls.c - who is run, who waits, who gets the answer.
 *
 *   news -> polls_run: the first that is behind is lent, others at its cursor wait
 *     -> polls_returned: an answer for those it fits; or nothing new: they wait on;
 *        or an error, which is that one's alone: the next is lent
 */
#include "net/polls.h"

#include "base/require.h"
#include "net/conn.h"
#include "net/followed.h"

static bool poll_is_behind(const struct stream *stream);
static bool answer_fits(const struct exchange *exchange, const struct stream *stream);

void polls_run(struct followed *account)
{
    for (struct list *node = account->streams.next, *next; node != &account->streams; node = next) {
        struct stream *stream = stream_of(node);
        int64_t seq = stream->cursor_seq;

        next = node->next;
        if (!poll_is_behind(stream) || (account->has_poll_lent && seq == account->poll_seq)) {
            continue;
        }
        if (account->has_poll_lent) {
            (void)conn_resume_poll(stream->conn, 0);
        } else if (conn_resume_poll(stream->conn, account->account_id)) {
            account->has_poll_lent = true;
            account->poll_seq = seq;
        }
    }
}

void polls_returned(struct streams *streams, struct exchange *exchange)
{
    struct followed *account = followed_find(streams, exchange->polled_id);
    bool is_good = exchange->is_done && exchange->response.error == OK;
    bool has_nothing = is_good && exchange->follow.kind == FOLLOW_POLL;

    REQUIRE(account != NULL && account->has_poll_lent);
    exchange->polled_id = 0;
    account->has_poll_lent = false;
    /* News may have come while it was lent. */
    bool is_behind = has_nothing &&
                     changes_of_log_since(streams->changes, account->account_id, exchange->change);
    bool was_lent = account->is_lent;
    account->is_lent = true;
    for (struct list *node = account->streams.next, *next; node != &account->streams; node = next) {
        struct stream *stream = stream_of(node);

        next = node->next;
        if (!poll_is_behind(stream)) {
            continue;
        }
        /* All others were run when they were told. */
        REQUIRE(stream->cursor_seq == account->poll_seq);
        if (has_nothing) {
            stream->is_behind = is_behind;
        } else if (is_good && answer_fits(exchange, stream)) {
            conn_answer_poll(stream->conn, exchange);
        } else if (is_good) {
            /* Nor would another's fit. */
            (void)conn_resume_poll(stream->conn, 0);
        }
    }
    polls_run(account);
    account->is_lent = was_lent;
    followed_free_if_done(streams, account);
}

static bool poll_is_behind(const struct stream *stream)
{
    return stream->kind == FOLLOW_POLL && stream->is_behind;
}

/* It is all there is, no more than was asked for, and its session did not end. */
static bool answer_fits(const struct exchange *exchange, const struct stream *stream)
{
    const struct poll_found *found = &exchange->poll_found;

    if (!found->is_all || found->event_count == 0 || found->event_count > stream->limit) {
        return false;
    }
    for (unsigned i = 0; i < found->ended_count; i++) {
        if (found->ended_ids[i] == stream->session_id) {
            return false;
        }
    }
    return true;
}
