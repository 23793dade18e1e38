"""Looks back on the whole run: no token, no password in any file, no message in any log."""

import os
import pathlib
import subprocess

from support import seen

# Adoption's copy of a Rust server's file holds that server's tokens in clear; start warns of it.
COPY_SUFFIX = ".rust-copy"


def files():
    for directory in sorted(seen.directories):
        # The small disk of storage_test.py is gone; what was on it is kept beside it.
        for path in sorted(pathlib.Path(directory).glob("*")):
            if path.is_file() and path.suffix != COPY_SUFFIX \
                    and str(path) not in seen.adopted_copies:
                yield str(path)


def is_log(path):
    return path.endswith(".log")


def found(texts, paths, tell=print):
    """Where any of the texts stands in the files, as "path:offset"; grep knows many at once."""
    paths = list(paths)
    assert texts and paths, "nothing to look for, or nowhere"
    tell(f"{len(texts)} texts looked for in {len(paths)} files, {sum(map(os.path.getsize, paths)):,} bytes")
    done = subprocess.run(
        ["grep", "--text", "--byte-offset", "--only-matching", "--with-filename",
         "--fixed-strings", "--file=-", "--", *paths],
        input="\n".join(sorted(texts)).encode(), capture_output=True, env={"LC_ALL": "C"},
        check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line.decode("utf-8", "replace").rsplit(":", 1)[0] for line in done.stdout.splitlines()]


def test_the_search_finds_what_is_there():
    """Names are in the databases and events in the logs, so a search that works finds them."""
    databases = [path for path in files() if path.endswith(".db")]
    assert len(found({"user0000000"}, databases)) > 10
    assert len(found({'"event":"listening"'}, filter(is_log, files()))) > 10
    # Of servers that were killed: the others leave none.
    logs_ahead = [path for path in files() if path.endswith("-wal") and os.path.getsize(path) > 0]
    assert logs_ahead and found({seen.CONTENT_MARK}, logs_ahead), "no WAL was searched"


def test_no_token_is_kept(tell):
    places = found(seen.tokens, files(), tell)
    assert not places, f"tokens in clear: {places[:20]}"


def test_no_password_is_kept(tell):
    literals = {password for password in seen.passwords
                if not password.startswith(seen.PASSWORD_MARK)}
    places = found({seen.PASSWORD_MARK} | literals, files(), tell)
    assert not places, f"passwords in clear: {places[:20]}"


def test_no_message_is_logged(tell):
    places = found({seen.CONTENT_MARK}, filter(is_log, files()), tell)
    assert not places, f"messages in logs: {places[:20]}"
