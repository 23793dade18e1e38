/* traffic_scrape_test.c - numbers are read while lanes write them, and in the end they are what was
 * asked. Worth most under the thread sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/metrics.h"
#include "support/net_server.h"

#define CLIENTS 4u
#define ROUNDS 20u
#define ROUTES_MAX 32u

static struct net_server net;

static enum error scrape_run(struct exchange *exchange, struct services *services)
{
    struct metrics_writer writer = {.out = &exchange->response.body, .form = METRICS_PROMETHEUS};

    (void)services;
    metrics_write_traffic(&writer, &net.traffic);
    metrics_write_lanes(&writer, &net.traffic);
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
    return OK;
}

/* The support's routes and ours. */
static void routes_extend(void)
{
    static struct route routes[ROUTES_MAX];
    struct route_table *table = &net.settings.listeners[0].admission.routes;

    assert_true(table->count < ROUTES_MAX);
    memcpy(routes, table->routes, table->count * sizeof routes[0]);
    routes[table->count] = (struct route){METHOD_GET, "/metrics", false,
                                          BODY_NONE,  LIMIT_NONE, {{LANE_LOOP, scrape_run}}};
    *table = (struct route_table){routes, table->count + 1};
}

/* The value of the sample that begins so, 0 without one. */
static uint64_t sample(const char *text, const char *beginning)
{
    const char *found = strstr(text, beginning);

    return found != NULL ? strtoull(strchr(found, '}') + 2, NULL, 10) : 0;
}

static char *scrape(struct client *client)
{
    struct client_answer answer;

    client_send(client, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read_answer(client, false, &answer);
    assert_int_equal(answer.status, 200);
    return answer.body;
}

static uint64_t in_batches(const char *text)
{
    return sample(text, "migchat_lane_batch_requests_sum{lane=\"read\"") +
           sample(text, "migchat_lane_batch_requests_sum{lane=\"write\"");
}

static void a_scrape_beside_the_lanes_never_goes_back(void **state)
{
    struct client clients[CLIENTS], scraper;
    uint64_t last = 0;

    (void)state;
    net_server_prepare(&net);
    routes_extend();
    net_server_run(&net);
    client_connect(&scraper, &net);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_connect(&clients[i], &net);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            client_send(&clients[i],
                        "GET /read HTTP/1.1\r\nHost: a\r\n\r\n"
                        "POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        }
        char *text = scrape(&scraper);
        uint64_t now = in_batches(text);

        assert_true(now >= last && now <= (round + 1) * CLIENTS * 2);
        assert_true(sample(text, "migchat_http_requests_in_flight") <= CLIENTS + 1);
        last = now;
        free(text);
        for (unsigned i = 0; i < CLIENTS; i++) {
            client_expect(&clients[i], 200, "read");
            client_expect(&clients[i], 200, "hi");
        }
    }
    char *text = scrape(&scraper);

    assert_int_equal(in_batches(text), ROUNDS * CLIENTS * 2);
    assert_int_equal(sample(text, "migchat_lane_wait_seconds_count{lane=\"read\""),
                     ROUNDS * CLIENTS);
    assert_int_equal(sample(text, "migchat_lane_wait_seconds_count{lane=\"write\""),
                     ROUNDS * CLIENTS);
    assert_int_equal(sample(text, "migchat_http_requests_total{listener=\"public\",method=\"POST\","
                                  "route=\"/write\",status=\"200\""),
                     ROUNDS * CLIENTS);
    /* The scrape itself. */
    assert_int_equal(sample(text, "migchat_http_requests_in_flight"), 1);
    assert_int_equal(sample(text, "migchat_connections{"), CLIENTS + 1);
    free(text);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_close(&clients[i]);
    }
    client_close(&scraper);
    net_server_stop(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scrape_beside_the_lanes_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
