/* What the table must be, whatever stands in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/handlers.h"
#include "api/routes.h"
#include "base/arena.h"

static void every_route_has_steps_without_gaps(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes.count; i++) {
        const struct route *route = &api_routes.routes[i];

        assert_non_null(route->steps[0].run);
        for (unsigned step = 1; step < ROUTE_STEPS_MAX; step++) {
            assert_true(route->steps[step].run == NULL || route->steps[step - 1].run != NULL);
        }
    }
}

static void no_route_stands_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes.count; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_true(api_routes.routes[i].method != api_routes.routes[j].method ||
                        strcmp(api_routes.routes[i].path, api_routes.routes[j].path) != 0);
        }
    }
}

/* A read route can be repeated and streamed, so it is GET; what changes something is not, and its
 * change comes last. Typing changes nothing that is kept. */
static void methods_and_lanes_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes.count; i++) {
        const struct route *route = &api_routes.routes[i];
        bool is_get = route->method == METHOD_GET;
        unsigned last = 0;

        while (last + 1 < ROUTE_STEPS_MAX && route->steps[last + 1].run != NULL) {
            last++;
            assert_true(route->steps[last - 1].lane != LANE_WRITE);
        }
        bool is_typing = strcmp(route->path, "/api/typing") == 0;
        assert_int_equal(is_get || is_typing, route->steps[last].lane != LANE_WRITE);
        assert_true(!is_get ||
                    (last == 0 && route->body != BODY_OPTIONAL && route->body != BODY_REQUIRED));
    }
}

static void only_these_need_no_token(void **state)
{
    static const char *const open_paths[] = {"/health",
                                             "/livez",
                                             "/readyz",
                                             "/api/account/create",
                                             "/api/account/login",
                                             "/api/keys/{username}",
                                             "/api/ws", /* its handler looks in two places */
                                             "/openapi.json",
                                             "/docs"};
    size_t open_count = 0;

    (void)state;
    for (size_t i = 0; i < api_routes.count; i++) {
        bool is_listed = false;

        for (size_t j = 0; j < sizeof open_paths / sizeof open_paths[0]; j++) {
            is_listed = is_listed || strcmp(api_routes.routes[i].path, open_paths[j]) == 0;
        }
        assert_int_equal(api_routes.routes[i].needs_token, !is_listed);
        open_count += is_listed ? 1 : 0;
    }
    assert_int_equal(open_count, sizeof open_paths / sizeof open_paths[0]);
}

static route_handler first_step(enum method method, const char *path, struct str *out_parameter)
{
    struct request request;
    struct arena arena;
    const struct route *route = NULL;

    request_init(&request);
    arena_init(&arena);
    request.method = method;
    request.path = str_from(path);
    enum error error = router_match(&api_routes, &request, &arena, &route, out_parameter);
    arena_release(&arena);
    request_release(&request);
    return error == OK ? route->steps[0].run : NULL;
}

static void accounts_named_claim_and_upload_have_keys(void **state)
{
    struct str parameter;

    (void)state;
    assert_true(first_step(METHOD_GET, "/api/keys/claim", &parameter) == api_key_find);
    assert_true(first_step(METHOD_GET, "/api/keys/upload", &parameter) == api_key_find);
    assert_true(first_step(METHOD_HEAD, "/api/keys/claim", &parameter) == api_key_find);
    assert_true(first_step(METHOD_POST, "/api/keys/claim", &parameter) == api_key_claim);
    assert_true(first_step(METHOD_POST, "/api/keys/upload", &parameter) == api_key_upload);
    assert_true(first_step(METHOD_GET, "/api/keys", &parameter) == api_key_count);
    assert_true(first_step(METHOD_POST, "/api/keys/anna", &parameter) == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_has_steps_without_gaps),
        cmocka_unit_test(no_route_stands_twice),
        cmocka_unit_test(methods_and_lanes_agree),
        cmocka_unit_test(only_these_need_no_token),
        cmocka_unit_test(accounts_named_claim_and_upload_have_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
