"""Adoption that meets trouble: journals left behind, no room, a crash in the middle.

Whatever happens, the file stays one the Rust server can go on with, or is adopted whole.
"""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import subprocess

import pytest

from support import seen
from support.api import Account, Api
from support.http import check_error_body
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
        if not path.name.endswith((".db", "-wal", "-shm", ".lock", ".sock", ".log")):
            seen.note_adopted_copy(path)


@contextlib.contextmanager
def looked_at(path):
    """A copy of a database as a crash left it, opened: a hot journal is rolled back in the copy."""
    copy = str(path) + ".looked-at"
    seen.note_adopted_copy(copy)
    for suffix in ("", "-wal", "-journal"):
        if os.path.exists(str(path) + suffix):
            shutil.copyfile(str(path) + suffix, copy + suffix)
            seen.note_adopted_copy(copy + suffix)
    database = sqlite3.connect(copy)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    yield database
    database.close()
    for suffix in ("", "-wal", "-shm", "-journal"):
        pathlib.Path(copy + suffix).unlink(missing_ok=True)


def is_adopted(path):
    """Whether the file is ours: a kill between the commit and the line of the log leaves it so."""
    with looked_at(path) as database:
        return database.execute("PRAGMA user_version").fetchone() != (0,)


def still_usable(path, before):
    """The Rust server could go on with it: the same rows under the same schema, and writable."""
    with looked_at(path) as database:
        assert dump(str(path) + ".looked-at") == before
        assert database.execute("PRAGMA user_version").fetchone() == (0,)
        database.execute(
            "INSERT INTO messages (from_user_id, to_user_id, content) VALUES (1, 2, 'x')")
        database.commit()


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
               ("migchat.db", "migchat.db-wal", "migchat.db-shm", "migchat.db.lock", "migchat.db.sock",
                "server.log")]
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
@pytest.mark.parametrize("room", (-0.5, 0.0, 0.1, 0.4, 0.7))
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
    serves.api = Api(serves.port)
    check_adopted(serves)
    serves.stop()


# Enough for an adoption of half a second and more, so that something happens while it runs.
MANY = 20000
MOMENTS = 8
COPY = "migchat.db.rust-copy"


def copies_of(directory):
    return sorted(path.name for path in directory.iterdir() if COPY in path.name)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """(a large database of the Rust server, its dump, the seconds its adoption takes)"""
    directory = tmp_path_factory.mktemp("many")
    path = directory / "migchat.db"
    make(path, MANY).close()
    kept = directory / "kept.db"
    shutil.copyfile(path, kept)
    before = dump(path)
    server = Server(directory).start()
    took_s = server.events("adopted")[0]["took_ms"] / 1000
    server.stop()
    for each in (kept, *directory.glob("*copy*")):
        seen.note_adopted_copy(each)
    return kept, before, took_s


def test_it_says_that_it_is_not_ready_while_it_adopts(own, many):
    shutil.copyfile(many[0], own / "migchat.db")
    server = Server(own).spawn()
    api = Api(int(server.wait_event("opening")["port"]))
    server.wait_event("adopting")
    api.get("/health").expect(200)
    api.get("/livez").expect(200)
    for refused in (api.get("/readyz"), api.get("/api/messages", token=TOKEN),
                    api.login_raw("anna", seen.new_password()), api.get("/api/keys/anna")):
        refused.expect(503, "migrating")
        check_error_body(refused)
        assert int(refused.field("retry-after")) >= 1
    assert not server.events("adopted"), "too fast: it was not seen at work"
    server.wait_event("listening")
    server.port, server.api = api.port, api
    api.get("/readyz").expect(200)
    check_adopted(server, MANY)
    server.stop()


