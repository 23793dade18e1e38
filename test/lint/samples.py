"""What each check must find fault with, and what it must not: name -> (bad, good), each a list of
(path, text). Bad on purpose, so lint does not look at this file.
"""


def header(guard, opening="/* x.h - a sample.\n *\n * Uses: nothing.\n * Used by: nobody.\n */\n"):
    return f"{opening}#ifndef {guard}\n#define {guard}\n#endif\n"


def include(*names):
    return "".join(f"#include {name}\n" for name in names)


SAMPLES = {
    "layers": (
        [("src/net/conn.c", include('"api/dispatch.h"')),
         ("src/net/conn.c", include('"domain/message.h"')),
         ("src/net/conn.c", include('"store/store.h"')),
         ("src/http/router.c", include('"net/conn.h"')),
         ("src/http/router.c", include("<llhttp.h>")),
         ("src/http/router.c", "# include <uv.h>\n"),
         ("src/base/arena.c", include('"http/request.h"')),
         ("src/base/arena.c", include("<sha2.h>")),
         ("src/base/digest.c", include("<xxhash.h>")),
         ("src/domain/message.c", include('"api/json.h"')),
         ("src/domain/message.c", include('"store/sqlite/connection.h"')),
         ("src/domain/message.c", include("<crypt.h>")),
         ("src/api/messages.c", include("<cjson/cJSON.h>")),
         ("src/api/messages.c", include('"net/lane.h"')),
         ("src/api/messages.c", include('"store/sqlite/migrate.h"')),
         ("src/store/store.h", include('"domain/account.h"')),
         ("src/store/sqlite/messages.c", include('"domain/message.h"')),
         ("src/domain/message.c", include("<sqlite3.h>")),
         ("src/config.c", include('"net/server.h"')),
         ("src/unheard/of.c", "")],
        [("src/net/conn.c", include("<uv.h>", '"net/conn.h"', '"http/exchange.h"',
                                    '"base/list.h"')),
         ("src/net/conn.c", '/* #include "api/dispatch.h" */\n'),
         ("src/http/parser.c", include("<llhttp.h>", '"base/buf.h"')),
         ("src/api/json.c", include("<cjson/cJSON.h>")),
         ("src/api/dispatch.c", include('"store/store.h"', '"domain/session.h"')),
         ("src/domain/password.c", include("<crypt.h>", "<string.h>")),
         ("src/base/digest.c", include("<sha2.h>")),
         ("src/store/sqlite/log.c", include("<sqlite3.h>", '"store/store.h"')),
         ("src/config.c", include('"config.h"', '"base/str.h"')),
         ("src/main.c", include("<uv.h>", '"api/routes.h"', '"net/server.h"'))]),
    "banned_functions": (
        [("src/base/a.c", "x = atoi(text);\n"),
         ("test/unit/a_test.c", "{ strcpy (a, b); }\n"),
         ("src/base/a.c", "gmtime(&now);\n"),
         ("src/base/a.c", "strncpy(a, b, n);\n")],
        [("src/base/a.c", "gmtime_r(&now, &parts); snprintf(a, n, b); random_fill(a);\n"),
         ("src/base/a.c", '/* strcpy(a, b) would overflow */ log("system(x)");\n')]),
    "refused_identifiers": (
        [("src/base/a.c", "struct conn_ctx *c;\n"),
         ("src/base/a.c", "char *data;\n"),
         ("src/base/a.c", "void do_send(void);\n"),
         ("src/base/a.h", "#define PARSE_UTIL 1\n"),
         ("src/base/a.c", "int process_all(int n);\n")],
        [("src/base/a.c", "do { handle->data = NULL; } while (0);\n"),
         ("src/base/a.c", "struct crypt_data scratch; enum x level = LOG_INFO;\n"),
         ("src/base/a.c", '/* context */ f("data"); int database; bool processed;\n')]),
    "refused_file_names": (
        [("src/base/util.c", ""), ("test/support/helpers.py", ""), ("src/common/a.c", ""),
         ("test/unit/http/parser_ctx_test.c", "")],
        [("src/base/utf8.c", ""), ("test/support/database.py", "")]),
    "no_typedefs": (
        [("src/base/a.h", "typedef struct str str_t;\n"), ("src/base/a.h", "typedef enum x {A} y;\n")],
        [("src/base/a.h", "typedef enum error compare(const void *a, int b);\n")]),
    "file_length": (
        [("src/base/a.c", "\n" * 501)],
        [("src/base/a.c", "\n" * 500), ("test/unit/a_test.c", "\n" * 501)]),
    "opening_comment": (
        [("src/base/a.c", "#include <stdio.h>\n"),
         ("src/base/x.h", "/* x.h - a sample. */\n"),
         ("src/base/x.h", "/* y.h - another.\n * Uses: nothing. Used by: nobody. */\n")],
        [("src/base/x.h", header("MIGCHAT_BASE_X_H")),
         ("src/base/a.c", "/* a.c - a sample. */\n")]),
    "header_guards": (
        [("src/base/x.h", header("X_H")), ("src/http/x.h", header("MIGCHAT_BASE_X_H")),
         ("src/base/x.h", "#pragma once\n")],
        [("src/base/x.h", header("MIGCHAT_BASE_X_H")),
         ("src/store/sqlite/x.h", header("MIGCHAT_STORE_SQLITE_X_H")),
         ("test/support/x.h", header("MIGCHAT_TEST_X_H"))]),
    "no_code_in_comments": (
        [("src/base/a.c", "/* buf_free(buf); */\n"),
         ("src/base/a.c", "// count = 3;\n"),
         ("src/base/a.c", "/*\n * return ERROR_INTERNAL;\n */\n"),
         ("src/base/a.c", "#if 0\nint x;\n#endif\n")],
        [("src/base/a.c", "/* 2. Host (RFC 9112 section 3.2);\n * that given once (section 5.3);\n */\n"),
         ("src/base/a.c", "/* Frees it with buf_free(); afterwards it is empty. */\n"),
         ("src/base/a.c", "/* heap; its arena ends with it (exchange_clear). */\n")]),
    "no_leftovers": (
        [("src/base/a.c", "/* TODO: later */\n"), ("README.md", "FIXME\n")],
        [("src/base/a.c", 'char template[] = "x-XXXXXX"; /* todos los días */\n')]),
    "no_machine_paths": (
        [("README.md", "see /work/main/x\n"), ("src/a.c", '"/home/anna/x"\n'),
         ("test/a.py", "open('/tmp/x.db')\n"), ("run", "cd /root/x\n"),
         ("deps/a", "http://deb.example.org/x\n"), ("deps/a", "https://eu.mirror.example/x\n"),
         ("Dockerfile", "http://example.org/debian bookworm main\n"),
         ("deps/a", "https://user@ftp.de.example.org/\n")],
        [("README.md", "/data/migchat.db, https://github.com/migchat/server, src/work/x\n"),
         ("test/a.c", 'char path[] = "/tmp/migchat-XXXXXX";\n'),
         ("README.md", "http://127.0.0.1:3000/api/debian\n".replace("/debian", "/x"))]),
    "tidy_text": (
        [("src/base/a.c", "int x;"), ("src/base/a.c", "int x; \n"), ("src/base/a.c", "\tint x;\n"),
         ("src/base/a.c", "x" * 101 + "\n"), ("run", "\techo\n")],
        [("src/base/a.c", "x" * 100 + "\n"), ("deps/packages.tsv", "a\tb\n")]),
    "python_compiles": (
        [("test/a.py", "def f(:\n")],
        [("test/a.py", "def f():\n    return 1\n")]),
    "portable_sql": (
        [("src/store/sqlite/migrations/0001_a.sql", "CREATE TABLE a (b REFERENCES c);\n"),
         ("src/store/sqlite/migrations/0001_a.sql", "create trigger a;\n"),
         ("src/store/sqlite/migrations/0001_a.sql", "id INTEGER PRIMARY KEY AUTOINCREMENT\n"),
         ("src/store/sqlite/migrations/0001_a.sql", "foreign  key (a)\n"),
         ("src/store/sqlite/migrations/0001_a.sql",
          "CREATE UNIQUE INDEX a ON b (c)\n  WHERE c > 0;\n"),
         ("src/store/sqlite/migrations/1_a.sql", "")],
        [("src/store/sqlite/migrations/0001_a.sql",
          "-- no TRIGGER here\nCREATE INDEX a ON b (c);\nDELETE FROM b WHERE c = 1;\n")]),
    "package_rows": (
        [("deps/packages.tsv", "gcc build any why\n"), ("deps/packages.tsv", "gcc\tbuild\tany\t\n"),
         ("deps/packages.tsv", "gcc\tlater\tany\twhy\n")],
        [("deps/packages.tsv", "# package\ngcc\tbuild\tany\twhy\n")]),
}
