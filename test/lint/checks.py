"""The checks of the source text that a compiler does not make.

A check is a function of one file, check(path, text), yielding (line number, what is wrong); `path`
is relative to the root of the tree. @check tells which files it looks at. lint_test.py runs every
check over the tree, and over samples that it must and must not find fault with.
"""

import ast
import math
import re

CHECKS = {}


def check(selects):
    """Registers a check for the files whose path matches `selects`."""
    def register(function):
        CHECKS[function.__name__] = (re.compile(selects), function)
        return function
    return register


C_FILE = r"\.[ch]$"
SRC_C_FILE = r"^src/.*\.[ch]$"
SOURCE_FILE_MAX_LINES = 500
LINE_MAX_COLUMNS = {".c": 100, ".h": 100, ".cmake": 100, ".py": 120}


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def matches(pattern, text, message, flags=0):
    for found in re.finditer(pattern, text, flags):
        yield line_of(text, found.start()), message.format(*found.groups(), found.group())


C_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(found):
    """Spaces for everything but line ends, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", found.group())


def c_code(text):
    """C without comments and without what is inside string and character literals."""
    return C_TOKEN.sub(blank, text)


def c_without_comments(text):
    return C_TOKEN.sub(lambda found: blank(found) if found.group()[0] == "/" else found.group(),
                       text)


def c_comments(text):
    """(line number, text) of each line of each comment."""
    for found in C_TOKEN.finditer(text):
        if found.group()[0] == "/":
            first = line_of(text, found.start())
            for number, line in enumerate(found.group().split("\n")):
                yield first + number, re.sub(r"^[ /*]+|[ */]+$", "", line)


# --- layers ---------------------------------------------------------------------------------------

# What the files of a folder may include: folders, or single headers.
LAYERS = {
    "base": ["base"],
    "http": ["base", "http"],
    "net": ["base", "http", "net"],
    "store": ["base", "store/store.h", "store/copies.h"],
    "store/sqlite": ["base", "store/store.h", "store/copies.h", "store/examination.h", "store/measures.h",
                     "store/sqlite"],
    "domain": ["base", "domain", "store/store.h"],
    "api": ["base", "http", "domain", "api", "store/store.h", "store/copies.h", "store/measures.h"],
    # src/config*, privileges, takeover; main.c, command, admin_client, startup and opening may include all
    "": ["base", "config.h", "config_", "privileges.h", "takeover.h", "healthcheck.h", "notify.h"],
}

# Who may include a library's header, as the beginning of a path below src. Each library has one
# place where it is known, so that another one can take its place.
LIBRARIES = {
    r"uv\.h|uv/.*": "net/",
    r"llhttp\.h": "http/parser",
    r"(cjson/)?cJSON\.h": "api/json.c",
    r"crypt\.h": "domain/password.c",
    r"sqlite3\.h": "store/sqlite/",
    r"sha2\.h|sha\.h|sha1\.h|sha256\.h|md5\.h": "base/digest.c",
    r"xxhash\.h": "base/fingerprint.c",
    r"wslay/.*": "net/websocket",
    r"openssl/.*|event.*\.h|ev\.h": "(nobody)",
}


@check(SRC_C_FILE)
def layers(path, text):
    """Includes go down only: net to http; api to domain to store.h; everyone to base."""
    place = path.removeprefix("src/")
    if place == "main.c" or place.startswith(("command.", "command_", "admin_client.", "startup.", "opening.",
                                             "serving.", "supervision.")):
        return
    folder = place.rpartition("/")[0]
    allowed = LAYERS.get(folder)
    if allowed is None:
        yield 1, f"src/{folder} has no row in LAYERS of test/lint/checks.py"
        return
    code = c_without_comments(text)
    for found in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', code, re.MULTILINE):
        kind, header = found.groups()
        line = line_of(code, found.start())
        if kind == '"':
            owner = header.rpartition("/")[0]
            if owner not in allowed and not any(
                    header == each or (each.endswith("_") and header.startswith(each))
                    for each in allowed):
                yield line, f'src/{folder} must not include "{header}"'
            continue
        for library, owner in LIBRARIES.items():
            if re.fullmatch(library, header) and not place.startswith(owner):
                yield line, f"<{header}> is only for {owner}"


# --- C --------------------------------------------------------------------------------------------

BANNED = (r"v?sprintf|strcpy|stpcpy|strcat|strtok|ato[ifl]|atoll|gmtime|localtime|"
          r"ctime|asctime|s?rand|system|popen|gets|tmpnam|mktemp|alloca")
BANNED_IN_SRC = r"strncpy|strncat|setenv|putenv"


@check(C_FILE)
def banned_functions(path, text):
    """Functions that overflow, share state between threads, or hide errors."""
    banned = f"{BANNED}|{BANNED_IN_SRC}" if path.startswith("src/") else BANNED
    yield from matches(rf"(?<![\w.>])({banned})\s*\(", c_code(text), "{0}() is banned")


# The whole of a refused word, wherever it stands in a name.
REFUSED = ("ctx", "context", "manager", "data", "info", "util", "utils", "helper", "helpers",
           "common", "misc", "process", "do")
# Names that are not ours.
FOREIGN = re.compile(r"^__user_cap_|^(uv|llhttp|sqlite3|crypt|cJSON|pthread|wslay|UV|SQLITE|CRYPT)_|"
                     r"^SHA[12]_CTX$|^do$|^LOG_INFO$|^PRIO_PROCESS$|^dl_phdr_info$|^CLOCK_PROCESS_CPUTIME_ID$")


@check(SRC_C_FILE)
def refused_identifiers(path, text):
    """Names say what a thing is; these words say nothing."""
    del path
    # Members reached through a pointer or a dot may be a library's; declaring one is found.
    code = re.sub(r"^[ \t]*#[ \t]*include.*$", "", c_code(text), flags=re.MULTILINE)
    for found in re.finditer(r"(->|\.)?\s*\b([A-Za-z_]\w*)", code):
        member, name = found.groups()
        if member or FOREIGN.search(name):
            continue
        for word in name.lower().split("_"):
            if word in REFUSED:
                yield line_of(code, found.start(2)), f"refused word '{word}' in {name}"


@check(r"^(src|test|deps)/")
def refused_file_names(path, text):
    del text
    for word in re.split(r"[/_.-]", path):
        if word in REFUSED:
            yield 1, f"refused word '{word}' in a file name"


@check(SRC_C_FILE)
def no_typedefs(path, text):
    """struct x and enum x are written out; function types excepted."""
    del path
    yield from matches(r"\btypedef\s+(struct|enum|union)\b[^;()]*;", c_code(text), "typedef of a {0}")


@check(SRC_C_FILE)
def file_length(path, text):
    del path
    lines = text.count("\n")
    if lines > SOURCE_FILE_MAX_LINES:
        yield lines, f"{lines} lines; a file has at most {SOURCE_FILE_MAX_LINES}"


@check(SRC_C_FILE)
def opening_comment(path, text):
    """A file opens with what it is; a header also with who uses it."""
    name = path.rpartition("/")[2]
    if not text.startswith(f"/* {name} - "):
        yield 1, f"does not open with '/* {name} - ' and what it is"
    head = text.split("*/")[0]
    if name.endswith(".h"):
        for heading in ("Uses:", "Used by:"):
            if heading not in head:
                yield 1, f"the opening comment does not say '{heading}'"


@check(r"\.h$")
def header_guards(path, text):
    """MIGCHAT_, the folders below src, the name; below test only the name."""
    place = re.sub(r"^test/.*/", "test/", path.removeprefix("src/"))
    guard = "MIGCHAT_" + re.sub(r"\W", "_", place).upper()
    if not re.search(rf"^#ifndef {guard}\n#define {guard}$", text, re.MULTILINE):
        yield 1, f"the guard is not {guard}"


@check(C_FILE)
def no_code_in_comments(path, text):
    """Code that is not wanted is deleted: git remembers it."""
    del path
    for line, comment in c_comments(text):
        if re.fullmatch(r"(return\b.*|[\w.>\[\]-]+ ?\(.*\)|[\w.>*\[\] -]+\s=[^=].*);|#\s*include.*|"
                        r"(if|for|while) \(.*\) \{", comment):
            yield line, f"code in a comment: {comment}"
    yield from matches(r"^[ \t]*#[ \t]*if[ \t]+0\b", text, "code switched off", re.MULTILINE)


# --- every text -----------------------------------------------------------------------------------

@check(r".")
def no_leftovers(path, text):
    """Work that is put off is an issue, not a remark."""
    del path
    words = "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"])
    yield from matches(rf"\b({words})\b", text, "{0}")


@check(r".")
def no_machine_paths(path, text):
    """Nothing of the machine it was written on: folders, hosts of package mirrors."""
    del path
    yield from matches(r"(?<![\w./~-])/(?:work|root|home/[\w-]+)/[\w.-]*", text, "path {0}")
    # A template for mkstemp or mkdtemp is no fixed path.
    yield from matches(r"(?<![\w./~-])/tmp/(?!\S*XXXXXX)[\w.-]+", text, "fixed path {0}")
    yield from matches(r"\w+://(?:[\w.-]*@)?(?:(?:deb|ftp|apt|archive|packages)[\w-]*\.|[\w.-]*mirror)"
                       r"[\w./-]*", text, "host of a package mirror: {0}")
    yield from matches(r"\w+://[\w.:@-]+/(?:debian|debian-security|ubuntu)\b", text,
                       "host of a package mirror: {0}")


@check(r"\.(c|h|py|sh|sql|tsv|cmake|yml|md)$|(^|/)(CMakeLists\.txt|run|fetch-llhttp)$")
def tidy_text(path, text):
    columns = LINE_MAX_COLUMNS.get("." + path.rpartition(".")[2], math.inf)
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no line end at the end of the file"
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if "\t" in line and not path.endswith(".tsv"):
            yield number, "tab"
        if len(line) > columns:
            yield number, f"longer than {columns} columns"


@check(r"\.py$")
def python_compiles(path, text):
    try:
        ast.parse(text, path)
    except SyntaxError as error:
        yield error.lineno or 1, error.msg


# --- SQL ------------------------------------------------------------------------------------------

@check(r"^src/store/.*\.sql$")
def portable_sql(path, text):
    """Only what a partitioned engine has too (design: no foreign keys, triggers, sequences)."""
    name = path.rpartition("/")[2]
    if "/migrations/" in path and not re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name):
        yield 1, "a migration is called NNNN_name.sql"
    code = re.sub(r"--[^\n]*|/\*.*?\*/", blank, text, flags=re.DOTALL)
    refused = r"FOREIGN\s+KEY|REFERENCES|TRIGGER|AUTOINCREMENT"
    yield from matches(rf"\b({refused})\b", code, "{0} is not for our schema", re.IGNORECASE)
    yield from matches(r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\b[^;]*\bWHERE\b", code, "a partial index",
                       re.IGNORECASE)


# --- the rest of the tree -------------------------------------------------------------------------

PURPOSES = ("build", "runtime", "test", "test-unpack", "torture", "coverage", "memcheck", "fuzz", "lint",
            "deb", "test-deb", "bench", "node", "unpack", "image")


@check(r"^deps/packages\.tsv$")
def package_rows(path, text):
    del path
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        columns = line.split("\t")
        if (len(columns) != 4 or columns[1] not in PURPOSES
                or columns[2] not in ("any", "bookworm", "trixie") or not all(columns)):
            yield number, f"not: package, {'|'.join(PURPOSES)}, any|bookworm|trixie, why"