def test_killed_at_any_moment_it_leaves_the_old_file_and_one_copy(start, own, many):
    kept, before, took_s = many
    shutil.copyfile(kept, own / "migchat.db")
    killed = 0
    for moment in range(MOMENTS):
        server = Server(own).spawn()
        server.wait_event("opening")
        try:
            server.process.wait(took_s * moment / MOMENTS)
        except subprocess.TimeoutExpired:
            pass
        server.kill()
        note_copies(own)
        finished = [name for name in copies_of(own) if name != COPY + "-partial"]
        assert finished in ([], [COPY]), finished
        for name in finished:
            assert dump(own / name) == before
        if server.events("adopted") or is_adopted(own / "migchat.db"):
            break
        killed += 1
        still_usable(own / "migchat.db", before)
    assert killed > 2
    check_adopted(start(), MANY)
    assert copies_of(own) == [COPY]
    assert dump(own / COPY) == before


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT), ids=("SIGTERM", "SIGINT"))
def test_told_to_stop_at_any_moment_it_undoes_what_it_began(start, own, many, number):
    kept, before, took_s = many
    shutil.copyfile(kept, own / "migchat.db")
    stopped = 0
    for moment in range(MOMENTS):
        server = Server(own).spawn()
        server.wait_event("opening")
        try:
            server.process.wait(took_s * moment / MOMENTS)
        except subprocess.TimeoutExpired:
            pass
        server.process.send_signal(number)
        server.wait_exit(0)
        note_copies(own)
        if server.events("adopted"):
            break
        stopped += 1
        assert copies_of(own) in ([], [COPY])
        assert not (own / "migchat.db-journal").exists()
        assert dump(own / "migchat.db") == before
        assert not [e for e in server.events() if e["level"] in ("warn", "error")], server.log()
    assert stopped > 2
    check_adopted(start(), MANY)
    assert copies_of(own) == [COPY]


def test_a_copy_of_something_else_is_kept(start, own):
    make(own / COPY, 10).close()
    make(own / "migchat.db", 12).close()
    earlier = (own / COPY).read_bytes()
    check_adopted(start(), 12)
    assert (own / COPY).read_bytes() == earlier
    assert copies_of(own) == [COPY, COPY + "-2"]


@pytest.mark.parametrize("mode", (0o644, 0o660))
def test_others_are_shut_out(start, own, mode):
    make(own / "migchat.db", 10).close()
    (own / "migchat.db").chmod(mode)
    server = start()
    server.api.create()
    for suffix in ("", "-wal", "-shm"):
        assert os.stat(server.database + suffix).st_mode & 0o077 == 0, suffix
    assert not server.events("database_open_to_others")
    server.stop()
    (own / "migchat.db").chmod(mode)
    server.start()
    assert len(server.events("database_open_to_others")) == 1
    assert os.stat(server.database).st_mode & 0o777 == mode


def test_times_that_cannot_be_read_are_one_line_a_table(start, own):
    """Each gets that of the message before; thousands of them take no longer than others."""
    rust = make(own / "migchat.db", 0)
    rust.database.execute("BEGIN")
    for number in range(1, MANY + 1):
        rust.add_message(number, 1 + number % 2, 2 - number % 2, "x",
                         "2025-11-03T12:00:00Z" if number % 10000 == 1 else "soon")
    rust.database.execute("UPDATE users SET created_at = 'never'")
    rust.database.execute("COMMIT")
    rust.close()
    server = start()
    lines = [e for e in server.events() if e["event"] == "times_unreadable"]
    assert {(e["table"], e["rows"], e["first_row"]) for e in lines} \
        == {("users", 2, 1), ("messages", MANY - 2, 2)}, server.log()
    anna = Account(server.api, "anna", None, TOKEN, 1)
    assert {e["created_at"] for e in anna.messages()} == {"2025-11-03T12:00:00.000Z"}


def test_an_empty_name_is_adopted(start, own):
    rust = make(own / "migchat.db", 10)
    rust.add_user(9, "", password_hash(seen.new_password()))
    rust.add_session(9, TOKEN[::-1])
    seen.note_token(TOKEN[::-1])
    rust.close()
    server = start()
    check_adopted(server, 10)
    answer = Account(server.api, "", None, TOKEN[::-1], 9).get("/api/account").expect(200).json()
    assert answer["username"] == ""


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
        assert left <= {"migchat.db", "migchat.db.lock", "migchat.db.sock", "server.log"}, left
        shutil.copyfile(point / "server.log", tmp_path / "server.log")
        seen.note_directory(tmp_path)
    finally:
        subprocess.run(["umount", str(point)], check=True)
