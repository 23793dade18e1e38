"""`export --format=rust`: what the Rust server would open, and adopted again it is what it was."""

import fcntl
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

from support import seen
from support.api import Account, new_name
from support.http import SLOWNESS
from support.rust_database import CONVERSATIONS, RustDatabase, password_hash
from support.server import COMMAND_DEADLINE_S, Server, binary, environment, run

CONTENTS = ("plain", "\"quotes\" and \\ and \\u0041", "lines\r\nof\ttext", "😀 emoji 𝄞",
            "\x01\x1f\x7f\b\f controls", "é" * 20_000, "\u2028", " ")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+00:00")


def export(server, path, **options):
    return server.command("export", "--format=rust", path, **options)


def tokens_of(path):
    with open(f"{path}.tokens", encoding="utf-8", newline="") as lines:
        return dict(line.rstrip("\n").split("\t") for line in lines)


def rows_of(path, sql, *values):
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return database.execute(sql, values).fetchall()
    finally:
        database.close()


def adopted(path, directory):
    """A new server on a copy of the file."""
    directory.mkdir()
    server = Server(directory)
    shutil.copyfile(path, server.database)
    for kept in (path, f"{path}.tokens", server.database + ".rust-copy"):
        seen.note_adopted_copy(kept)
    return server


def people(running):
    """Accounts that did everything an export has to do with; the last one is deleted."""
    api = running.api
    ann, bob, cat, dan = (api.create(new_name(name)) for name in ("ann", "bob", "cat", "dan"))
    for number, content in enumerate(CONTENTS * 3):
        sender, recipient = ((ann, bob), (bob, ann), (cat, ann))[number % 3]
        sender.send(recipient, content)
    halfway = bob.messages()[len(bob.messages()) // 2]
    bob.mark_read(ann.username, up_to=halfway["id"])
    ann.mark_read(cat.username)
    cat.send(ann, "after reading")
    ann.send(ann, "to myself")
    ann.send(bob, "with a key", key="key-1")
    dan.send(ann, "from somebody who goes")
    ann.send(dan, "to somebody who goes")
    dan.send(bob, "the same")
    ann.mark_read(dan.username)
    bob.upload(["bob 1", "bob 2", "bob 3"], identity_key="identity of bob")
    assert ann.claim(bob.username) == ["bob 1"]
    cat.upload([])
    cat.rename(new_name("cathy"))
    api.login(bob.username, bob.password)
    dan.delete_raw(dan.password).expect(204)
    return ann, bob, cat, dan


@pytest.fixture
def filled(start):
    running = start()
    return running, people(running)


def without_seq(entries):
    return [{name: value for name, value in entry.items() if name != "seq"} for entry in entries]


def seen_by(account):
    """What the account is shown, without what only this server counts."""
    others = [row["username"] for row in account.conversations()]
    return {
        "account": account.get("/api/account").expect(200).json(),
        "messages": without_seq(account.messages()),
        "conversations": account.conversations(),
        "filtered": {other: without_seq(account.filtered(other)) for other in others},
        "keys": account.get("/api/keys").expect(200).json(),
    }


def test_the_tables_are_those_the_rust_server_makes(filled, tmp_path):
    running, _ = filled
    done = export(running, tmp_path / "rust.db")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    RustDatabase(tmp_path / "theirs.db").close()
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
    theirs = [row for row in rows_of(tmp_path / "theirs.db", schema)]
    ours = [row for row in rows_of(tmp_path / "rust.db", schema)]
    assert ours == theirs
    for pragma in ("user_version", "application_id", "encoding", "auto_vacuum"):
        assert rows_of(tmp_path / "rust.db", f"PRAGMA {pragma}") \
            == rows_of(tmp_path / "theirs.db", f"PRAGMA {pragma}"), pragma
    assert rows_of(tmp_path / "rust.db", "PRAGMA foreign_key_check") == []
    assert rows_of(tmp_path / "rust.db", "PRAGMA integrity_check") == [("ok",)]


def test_the_rows_are_what_its_handlers_read(filled, tmp_path):
    """Its own queries: a session by its token, conversations, lists in order of time."""
    running, (ann, bob, cat, dan) = filled
    path = tmp_path / "rust.db"
    assert export(running, path).returncode == 0
    tokens = tokens_of(path)
    assert set(tokens) == {ann.username, bob.username, cat.username}
    assert rows_of(path, "SELECT count(*) FROM sessions") == [(3,)]
    for account in (ann, bob, cat):
        assert rows_of(path, "SELECT user_id FROM sessions WHERE token = ?",
                       tokens[account.username]) == [(account.user_id,)]
        unread = {row[0]: row[3] for row in rows_of(path, CONVERSATIONS, *[account.user_id] * 5)}
        assert unread == account.unread()
        listed = rows_of(path, "SELECT id, content FROM messages WHERE ? IN (to_user_id,"
                               " from_user_id) ORDER BY created_at DESC", account.user_id)
        assert listed == [(entry["id"], entry["content"]) for entry in account.messages()]
    for table, column in (("users", "created_at"), ("sessions", "created_at"),
                          ("messages", "created_at"), ("user_keys", "created_at"),
                          ("one_time_prekeys", "created_at"), ("messages", "read_at")):
        times = rows_of(path, f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        assert times and all(TIME.fullmatch(time) for (time,) in times), (table, column)
    assert rows_of(path, "SELECT user_id, key_id, public_key, used FROM one_time_prekeys"
                         " ORDER BY id") == [(bob.user_id, 0, "bob 2", 0),
                                             (bob.user_id, 1, "bob 3", 0)]
    assert rows_of(path, "SELECT username, password_hash FROM users WHERE id = ?", dan.user_id) \
        == [(f"deleted-{dan.user_id}", "")]


def test_when_a_message_was_read_is_kept(filled, tmp_path):
    running, (ann, bob, *_) = filled
    path = tmp_path / "rust.db"
    assert export(running, path).returncode == 0
    for read_at, created_at in rows_of(path, "SELECT read_at, created_at FROM messages WHERE"
                                             " read_at IS NOT NULL"):
        assert read_at >= created_at
    # bob read what came up to halfway at one moment, and nothing else of ann's.
    assert len(rows_of(path, "SELECT DISTINCT read_at FROM messages WHERE to_user_id = ? AND"
                             " from_user_id = ? AND read_at IS NOT NULL", bob.user_id,
                       ann.user_id)) == 1


def test_adopted_again_it_is_what_it_was(filled, tmp_path):
    running, accounts = filled
    before = {account.username: seen_by(account) for account in accounts[:3]}
    keys = {name: running.api.get(f"/api/keys/{name}").body for name in
            (accounts[1].username, accounts[2].username)}
    path = tmp_path / "rust.db"
    assert export(running, path).returncode == 0
    tokens = tokens_of(path)
    with adopted(path, tmp_path / "fresh") as fresh:
        for account in accounts[:3]:
            seen.note_token(tokens[account.username])
            again = Account(fresh.api, account.username, account.password,
                            tokens[account.username], account.user_id)
            assert seen_by(again) == before[account.username]
            fresh.api.login(account.username, account.password)
            fresh.api.get("/api/account", account.token).expect(401, "token_invalid")
        for name, bundle in keys.items():
            assert fresh.api.get(f"/api/keys/{name}").body == bundle
        newest = max(entry["id"] for entry in accounts[0].messages())
        new = fresh.api.create()
        assert new.user_id > max(account.user_id for account in accounts)
        assert new.send(new)["message_id"] > newest
        again = Account(fresh.api, accounts[0].username, accounts[0].password,
                        tokens[accounts[0].username], accounts[0].user_id)
        assert again.claim(accounts[1].username) == ["bob 2"]


def test_what_stays_behind_is_told(filled, tmp_path):
    running, (ann, bob, cat, dan) = filled
    done = export(running, tmp_path / "rust.db")
    first, second, title, *losses = done.stdout.splitlines()
    messages = rows_of(tmp_path / "rust.db", "SELECT count(*) FROM messages")[0][0]
    assert first == (f"{tmp_path}/rust.db: 3 accounts (and 1 deleted), {messages} messages,"
                     " 2 key bundles, 2 one-time keys")
    assert second.startswith(f"{tmp_path}/rust.db.tokens: 3 tokens")
    assert title.endswith("no place for:")
    told = {re.split(r"[:,]| that | for | read ", line.strip().split(" ", 1)[1])[0]:
            int(line.split()[0]) for line in losses}
    assert told["passwords"] == 3 and told["sessions"] == 4 and told["names held"] == 2
    assert told["idempotency keys"] == 1 and told["one-time keys handed out"] == 1
    assert told["events"] > 0
    for token in tokens_of(tmp_path / "rust.db").values():
        assert token not in done.stdout + done.stderr


def test_both_files_are_their_owners_alone_and_nothing_is_overwritten(filled, tmp_path):
    running, _ = filled
    path = tmp_path / "rust.db"
    assert export(running, path, cwd=tmp_path).returncode == 0
    for file in (path, f"{path}.tokens"):
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["own", "rust.db", "rust.db.tokens"]
    before = path.read_bytes(), (tmp_path / "rust.db.tokens").read_bytes()
    for gone in ((), (path,)):
        for file in gone:
            os.remove(file)
        again = export(running, path)
        assert again.returncode == 1 and "exists" in again.stderr, again.stderr
        assert again.stdout == "" and again.stderr.count("\n") == 1
    assert (tmp_path / "rust.db.tokens").read_bytes() == before[1] and not path.exists()
    os.remove(f"{path}.tokens")
    assert export(running, "rust.db", cwd=tmp_path).returncode == 0, "a relative name"
    assert path.exists()
    assert export(running, tmp_path / "no" / "folder.db").returncode == 1


def test_what_is_no_database_of_ours_is_refused(tmp_path):
    RustDatabase(tmp_path / "theirs.db").close()
    (tmp_path / "text.db").write_text("no database at all, only a line of text\n" * 100)
    for name, words in (("theirs.db", "Rust server's"), ("text.db", "text.db"),
                        ("missing.db", "No such file")):
        done = run("export", "--format=rust", tmp_path / "out.db", "--db", tmp_path / name)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert not [file for file in os.listdir(tmp_path) if file.startswith("out.db")]
    done = run("export", "--format=rust", tmp_path / "out.db", "--db", ":memory:")
    assert done.returncode == 1 and "in memory" in done.stderr, done.stderr


@pytest.mark.parametrize("name", ("", "x" * 4096), ids=("none", "long"))
def test_a_name_that_no_file_can_have(filled, name):
    done = export(filled[0], name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "migchat-server: the file's name is empty or too long\n"


@pytest.mark.parametrize("arguments", (("export", "x.db"), ("export", "--format=rust"),
                                       ("export", "--format=csv", "x.db"),
                                       ("backup", "--format=rust", "x.db")), ids=" ".join)
def test_the_format_has_to_be_named(tmp_path, arguments):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "--format=rust" in done.stderr
    assert not os.listdir(tmp_path)


def test_it_never_writes_to_what_it_reads(filled, tmp_path):
    """Neither the file of a stopped server, nor beside it; and a backup serves as well."""
    running, accounts = filled
    backup = tmp_path / "backup.db"
    assert running.command("backup", backup).returncode == 0
    assert export(running, tmp_path / "running.db").returncode == 0
    running.stop()
    files = {path.name: path.read_bytes() for path in running.directory.iterdir()}
    assert export(running, tmp_path / "stopped.db").returncode == 0
    assert {path.name: path.read_bytes() for path in running.directory.iterdir()} == files
    done = run("export", "--format=rust", tmp_path / "of_backup.db", "--db", backup)
    assert done.returncode == 0, done.stderr
    dumps = [rows_of(tmp_path / name, "SELECT * FROM messages ORDER BY id")
             for name in ("running.db", "stopped.db", "of_backup.db")]
    assert dumps[0] == dumps[1] == dumps[2]
    running.start()
    assert len(Account(running.api, *[getattr(accounts[0], name) for name in
                                      ("username", "password", "token", "user_id")]).messages()) > 0


def test_of_a_server_under_load_it_is_a_prefix(start, tmp_path):
    running = start()
    alice, bob = (running.api.create(new_name(name)) for name in ("alice", "bob"))
    acknowledged, stops = [], threading.Event()

    def send():
        while not stops.is_set():
            text = f"{len(acknowledged):08}"
            alice.send(bob, text)
            acknowledged.append(text)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for number in range(8):
            before = len(acknowledged)
            done = export(running, tmp_path / f"{number}.db")
            assert done.returncode == 0, done.stderr
            held = [row[0] for row in rows_of(tmp_path / f"{number}.db",
                                              "SELECT content FROM messages ORDER BY id")]
            assert held == [f"{place:08}" for place in range(len(held))], "a gap"
            assert before <= len(held) <= len(acknowledged) + 1
    finally:
        stops.set()
        sender.join()
    assert len(held) > 0, "nothing was sent meanwhile"
    assert bob.unread() == {alice.username: len(acknowledged)}


def test_names_of_an_adopted_file_cannot_break_the_list(start, tmp_path):
    """Names made here hold no control characters; those of a Rust server may hold anything."""
    names = {1: "tab\there", 2: "two\nlines", 3: "back\\slash\\t", 4: "plain", 5: "deleted-4",
             6: "\r"}
    (tmp_path / "own").mkdir()
    rust = RustDatabase(tmp_path / "own" / "migchat.db")
    for user_id, name in names.items():
        rust.add_user(user_id, name, password_hash("password"))
    rust.add_session(4, "T" * 32)
    rust.add_message(9, 4, 5, "kept", "2025-11-03T12:00:00+00:00", "2025-11-03T13:00:00+00:00")
    rust.close()
    running = start()
    for refused in ("tab\there", "two\nlines", "back\\slash", "\0"):
        running.api.create_raw(refused, seen.new_password()).expect(400)
    running.api.post("/api/account/delete", "T" * 32, {"password": "password"}).expect(204)
    seen.note_adopted_copy(tmp_path / "own" / "migchat.db.rust-copy")
    path = tmp_path / "rust.db"
    done = export(running, path)
    assert done.returncode == 0, done.stderr
    seen.note_adopted_copy(path)
    seen.note_adopted_copy(f"{path}.tokens")
    with open(f"{path}.tokens", "rb") as file:
        lines = file.read().decode().split("\n")
    assert lines.pop() == ""
    assert [line.split("\t")[0] for line in lines] \
        == ["tab\\there", "two\\nlines", "back\\\\slash\\\\t", "deleted-4", "\\r"]
    for line in lines:
        assert re.fullmatch(r"[^\t\n\r]+\t[A-Za-z0-9]{32}", line), line
    # The deleted account's name was taken all along; a message still has its sender.
    assert rows_of(path, "SELECT username FROM users ORDER BY id") \
        == [(names[1],), (names[2],), (names[3],), ("deleted-4-2",), (names[5],), (names[6],)]
    assert rows_of(path, "SELECT from_user_id, read_at, created_at FROM messages") \
        == [(4, "2025-11-03T12:00:00.000000000+00:00", "2025-11-03T12:00:00.000000009+00:00")]
    assert "1 messages read at a time that is not known" in done.stdout


def test_killed_at_any_moment_it_leaves_no_half_file(start, tmp_path):
    running = start()
    alice, bob = (running.api.create(new_name(name)) for name in ("alice", "bob"))
    for number in range(200):
        alice.send(bob, f"{number} " + "x" * 2000)
    running.stop()
    begun = time.monotonic()
    assert export(running, tmp_path / "whole.db").returncode == 0
    took_s = time.monotonic() - begun
    messages = rows_of(tmp_path / "whole.db", "SELECT * FROM messages ORDER BY id")
    kills = whole = 0
    for attempt in range(40):
        path = tmp_path / "killed.db"
        process = subprocess.Popen(
            [binary(), "export", "--format=rust", str(path), *running.addressed],
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(took_s * attempt / 40)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += process.wait(COMMAND_DEADLINE_S) == -signal.SIGKILL
        if path.exists():
            whole += 1
            assert rows_of(path, "PRAGMA integrity_check") == [("ok",)]
            assert rows_of(path, "SELECT * FROM messages ORDER BY id") == messages
            assert len(tokens_of(path)) == 2
            os.remove(path)
        if os.path.exists(f"{path}.tokens"):
            assert len(tokens_of(path)) == 2
            os.remove(f"{path}.tokens")
    assert kills > 0
    assert export(running, path).returncode == 0, "what the killed left is in the way"
    assert not [name for name in os.listdir(tmp_path) if "partial" in name]


def test_what_another_export_is_writing_is_left_alone(filled, tmp_path):
    running, _ = filled
    partial = tmp_path / "rust.db.tokens.partial"
    partial.write_text("half")
    with open(partial, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = export(running, tmp_path / "rust.db")
        assert done.returncode == 1 and "another export" in done.stderr, done.stderr
        assert partial.read_text() == "half"
    assert export(running, tmp_path / "rust.db").returncode == 0
    assert not partial.exists()


def test_of_two_with_one_wish_one_wins(filled, tmp_path):
    running, _ = filled
    command = [binary(), "export", "--format=rust", str(tmp_path / "rust.db"),
               *running.addressed]
    for _ in range(10):
        both = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, text=True) for _ in range(2)]
        said = [process.communicate(timeout=COMMAND_DEADLINE_S * SLOWNESS)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        assert codes == [0, 1], said
        tokens = tokens_of(tmp_path / "rust.db")
        assert {row[0] for row in rows_of(tmp_path / "rust.db", "SELECT token FROM sessions")} \
            == set(tokens.values()), "the files are of two exports"
        os.remove(tmp_path / "rust.db")
        os.remove(tmp_path / "rust.db.tokens")
