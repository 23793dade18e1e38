/* parser_trace.h - what the parser makes of some bytes, as text, for each way of cutting them.
 *
 * trace_of feeds the bytes as a connection does: begin, feed, judge the head, expect a body, feed,
 * and again for what follows, and writes down each step:
 *   "GET /a 1.1 [Host=x] ok; body 'hello'; "       a whole request
 *   "FAIL target_too_long"                          the connection would end here
 *   "GET /a 1.1 [] host_malformed"                  judged bad, and the rest not read
 * Bytes of an unfinished request give "head…" or "body…" at the end. check_trace compares three
 * ways of cutting: whole, byte by byte, and at random places (the seed is printed; set
 * MIGCHAT_SEED to run it again).
 */
#ifndef MIGCHAT_TEST_PARSER_TRACE_H
#define MIGCHAT_TEST_PARSER_TRACE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "http/parser.h"

#define TRACE_MAX_BYTES (4u * 1024u * 1024u)
#define TRACE_BODY_MAX_BYTES 1000u /* of the requests in these tests */
#define TRACE_RANDOM_RUNS 20

/* How the bytes are cut. */
struct cutting {
    size_t piece_bytes; /* 0: at random */
    uint64_t seed;
};

static inline size_t cutting_next(struct cutting *cutting, size_t left_bytes)
{
    size_t piece_bytes = cutting->piece_bytes;

    if (piece_bytes == 0) {
        /* xorshift64: any sequence will do, as long as the seed gives it again. */
        cutting->seed ^= cutting->seed << 13;
        cutting->seed ^= cutting->seed >> 7;
        cutting->seed ^= cutting->seed << 17;
        piece_bytes = 1 + (size_t)(cutting->seed >> 33) % (left_bytes < 40 ? left_bytes : 40);
        if ((cutting->seed & 7) == 0) {
            piece_bytes = left_bytes;
        }
    }
    return piece_bytes < left_bytes ? piece_bytes : left_bytes;
}

/* The cuts that the first two bytes of a fuzzer's input choose: each byte alone, or at random. */
static inline struct cutting cutting_of(const uint8_t *bytes)
{
    return (struct cutting){(bytes[0] & 3) == 0 ? 1 : 0,
                            (uint64_t)bytes[0] << 8 | bytes[1] | 1u << 16};
}

static inline void trace_head(const struct request *request, enum error judged, struct buf *out)
{
    buf_append_str(out, method_name(request->method));
    buf_append_char(out, ' ');
    buf_append_str(out, request_target(request));
    buf_append_format(out, " 1.%d [", request->version_minor);
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct request_field *field = &request->fields[i];
        buf_append_str(out, str_from(i > 0 ? "," : ""));
        buf_append(out, request->head.ptr + field->name_at, field->name_len);
        buf_append_char(out, '=');
        buf_append(out, request->head.ptr + field->value_at, field->value_len);
    }
    buf_append_format(out, "] %s", error_code(judged));
}

/* Feeds one piece; false when nothing more is to be fed. */
static inline bool trace_piece(struct http_parser *parser, struct request *request, bool keeps_body,
                               struct str piece, struct buf *out)
{
    size_t taken = 0;
    enum error error = OK;

    do {
        enum parser_step step = http_parser_feed(parser, piece.ptr, piece.len, &taken, &error);
        if (step == PARSER_FAILED) {
            buf_append_format(out, "FAIL %s", error_code(error));
            return false;
        }
        piece = (struct str){piece.ptr + taken, piece.len - taken};
        if (step == PARSER_HEAD) {
            enum error judged = request_judge_head(request);
            trace_head(request, judged, out);
            if (judged != OK) {
                return false;
            }
            buf_append_str(out, STR("; "));
            http_parser_expect_body(parser, TRACE_BODY_MAX_BYTES, keeps_body);
            step = http_parser_feed(parser, piece.ptr, piece.len, &taken, &error);
            if (step == PARSER_FAILED) {
                buf_append_format(out, "FAIL %s", error_code(error));
                return false;
            }
            piece = (struct str){piece.ptr + taken, piece.len - taken};
        }
        if (step == PARSER_MESSAGE) {
            buf_append_str(out, STR("body '"));
            buf_append_str(out, buf_str(&request->body));
            buf_append_str(out, STR("'; "));
            request_clear(request);
            http_parser_begin(parser, request);
        }
    } while (piece.len > 0);
    return true;
}

static inline void trace_of(struct str bytes, struct cutting cutting, bool keeps_body,
                            struct buf *out)
{
    struct request request;
    struct http_parser parser;
    size_t at = 0;
    bool goes_on = true;

    request_init(&request);
    http_parser_init(&parser);
    http_parser_begin(&parser, &request);
    while (goes_on && at < bytes.len) {
        size_t piece_bytes = cutting_next(&cutting, bytes.len - at);
        /* Memory of its own for each piece, so that a sanitizer sees a step outside it. */
        char *piece = malloc(piece_bytes);
        if (piece == NULL) {
            abort();
        }
        memcpy(piece, bytes.ptr + at, piece_bytes);
        goes_on = trace_piece(&parser, &request, keeps_body, (struct str){piece, piece_bytes}, out);
        free(piece);
        at += piece_bytes;
    }
    if (goes_on && http_parser_has_begun(&parser)) {
        buf_append_str(out,
                       request.progress.content_max_bytes > 0 ? STR("body...") : STR("head..."));
    }
    buf_append_char(out, '\0');
    request_release(&request);
}

static inline uint64_t trace_seed(void)
{
    const char *given = getenv("MIGCHAT_SEED");
    uint64_t seed = 0;

    random_fill(&seed, sizeof seed);
    if (given != NULL) {
        seed = strtoull(given, NULL, 10);
    }
    return seed | 1;
}

/* For tests that include cmocka.h before this file. */
#ifdef assert_string_equal

static inline void check_trace_len(struct str bytes, bool keeps_body, const char *expected)
{
    static uint64_t seed;
    struct buf trace;

    if (seed == 0) {
        seed = trace_seed();
        print_message("random cuts: MIGCHAT_SEED=%llu\n", (unsigned long long)seed);
    }
    buf_init(&trace, TRACE_MAX_BYTES);
    for (int run = 0; run < 2 + TRACE_RANDOM_RUNS; run++) {
        struct cutting cutting = {run == 0 ? bytes.len : (run == 1 ? 1 : 0),
                                  seed + 2 * (uint64_t)run};
        buf_clear(&trace);
        trace_of(bytes, cutting, keeps_body, &trace);
        assert_false(trace.overflowed);
        assert_string_equal(trace.ptr, expected);
    }
    buf_release(&trace);
}

static inline void check_trace(const char *bytes, const char *expected)
{
    check_trace_len(str_from(bytes), true, expected);
}

#endif
#endif
