/* router_test.c - method and path to route, on a table of its own. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/router.h"

static enum error nothing_done(struct exchange *exchange, struct services *services)
{
    (void)exchange;
    (void)services;
    return OK;
}

#define STEP                                                                                       \
    {                                                                                              \
        {                                                                                          \
            LANE_READ, nothing_done                                                                \
        }                                                                                          \
    }

static const struct route routes[] = {
    {METHOD_GET, "/health", false, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_GET, "/api/keys/{username}", false, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_POST, "/api/keys/claim", true, BODY_REQUIRED, LIMIT_NONE, STEP},
    {METHOD_GET, "/api/keys/self", true, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_GET, "/api/keys", true, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_DELETE, "/api/sessions/{id}", true, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_GET, "/", false, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_GET, "/a/{b}/c", false, BODY_NONE, LIMIT_NONE, STEP},
};
static const struct route_table table = {routes, sizeof routes / sizeof routes[0]};

static struct arena arena;

/* "METHOD PATH" of the row found, and "=PARAMETER" when there is one; or the error's code. */
static const char *match(enum method method, const char *path)
{
    struct request request;
    const struct route *route = NULL;
    struct str parameter = {NULL, 0};
    struct buf out;

    request_init(&request);
    request.method = method;
    request.path = str_from(path);
    enum error error = router_match(&table, &request, &arena, &route, &parameter);
    request_release(&request);
    if (error != OK) {
        return error_code(error);
    }
    buf_init(&out, 256);
    buf_append_str(&out, method_name(route->method));
    buf_append_format(&out, " %s", route->path);
    if (parameter.ptr != NULL) {
        buf_append_char(&out, '=');
        buf_append_str(&out, parameter);
    }
    const char *text = arena_copy(&arena, buf_str(&out)).ptr;
    buf_release(&out);
    return text;
}

static const char *allow(const char *path)
{
    struct buf out;

    buf_init(&out, 256);
    router_allow(&table, str_from(path), &out);
    const char *text = arena_copy(&arena, buf_str(&out)).ptr;
    buf_release(&out);
    return text;
}

static void a_literal_path_matches_itself_only(void **state)
{
    (void)state;
    assert_string_equal(match(METHOD_GET, "/health"), "GET /health");
    assert_string_equal(match(METHOD_GET, "/%68ealth"), "GET /health");
    assert_string_equal(match(METHOD_GET, "/"), "GET /");
    assert_string_equal(match(METHOD_GET, "/HEALTH"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/health/"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "//health"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/health/x"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/healt"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/healthy"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/health%00"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/api%2Fkeys"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "%2Fhealth"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/health%"), "route_not_found");
    assert_string_equal(match(METHOD_GET, ""), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/api/./keys"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "*"), "route_not_found");
}

static void braces_match_any_one_segment(void **state)
{
    (void)state;
    assert_string_equal(match(METHOD_GET, "/api/keys/bob"), "GET /api/keys/{username}=bob");
    assert_string_equal(match(METHOD_GET, "/api/keys/a%20b+c"), "GET /api/keys/{username}=a b+c");
    assert_string_equal(match(METHOD_GET, "/api/keys/a%2Fb"), "GET /api/keys/{username}=a/b");
    assert_string_equal(match(METHOD_GET, "/a/x/c"), "GET /a/{b}/c=x");
    assert_string_equal(match(METHOD_GET, "/a/x/d"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/api/keys/"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/api/keys/a/b"), "route_not_found");
    assert_string_equal(match(METHOD_GET, "/api/keys/%FF"), "target_malformed");
    assert_string_equal(match(METHOD_GET, "/api/keys/a%00"), "target_malformed");
}

static void a_literal_segment_wins_within_its_method(void **state)
{
    (void)state;
    assert_string_equal(match(METHOD_POST, "/api/keys/claim"), "POST /api/keys/claim");
    assert_string_equal(match(METHOD_GET, "/api/keys/claim"), "GET /api/keys/{username}=claim");
    assert_string_equal(match(METHOD_GET, "/api/keys/self"), "GET /api/keys/self");
    assert_string_equal(match(METHOD_GET, "/api/keys/selfish"), "GET /api/keys/{username}=selfish");
    assert_string_equal(match(METHOD_POST, "/api/keys/bob"), "method_not_allowed");
    assert_string_equal(match(METHOD_PUT, "/api/keys/claim"), "method_not_allowed");
}

static void head_finds_get(void **state)
{
    (void)state;
    assert_string_equal(match(METHOD_HEAD, "/health"), "GET /health");
    assert_string_equal(match(METHOD_HEAD, "/api/sessions/1"), "method_not_allowed");
    assert_string_equal(match(METHOD_DELETE, "/health"), "method_not_allowed");
}

static void allow_lists_the_methods_of_a_path(void **state)
{
    (void)state;
    assert_string_equal(allow("/health"), "GET, HEAD, OPTIONS");
    assert_string_equal(allow("/api/keys/claim"), "GET, HEAD, POST, OPTIONS");
    assert_string_equal(allow("/api/keys/bob"), "GET, HEAD, OPTIONS");
    assert_string_equal(allow("/api/sessions/1"), "DELETE, OPTIONS");
    assert_string_equal(allow("*"), "GET, HEAD, POST, DELETE, OPTIONS");
    assert_string_equal(allow("/nothing"), "");
}

static int arena_teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_path_matches_itself_only),
        cmocka_unit_test(braces_match_any_one_segment),
        cmocka_unit_test(a_literal_segment_wins_within_its_method),
        cmocka_unit_test(head_finds_get),
        cmocka_unit_test(allow_lists_the_methods_of_a_path),
    };

    arena_init(&arena);
    return cmocka_run_group_tests(tests, NULL, arena_teardown);
}
