/* request_made.h - a request or exchange from the bytes of a head, for tests of what comes after
 * the parser.
 */
#ifndef MIGCHAT_TEST_REQUEST_MADE_H
#define MIGCHAT_TEST_REQUEST_MADE_H

#include "http/exchange.h"
#include "http/parser.h"

/* Parses the head into the initialised, empty request. */
static inline void request_make(struct request *request, const char *head)
{
    struct http_parser parser;
    struct str bytes = str_from(head);
    size_t taken = 0;
    enum error error = OK;

    http_parser_begin(&parser, request);
    assert_int_equal(http_parser_feed(&parser, bytes.ptr, bytes.len, &taken, &error), PARSER_HEAD);
    assert_int_equal(taken, bytes.len);
}

static inline void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.ptr, expected, s.len);
}

#endif
