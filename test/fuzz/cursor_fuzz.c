/* cursor_fuzz.c - cursors: what is taken lies within the log, and is what the server would write.
 */
#include "api/cursor.h"
#include "fuzz/fuzz.h"

#define HEAD_SEQ 1000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str epoch = STR("k3J9QdTz0aBcWx7y");
    struct str cursor = bytes_of(data, size);
    char written[CURSOR_MAX_BYTES];
    int64_t seq = -1;
    int64_t again = -1;

    enum error error = cursor_read(cursor, epoch, HEAD_SEQ, &seq);

    HOLDS(error == OK || error == ERROR_CURSOR_NOT_ALLOWED || error == ERROR_CURSOR_GONE);
    if (error != OK) {
        HOLDS(seq == -1);
        return 0;
    }
    HOLDS(seq >= 0 && seq <= HEAD_SEQ);
    size_t len = (size_t)(cursor_put(written, epoch, seq) - written);

    HOLDS(len <= CURSOR_MAX_BYTES);
    HOLDS(cursor_read((struct str){written, len}, epoch, HEAD_SEQ, &again) == OK && again == seq);
    HOLDS(cursor_read((struct str){written, len}, epoch, seq, &again) == OK);
    HOLDS(seq == 0 ||
          cursor_read((struct str){written, len}, epoch, seq - 1, &again) == ERROR_CURSOR_GONE);
    return 0;
}
