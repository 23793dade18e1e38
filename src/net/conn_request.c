/* conn_request.c - from bytes to the exchange's next step.
 *
 *   conn_parse feeds the parser, which stops
 *     - at the end of a head:    on_head judges it: read the body, read it away, or answer
 *     - at the end of a message: on_message; conn_go_on runs the steps that are the loop's and
 *                                lends the exchange for the others
 *     - at what is not HTTP:     conn_refuse
 *   and goes on with what is left, as long as answers can be given at once.
 *
 * What unfinished requests hold is counted as it grows, over all connections: above
 * bodies_max_bytes the one that would grow further is refused.
 */
#include "net/conn.h"

#include "base/require.h"

static void request_begin(struct conn *conn);
static void on_part(struct conn *conn);
static void on_head(struct conn *conn, bool is_all);
static void on_message(struct conn *conn);
static void request_count(struct conn *conn);
static bool conn_recall(struct conn *conn);
static void body_refuse(struct conn *conn);
static bool is_over(const struct conn *conn);

bool conn_can_parse(const struct conn *conn)
{
    return conn->state <= CONN_BODY && !conn->closes_unread && !conn->is_slowed &&
           !conn_is_writing(conn) && !conn_is_gathered(conn);
}

size_t conn_parse(struct conn *conn, const char *bytes, size_t len)
{
    size_t at = 0;

    while (conn_can_parse(conn)) {
        enum parser_step step;
        enum error error = OK;
        size_t taken = 0;

        if (conn->exchange == NULL) {
            if (at == len) {
                break;
            }
            request_begin(conn);
        }
        step = http_parser_feed(&conn->parser, bytes + at, len - at, &taken, &error);
        at = step == PARSER_FAILED ? len : at + taken;
        if (conn->state == CONN_IDLE && http_parser_has_begun(&conn->parser)) {
            conn->exchange->began_at_ns = conn->connections->read_at_ns;
            tally_add(&conn_traffic(conn)->begun, 1);
            conn_set_state(conn, CONN_HEAD);
        }
        if (step == PARSER_NEEDS_MORE) {
            conn->connections->is_read_secret = true;
            on_part(conn);
            break;
        }
        if (step == PARSER_HEAD) {
            on_head(conn, at == len);
        } else if (step == PARSER_MESSAGE) {
            on_message(conn);
        } else {
            conn_refuse(conn, error);
        }
    }
    return at;
}

static void request_begin(struct conn *conn)
{
    conn->exchange = connections_take_exchange(conn->connections);
    conn->exchange->owner = conn;
    http_parser_begin(&conn->parser, &conn->exchange->request);
}

static void on_part(struct conn *conn)
{
    /* The rest may never come, and the exchange may have been another's, with room kept. */
    arena_shrink(&conn->exchange->arena);
    if (conn->state == CONN_IDLE || conn->is_judged) {
        return;
    }
    request_count(conn);
    if (is_over(conn)) {
        body_refuse(conn);
    }
}

/* `is_all`: nothing behind the head has come yet. */
static void on_head(struct conn *conn, bool is_all)
{
    const struct admission_policy *policy = conn_policy(conn);
    struct exchange *exchange = conn->exchange;
    bool must_close = false;
    bool keeps_body = false;
    bool is_admitted = exchange_admit(exchange, policy, &must_close) == ADMITTED;

    if (exchange->request.head.is_secret || exchange->request.has_body) {
        conn->connections->is_read_secret = true;
    }
    if (is_admitted) {
        if (exchange->request.has_body && is_over(conn)) {
            body_refuse(conn);
            return;
        }
        keeps_body = exchange->route->body != BODY_NONE;
        if (exchange->request.expects_continue && is_all) {
            conn_say_continue(conn);
        }
    } else {
        conn->is_judged = true;
        if (must_close) {
            conn_refuse(conn, exchange->response.error);
            return;
        }
    }
    http_parser_expect_body(&conn->parser, policy->body_max_bytes, keeps_body);
    conn_set_state(conn, CONN_BODY);
}

static void on_message(struct conn *conn)
{
    if (conn->is_judged) {
        conn_set_state(conn, CONN_READY);
        conn_answer(conn);
        return;
    }
    if (conn->exchange->request.body.len > 0) {
        request_count(conn);
        if (is_over(conn)) {
            body_refuse(conn);
            return;
        }
    }
    conn_set_state(conn, CONN_READY);
    conn_go_on(conn);
}

void conn_go_on(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = conn->exchange;

    if (exchange->page > 0) {
        conn_add_page(conn);
        return;
    }
    while (!conn->is_judged && (!exchange->is_done || exchange->notes_use)) {
        if (exchange_lane(exchange) == LANE_LOOP) {
            exchange_run_step(exchange, connections->settings->loop_services);
        } else if (connections->lanes == NULL) {
            response_error(exchange, ERROR_MIGRATING);
            exchange->is_done = true;
        } else if (exchange->step == 0 && conn_recall(conn)) {
            tally_add(&connections->traffic->recalled, 1);
            break;
        } else if (lanes_lend(connections->lanes, exchange)) {
            conn->is_lent = true;
            conn_set_state(conn, CONN_LENT);
            return;
        } else if (exchange->notes_use) {
            /* That a session was used is worth no waiting. */
            exchange->notes_use = false;
        } else {
            response_error(exchange, ERROR_OVERLOADED);
            exchange->is_done = true;
        }
    }
    if (exchange->follow.kind != FOLLOW_NOTHING && conn_follows(conn)) {
        return;
    }
    if (exchange->may_be_kept && connections->settings->work->keep != NULL) {
        connections->settings->work->keep(connections->settings->loop_services, exchange);
    }
    conn_answer(conn);
}

static bool conn_recall(struct conn *conn)
{
    const struct server_settings *settings = conn->connections->settings;

    return settings->work->recall != NULL &&
           settings->work->recall(settings->loop_services, conn->exchange);
}

void conn_refuse(struct conn *conn, enum error error)
{
    conn->connections->is_read_secret = true;
    if (!conn->is_judged) {
        response_error(conn->exchange, error);
    }
    conn->exchange->response.closes = true;
    conn_set_state(conn, CONN_READY);
    conn_answer(conn);
}

void conn_drop_exchange(struct conn *conn)
{
    REQUIRE(!conn->is_lent);
    if (conn->exchange != NULL && conn->exchange->began_at_ns != 0) {
        tally_add(&conn_traffic(conn)->given_up, 1);
    }
    conn_hold(conn, 0);
    conn->is_judged = false;
    connections_give_exchange(conn->connections, &conn->exchange);
    http_parser_init(&conn->parser);
}

static void request_count(struct conn *conn)
{
    const struct request *request = &conn->exchange->request;

    conn_hold(conn, request->head.len + request->body.len);
}

void conn_hold(struct conn *conn, size_t bytes)
{
    conn->connections->held_bytes -= conn->request_bytes;
    conn->request_bytes = (uint32_t)bytes;
    conn->connections->held_bytes += conn->request_bytes;
}

static void body_refuse(struct conn *conn)
{
    tally_add(&conn->connections->traffic->bodies_refused, 1);
    conn_refuse(conn, ERROR_OVERLOADED);
}

static bool is_over(const struct conn *conn)
{
    return conn->connections->held_bytes > conn->connections->settings->bodies_max_bytes;
}
