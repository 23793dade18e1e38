/* error.c - the columns of ERROR_MAP as tables indexed by the enumerator. */
#include "base/error.h"

#include <stddef.h>

#include "base/require.h"

struct error_row {
    const char *code;
    int status;
    const char *text;
};

static const struct error_row error_rows[ERROR_COUNT] = {[OK] = {"ok", 200, "Done"},
#define ERROR_ROW(name, code, status, text) [ERROR_##name] = {(code), (status), (text)},
                                                         ERROR_MAP(ERROR_ROW)
#undef ERROR_ROW
};

static const struct error_row *error_row(enum error error)
{
    REQUIRE((size_t)error < (size_t)ERROR_COUNT);
    return &error_rows[error];
}

const char *error_code(enum error error)
{
    return error_row(error)->code;
}

int error_status(enum error error)
{
    return error_row(error)->status;
}

const char *error_text(enum error error)
{
    return error_row(error)->text;
}
