/* json_fuzz.c - the JSON check and what is read behind it: they have one opinion, what is read is
 * clean text, and it comes back from our own escaping as it was.
 */
#include "api/json.h"
#include "api/json_check.h"
#include "base/arena.h"
#include "base/json_text.h"
#include "fuzz/fuzz.h"

#define TEXT_MAX_BYTES (1024u * 1024u)

static void text_goes_round(struct str text);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT, NUMBER, LIST, OBJECT, COUNT };
    struct json_member inner = {.name = "t", .form = JSON_TEXT, .is_optional = true};
    struct json_member members[COUNT] = {
        [TEXT] = {.name = "t", .form = JSON_TEXT, .is_optional = true},
        [NUMBER] = {.name = "n", .form = JSON_INTEGER, .is_optional = true},
        [LIST] = {.name = "l", .form = JSON_TEXT_LIST, .is_optional = true},
        [OBJECT] = {.name = "o",
                    .form = JSON_OBJECT,
                    .is_optional = true,
                    .members = &inner,
                    .member_count = 1},
    };
    struct str document = bytes_of(data, size);
    struct arena arena;

    arena_init(&arena);
    enum error checked = json_check(document);
    enum error read = json_read(document, members, COUNT, &arena);

    HOLDS(checked == OK || checked == ERROR_JSON_MALFORMED);
    HOLDS(checked == OK ? read == OK || read == ERROR_BODY_SHAPE : read == ERROR_JSON_MALFORMED);
    HOLDS(checked != OK || text_is_clean(document));
    if (read == OK) {
        if (members[TEXT].is_present) {
            text_goes_round(members[TEXT].text);
        }
        if (members[NUMBER].is_present) {
            HOLDS(members[NUMBER].integer >= 0 && members[NUMBER].integer <= JSON_INTEGER_MAX);
        }
        for (size_t i = 0; members[LIST].is_present && i < members[LIST].text_count; i++) {
            text_goes_round(members[LIST].texts[i]);
        }
        if (members[OBJECT].is_present && inner.is_present) {
            text_goes_round(inner.text);
        }
    }
    arena_release(&arena);
    return 0;
}

static void text_goes_round(struct str text)
{
    struct buf quoted;
    struct buf back;

    HOLDS(text_is_clean(text));
    buf_init(&quoted, TEXT_MAX_BYTES);
    buf_init(&back, TEXT_MAX_BYTES);
    buf_append_char(&quoted, '"');
    json_escape(text, &quoted);
    HOLDS(json_unescape((struct str){quoted.ptr + 1, quoted.len - 1}, &back));
    HOLDS(str_equal(buf_str(&back), text));
    buf_append_char(&quoted, '"');
    HOLDS(json_check(buf_str(&quoted)) == OK);
    buf_release(&quoted);
    buf_release(&back);
}
