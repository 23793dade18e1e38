/* If-None-Match, the media type, and the parameters of lists, each on a request by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/body.h"
#include "api/moment.h"
#include "api/params.h"

/* An exchange whose request has these field lines ("Name: value\n…") and this query. */
static struct exchange *exchange_with(const char *fields, const char *query)
{
    struct exchange *exchange = exchange_new();
    struct request *request = &exchange->request;
    struct str rest = str_from(fields);

    buf_append_str(&request->head, rest);
    while (rest.ptr != NULL && rest.len > 0) {
        struct str value = str_cut(&rest, '\n');
        struct str name = str_cut(&value, ':');
        const char *start = fields;

        value = str_trim(value);
        if (request->field_count == request->fields_capacity) {
            assert_true(request_fields_grow(request));
        }
        request->fields[request->field_count] = (struct request_field){
            .name_at = (uint16_t)(name.ptr - start),
            .name_len = (uint16_t)name.len,
            .value_at = (uint16_t)(value.ptr - start),
            .value_len = (uint16_t)value.len,
        };
        request->field_count++;
    }
    request->path = STR("/api/messages");
    request->query = query != NULL ? str_from(query) : (struct str){NULL, 0};
    return exchange;
}

static bool if_none_match(const char *fields)
{
    struct exchange *exchange = exchange_with(fields, NULL);
    bool has = if_none_match_has(&exchange->request, STR("\"e.1.2.3\""));

    exchange_free(exchange);
    return has;
}

static void if_none_match_is_a_list_of_tags_or_a_star(void **state)
{
    (void)state;
    assert_true(if_none_match("If-None-Match: \"e.1.2.3\""));
    assert_true(if_none_match("if-none-match: W/\"e.1.2.3\""));
    assert_true(if_none_match("If-None-Match: \"a\", \"e.1.2.3\""));
    assert_true(if_none_match("If-None-Match: \"a,\"\t,,W/\"b\",\"e.1.2.3\" , \"c\""));
    assert_true(if_none_match("If-None-Match: ,\"e.1.2.3\""));
    assert_true(if_none_match("If-None-Match: *"));
    assert_true(if_none_match("If-None-Match: \"a\"\nIf-None-Match: \"e.1.2.3\""));
    assert_false(if_none_match(""));
    assert_false(if_none_match("If-None-Match:"));
    assert_false(if_none_match("If-None-Match: e.1.2.3"));
    assert_false(if_none_match("If-None-Match: \"e.1.2.3"));
    assert_false(if_none_match("If-None-Match: \"e.1.2.30\""));
    assert_false(if_none_match("If-None-Match: \"E.1.2.3\""));
    assert_false(if_none_match("If-None-Match: w/\"e.1.2.3\""));
    assert_false(if_none_match("If-None-Match: W/"));
    assert_false(if_none_match("If-None-Match: \""));
    assert_false(if_none_match("If-None-Match: \"a, \"e.1.2.3\""));
    assert_false(if_none_match("If-None-Match: \"a\" \"e.1.2.3\""));
    assert_false(if_none_match("If-None-Match: **"));
    assert_false(if_none_match("If-Match: \"e.1.2.3\""));
}

static void only_json_in_utf8_is_json(void **state)
{
    static const char *const taken[] = {"application/json",
                                        "Application/JSON",
                                        "application/json; charset=utf-8",
                                        "application/json;charset=UTF-8",
                                        "application/json ; Charset=\"utf-8\"",
                                        "application/json; charset=utf8",
                                        "application/json; odata=minimal",
                                        "application/json; boundary=x",
                                        "application/json;"};
    static const char *const refused[] = {"",
                                          "application/jsonx",
                                          "application/json+x",
                                          "application/problem+json",
                                          "text/json",
                                          "text/plain",
                                          "application/json, text/plain",
                                          "application/json; charset=utf-16",
                                          "application/json; charset=utf-8; charset=latin1",
                                          "application/json; charset",
                                          "application/json; charset=",
                                          "multipart/form-data; boundary=x",
                                          "application /json"};

    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        assert_true(media_type_is_json(str_from(taken[i])));
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(media_type_is_json(str_from(refused[i])));
    }
}

