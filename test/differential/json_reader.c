/* json_reader.c - what the server makes of JSON, for documents by the thousand: json_test.py asks.
 *
 * Input: each document as its length (4 bytes, little endian) and its bytes. Output, a line each:
 * "no", or "yes" and what json_read says when it is asked for the optional members t (a text), n
 * (an integer) and l (a list of texts): "shape", or "t=… n=… l=…" with texts in hexadecimal, "-"
 * for one that is absent.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/json.h"
#include "api/json_check.h"
#include "base/arena.h"
#include "base/require.h"

#define DOCUMENT_MAX_BYTES (16u * 1024u * 1024u)

static void text_show(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        (void)printf("%02x", (unsigned char)text.ptr[i]);
    }
}

static void members_show(struct str document)
{
    enum { TEXT, NUMBER, LIST, COUNT };
    struct json_member members[COUNT] = {
        [TEXT] = {.name = "t", .form = JSON_TEXT, .is_optional = true},
        [NUMBER] = {.name = "n", .form = JSON_INTEGER, .is_optional = true},
        [LIST] = {.name = "l", .form = JSON_TEXT_LIST, .is_optional = true},
    };
    struct arena arena;

    arena_init(&arena);
    enum error error = json_read(document, members, COUNT, &arena);
    if (error != OK) {
        /* Malformed it cannot be: that would be two opinions of one server. */
        (void)printf(error == ERROR_BODY_SHAPE ? " shape" : " %s", error_code(error));
    } else {
        (void)fputs(" t=", stdout);
        if (members[TEXT].is_present) {
            text_show(members[TEXT].text);
        } else {
            (void)putchar('-');
        }
        if (members[NUMBER].is_present) {
            (void)printf(" n=%lld l=", (long long)members[NUMBER].integer);
        } else {
            (void)fputs(" n=- l=", stdout);
        }
        if (!members[LIST].is_present) {
            (void)putchar('-');
        }
        for (size_t i = 0; members[LIST].is_present && i < members[LIST].text_count; i++) {
            text_show(members[LIST].texts[i]);
            (void)putchar(',');
        }
    }
    arena_release(&arena);
}

int main(void)
{
    unsigned char head[4];

    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t len =
            head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;

        REQUIRE(len <= DOCUMENT_MAX_BYTES);
        /* Exactly as long, so that a sanitizer sees a byte read behind it. */
        char *bytes = malloc(len > 0 ? len : 1);

        REQUIRE(bytes != NULL && fread(bytes, 1, len, stdin) == len);
        struct str document = {bytes, len};

        if (json_check(document) == OK) {
            (void)fputs("yes", stdout);
            members_show(document);
            (void)putchar('\n');
        } else {
            struct json_member member = {.name = "t", .form = JSON_TEXT, .is_optional = true};
            struct arena arena;

            arena_init(&arena);
            REQUIRE(json_read(document, &member, 1, &arena) == ERROR_JSON_MALFORMED);
            arena_release(&arena);
            (void)puts("no");
        }
        free(bytes);
    }
    return 0;
}
