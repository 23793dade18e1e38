/* query_fuzz.c - targets, queries and percent-decoding: what is decoded is clean text, decoding
 * every byte's escape gives it again, and one question about a query judges it as any other does.
 */
#include <string.h>

#include "base/arena.h"
#include "fuzz/fuzz.h"
#include "http/request.h"
#include "http/router.h"
#include "http/uri.h"

#define TARGET_MAX_BYTES 8000u

static void target_judge(struct str target, struct arena *arena);
static void segments_decode(struct str path, struct arena *arena);
static void text_goes_round(struct str text, struct arena *arena);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = bytes_of(data, size);
    struct str text;
    struct arena arena;

    if (size > TARGET_MAX_BYTES) {
        return 0;
    }
    arena_init(&arena);
    if (uri_decode(bytes, (size & 1) != 0, &arena, &text)) {
        HOLDS(text.len <= bytes.len && text_is_clean(text));
        text_goes_round(text, &arena);
    }
    target_judge(bytes, &arena);
    arena_release(&arena);
    return 0;
}

static void target_judge(struct str target, struct arena *arena)
{
    static const char *const names[] = {"with_user", "since", "limit", "a", ""};
    struct request request;
    struct str value;
    bool is_found = false;

    request_init(&request);
    request.method = METHOD_GET;
    buf_append_str(&request.head, target);
    request.target_len = (uint16_t)target.len;
    if (request_split_target(&request) == OK) {
        enum error judged = request_judge_query(&request, arena);

        HOLDS(judged == OK || judged == ERROR_QUERY_MALFORMED || judged == ERROR_PARAMETER_DOUBLED);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            enum error error =
                request_parameter(&request, str_from(names[i]), arena, &is_found, &value);

            HOLDS(error == OK || judged != OK);
            HOLDS(error != OK || !is_found || text_is_clean(value));
        }
        segments_decode(request.path, arena);
    }
    request_release(&request);
}

static void segments_decode(struct str path, struct arena *arena)
{
    struct str text;

    while (path.ptr != NULL) {
        struct str segment = str_cut(&path, '/');

        if (percent_decode_segment(segment, arena, &text) == OK) {
            HOLDS(text.len <= segment.len && text_is_clean(text));
        }
    }
}

static void text_goes_round(struct str text, struct arena *arena)
{
    static const char digits[] = "0123456789abcdef";
    char *escaped = arena_alloc(arena, text.len * URI_ESCAPE_LEN);
    struct str back;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];

        escaped[i * 3] = '%';
        escaped[i * 3 + 1] = digits[byte >> 4];
        escaped[i * 3 + 2] = digits[byte & 15];
    }
    HOLDS(uri_decode((struct str){escaped, text.len * URI_ESCAPE_LEN}, true, arena, &back));
    HOLDS(str_equal(back, text));
}
