"""Adoption that meets trouble: journals left behind, no room, a crash in the middle.

Whatever happens, the file stays one the Rust server can go on with, or is adopted whole.
"""

import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import subprocess

import pytest

from support import seen
from support.api import Account
from support.rust_database import RustDatabase, dump, password_hash
from support.server import START_DEADLINE_S, Server

TOKEN = "adoptedTOKENadoptedTOKENadopted1"
MESSAGES = 3000
CONTENT = "c" * 1000


def make(path, messages=MESSAGES):
    """Two accounts and about a kilobyte a message."""
    seen.note_token(TOKEN)
    rust = RustDatabase(path)
    rust.database.execute("BEGIN")
    rust.add_user(1, "anna", password_hash(seen.new_password()))
    rust.add_user(2, "bert", password_hash(seen.new_password()))
    rust.add_session(1, TOKEN)
    for number in range(messages):
        rust.add_message(number + 1, 1 + number % 2, 2 - number % 2, CONTENT,
                         "2025-11-03T12:00:00.5+00:00")
    rust.database.execute("COMMIT")
    return rust


def check_adopted(server, count=MESSAGES):
    anna = Account(server.api, "anna", None, TOKEN, 1)
    assert [e["id"] for e in anna.messages()] == list(range(count, 0, -1))
    assert anna.unread() == {"bert": count // 2}


def note_copies(directory):
    for path in pathlib.Path(directory).iterdir():
        if not path.name.endswith((".db", "-wal", "-shm", ".lock", ".log")):
            seen.note_adopted_copy(path)


def still_usable(path, before):
    """The Rust server could go on with it: the same rows under the same schema, and writable."""
    copy = str(path) + ".looked-at"
    seen.note_adopted_copy(copy)
    for suffix in ("", "-wal", "-journal"):
        if os.path.exists(str(path) + suffix):
            shutil.copyfile(str(path) + suffix, copy + suffix)
            seen.note_adopted_copy(copy + suffix)
    assert dump(copy) == before
    database = sqlite3.connect(copy)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("PRAGMA user_version").fetchone() == (0,)
    database.execute("INSERT INTO messages (from_user_id, to_user_id, content) VALUES (1, 2, 'x')")
    database.commit()
    database.close()
    for suffix in ("", "-wal", "-shm", "-journal"):
        pathlib.Path(copy + suffix).unlink(missing_ok=True)


@pytest.fixture
def own(tmp_path):
    directory = tmp_path / "own"
    directory.mkdir()
    yield directory
    note_copies(directory)
    seen.note_adopted_copy(directory / "migchat.db")


def test_a_hot_journal_is_rolled_back(start, own, tmp_path):
    """The Rust server died within a transaction: its journal is beside the file."""
    work = tmp_path / "work.db"
    rust = make(work)
    before = dump(work)
    rust.database.execute("PRAGMA cache_size = 5")
    rust.database.execute("PRAGMA synchronous = OFF")  # spilling syncs at each page otherwise
    rust.database.execute("BEGIN")
    rust.database.execute("UPDATE messages SET content = 'never committed', read_at = 'x'")
    assert os.path.getsize(str(work) + "-journal") > 0
    for suffix in ("", "-journal"):
        shutil.copyfile(str(work) + suffix, str(own / "migchat.db") + suffix)
    rust.database.execute("ROLLBACK")
    rust.close()
    server = start()
    check_adopted(server)
    (copy,) = [path for path in own.iterdir() if path.name not in
               ("migchat.db", "migchat.db-wal", "migchat.db-shm", "migchat.db.lock", "server.log")]
    assert dump(copy) == before


def test_a_write_ahead_log_is_taken_along(start, own, tmp_path):
    work = tmp_path / "work.db"
    rust = make(work, 10)
    rust.database.execute("PRAGMA journal_mode = WAL")
    rust.database.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(10, MESSAGES):
        if number == 10:
            rust.database.execute("BEGIN")
        rust.add_message(number + 1, 1 + number % 2, 2 - number % 2, CONTENT,
                         "2025-11-03T12:00:00.5+00:00")
    rust.database.execute("COMMIT")
    for suffix in ("", "-wal"):
        shutil.copyfile(str(work) + suffix, str(own / "migchat.db") + suffix)
    rust.close()
    check_adopted(start())


def limited(limit_bytes, is_ignored):
    """Files end at this size: with the signal ignored writes fail, else the process dies."""
    def preexec():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    return preexec


@pytest.mark.parametrize("is_ignored", (True, False), ids=("write fails", "process dies"))
@pytest.mark.parametrize("room", (-0.5, 0.0, 0.1, 0.5, 0.9))
def test_a_file_that_cannot_grow(start, own, is_ignored, room):
    """Trouble at various places: in the copy, in the transaction. Then a start without it."""
    make(own / "migchat.db").close()
    before = dump(own / "migchat.db")
    size = os.path.getsize(own / "migchat.db")
    limit = int(size * (1 + room)) + 65536
    troubled = Server(own, preexec=limited(limit, is_ignored)).spawn()
    troubled.process.wait(START_DEADLINE_S)
    code = troubled.process.returncode
    troubled.kill()
    assert code != 0, troubled.log()
    if is_ignored:
        assert code > 0, f"killed by signal {-code}\n{troubled.log()}"
        still_usable(own / "migchat.db", before)
    note_copies(own)
    check_adopted(start())


def test_a_second_adoption_waits_for_nobody(own):
    """Two starts at once: one adopts and serves, the other is refused and touches nothing."""
    make(own / "migchat.db").close()
    first, second = Server(own), Server(own)
    first.spawn()
    second.spawn()
    done = {}
    for server in (first, second):
        try:
            server.port = int(server.wait_event("listening")["port"])
            done["serves"] = server
        except AssertionError:
            done["refused"] = server
    assert set(done) == {"serves", "refused"}, first.log() + second.log()
    refused, serves = done["refused"], done["serves"]
    assert refused.process.wait(START_DEADLINE_S) != 0
    refused.kill()
    from support.api import Api
    serves.api = Api(serves.port)
    check_adopted(serves)
    serves.stop()


ORPHANS = {
    "message from nobody": "INSERT INTO messages (from_user_id, to_user_id, content)"
                           " VALUES (99, 1, 'x')",
    "message to nobody": "INSERT INTO messages (from_user_id, to_user_id, content)"
                         " VALUES (1, 99, 'x')",
    "session of nobody": "INSERT INTO sessions (user_id, token) VALUES (99, 'nobody')",
    "keys of nobody": "INSERT INTO user_keys (user_id, identity_key, signed_prekey,"
                      " signed_prekey_signature) VALUES (99, 'a', 'b', 'c')",
}


@pytest.mark.parametrize("statement", ORPHANS.values(), ids=ORPHANS)
def test_a_row_that_belongs_to_nobody(own, statement):
    """That server enforces its foreign keys, so such a row is damage: refused, nothing touched."""
    rust = make(own / "migchat.db", 10)
    rust.database.execute("PRAGMA foreign_keys = OFF")
    rust.database.execute(statement)
    rust.close()
    before = (own / "migchat.db").read_bytes()
    server = Server(own)
    server.spawn()
    server.wait_exit(None, START_DEADLINE_S)
    assert (own / "migchat.db").read_bytes() == before
    assert [event for event in server.events() if event["level"] == "error"], server.log()


def test_an_empty_database_of_the_rust_server(start, own):
    RustDatabase(own / "migchat.db").close()
    server = start()
    account = server.api.create()
    assert account.user_id >= 1
    account.send(account)


def test_an_empty_file_is_a_new_database(start, own):
    (own / "migchat.db").write_bytes(b"")
    start().api.create()


def test_too_little_disk_is_refused_first(tmp_path):
    """Needs root for a small file system: 3 MB of database in 5 MB."""
    point = tmp_path / "disk"
    point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(point)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small file system could be mounted here: {done.stderr.strip()}")
    try:
        make(point / "migchat.db").close()
        before = (point / "migchat.db").read_bytes()
        server = Server(point)
        server.spawn()
        server.wait_exit(None, START_DEADLINE_S)
        assert (point / "migchat.db").read_bytes() == before
        left = {path.name for path in point.iterdir()}
        assert left <= {"migchat.db", "migchat.db.lock", "server.log"}, left
        shutil.copyfile(point / "server.log", tmp_path / "server.log")
        seen.note_directory(tmp_path)
    finally:
        subprocess.run(["umount", str(point)], check=True)