static enum error params_of(const char *query, struct page_params *out_params)
{
    struct exchange *exchange = exchange_with("", query);
    /* As the exchange does before the first step. */
    enum error error = request_judge_query(&exchange->request, &exchange->arena);

    if (error == OK) {
        error = page_params_read(exchange, out_params);
    }

    exchange_free(exchange);
    return error;
}

static void a_list_is_whole_unless_something_of_it_is_asked_for(void **state)
{
    struct page_params params;

    (void)state;
    assert_int_equal(params_of(NULL, &params), OK);
    assert_false(params.is_paged);
    assert_true(params.limit == UINT64_MAX && params.before_seq == INT64_MAX &&
                params.after_seq == 0);
    assert_int_equal(params_of("x=1&with_user=a", &params), OK);
    assert_false(params.is_paged);
    assert_int_equal(params_of("limit=1000", &params), OK);
    assert_true(params.is_paged && params.limit == 1000);
    assert_int_equal(params_of("before=7", &params), OK);
    assert_true(params.is_paged && params.limit == LIMIT_DEFAULT && params.before_seq == 7);
    assert_int_equal(params_of("after=0", &params), OK);
    assert_true(params.is_paged && params.limit == LIMIT_DEFAULT && params.after_seq == 0);
    assert_int_equal(params_of("after=5&limit=%31&before=9007199254740991", &params), OK);
    assert_true(params.limit == 1 && params.after_seq == 5 &&
                params.before_seq == 9007199254740991);
}

static void numbers_that_are_none_are_refused(void **state)
{
    static const char *const limits[] = {
        "limit=0",   "limit=1001", "limit=-1", "limit=",    "limit",
        "limit=1.5", "limit=a",    "limit=+1", "limit=1e2", "limit=18446744073709551617"};
    static const char *const seqs[] = {"before=0",
                                       "before=-1",
                                       "before=",
                                       "after=-1",
                                       "after=x",
                                       "before=9007199254740992",
                                       "after=9007199254740992"};
    struct page_params params;

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        assert_int_equal(params_of(limits[i], &params), ERROR_LIMIT_NOT_ALLOWED);
    }
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        assert_int_equal(params_of(seqs[i], &params), ERROR_SEQ_NOT_ALLOWED);
    }
    assert_int_equal(params_of("limit=1&limit=1", &params), ERROR_PARAMETER_DOUBLED);
    assert_int_equal(params_of("limit=1&x=%", &params), ERROR_QUERY_MALFORMED);
}

static void assert_link(const char *query, const char *expected)
{
    struct exchange *exchange = exchange_with("", query);

    next_link_add(exchange, 12);
    assert_true(str_equal(buf_str(&exchange->response.fields), str_from(expected)));
    exchange_free(exchange);
}

static void the_link_is_the_same_request_further_back(void **state)
{
    (void)state;
    assert_link("limit=2", "Link: </api/messages?limit=2&before=12>; rel=\"next\"\r\n");
    assert_link("before=14&limit=2", "Link: </api/messages?limit=2&before=12>; rel=\"next\"\r\n");
    assert_link("b%65fore=14", "Link: </api/messages?before=12>; rel=\"next\"\r\n");
    assert_link("with_user=a%20b&&before=4&after=1",
                "Link: </api/messages?with_user=a%20b&after=1&before=12>; rel=\"next\"\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_none_match_is_a_list_of_tags_or_a_star),
        cmocka_unit_test(only_json_in_utf8_is_json),
        cmocka_unit_test(a_list_is_whole_unless_something_of_it_is_asked_for),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(the_link_is_the_same_request_further_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
