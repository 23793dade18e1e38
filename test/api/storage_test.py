"""The database file: one process at a time, durable, refused when it is not ours to open."""

import fcntl
import os
import pathlib
import shutil
import sqlite3
import subprocess

import pytest

from support import seen
from support.server import START_DEADLINE_S, Server


def files_of(server):
    return {path.name: path.read_bytes() for path in server.directory.iterdir()
            if path.name != "server.log"}


def test_a_second_process_is_refused(start):
    server = start()
    alice = server.api.create()
    second = Server(server.directory).spawn()
    second.wait_exit(None, START_DEADLINE_S)
    assert server.database in second.log() or "lock" in second.log(), second.log()
    alice.get("/api/account").expect(200)
    alice.send(alice)
    # The lock is on FILE.lock, and it goes with the process, however that ends.
    assert os.path.exists(server.database + ".lock")
    server.kill()
    server.start()
    alice.api = server.api
    assert len(alice.messages()) == 1


def test_the_lock_is_a_flock_on_its_own_file(start):
    server = start()
    with open(server.database + ".lock", "rb") as lock:
        with pytest.raises(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.stop()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.spawn()
        server.wait_exit(None, START_DEADLINE_S)
    server.start()


def test_a_newer_schema_is_refused_untouched(start, tmp_path):
    server = start()
    server.api.create()
    server.stop()
    newer = Server(tmp_path / "newer")
    server.copy_database(newer.database)
    with sqlite3.connect(newer.database) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        assert version >= 1
        database.execute("PRAGMA user_version = 9999")
    database.close()
    before = pathlib.Path(newer.database).read_bytes()
    newer.spawn()
    newer.wait_exit(None, START_DEADLINE_S)
    assert "9999" in newer.log() or "newer" in newer.log(), newer.log()
    assert pathlib.Path(newer.database).read_bytes() == before


@pytest.mark.parametrize("content", (b"This is no database, but text.\n" * 400,
                                     b"SQLite format 3\0" + b"\xff" * 8000), ids=("text", "broken"))
def test_a_file_that_is_no_database_is_refused_untouched(tmp_path, content):
    server = Server(tmp_path / "text")
    pathlib.Path(server.database).write_bytes(content)
    server.spawn()
    server.wait_exit(None, START_DEADLINE_S)
    assert pathlib.Path(server.database).read_bytes() == content


def test_a_database_of_something_else_is_refused_untouched(tmp_path):
    server = Server(tmp_path / "other")
    with sqlite3.connect(server.database) as database:
        database.execute("CREATE TABLE recipes(id INTEGER PRIMARY KEY, text TEXT)")
        database.execute("INSERT INTO recipes(text) VALUES ('soup')")
    database.close()
    before = pathlib.Path(server.database).read_bytes()
    server.spawn()
    server.wait_exit(None, START_DEADLINE_S)
    assert pathlib.Path(server.database).read_bytes() == before


def test_in_memory(start):
    server = start(db=":memory:")
    alice, bob = server.api.create(), server.api.create()
    sent = [alice.send(bob) for _ in range(3)]
    assert [e["id"] for e in bob.messages()] == [s["message_id"] for s in reversed(sent)]
    assert bob.mark_read(alice.username) == 3
    assert bob.unread() == {alice.username: 0}
    alice.upload(["one"])
    assert bob.claim(alice.username) == ["one"]
    alice.rename(alice.username + "x")
    assert bob.messages()[0]["from_username"] == alice.username
    assert files_of(server) == {}, "it wrote files"
    server.restart()
    alice.api = server.api
    alice.get("/api/account").expect(401)


def test_what_was_acknowledged_survives_a_crash(start):
    server = start()
    alice, bob = server.api.create(), server.api.create()
    sent, renamed = [], 0
    for round_number in range(3):
        sent += [alice.send(bob) for _ in range(20)]
        bob.mark_read(alice.username, up_to=bob.messages()[3]["seq"])
        server.kill()
        server.start()
        alice.api = bob.api = server.api
        for account in (alice, bob):
            assert [e["id"] for e in account.messages()] \
                == [s["message_id"] for s in reversed(sent)]
        assert bob.unread() == {alice.username: 3}
        bob.mark_read(alice.username)
        renamed += 1
        alice.rename(f"{alice.username}r")
        assert bob.messages()[0]["from_username"] == alice.username
    with sqlite3.connect(f"file:{stopped(server)}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def stopped(server):
    server.stop()
    return server.database


def test_ids_are_not_used_again_after_a_crash(start):
    server = start()
    alice = server.api.create()
    ids = []
    for _ in range(3):
        ids += [alice.send(alice)["message_id"] for _ in range(5)]
        server.kill()
        server.start()
        alice.api = server.api
    account_ids = [server.api.create().user_id]
    server.kill()
    server.start()
    account_ids.append(server.api.create().user_id)
    assert ids == sorted(set(ids))
    assert alice.user_id < account_ids[0] < account_ids[1]


def test_a_disk_below_its_floor_is_not_ready(start):
    api = start(flags=["--disk-floor-bytes", str(1 << 40)]).api
    if os.statvfs("/").f_bavail * os.statvfs("/").f_frsize > 1 << 40:
        pytest.skip("more than a terabyte is free here")
    api.get("/readyz").expect(503)
    api.get("/livez").expect(200)
    api.create()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB; needs root."""
    point = tmp_path / "disk"
    point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(point)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small file system could be mounted here: {done.stderr.strip()}")
    try:
        yield point
    finally:
        # What the server left is kept for the search for secrets.
        for path in point.glob("*/*"):
            if path.name == "server.log" or path.suffix == ".db":
                shutil.copyfile(path, tmp_path / f"kept-{path.name}")
        seen.note_directory(tmp_path)
        subprocess.run(["umount", str(point)], check=True)


def test_a_full_disk_refuses_writes_and_recovers(small_disk):
    ballast = small_disk / "ballast"
    with Server(small_disk / "own") as server:
        alice = server.api.create()
        sent = [alice.send(alice)]
        ballast.write_bytes(b"")
        # Fill the disk but for what a few messages need.
        with open(ballast, "ab", buffering=0) as file:
            free = os.statvfs(small_disk)
            left = free.f_bavail * free.f_frsize - 256 * 1024
            file.write(b"\0" * left)
        refused = None
        for _ in range(200):
            content = seen.new_content("x" * 30000)
            response = alice.send_raw(alice.username, content)
            if response.status != 200:
                refused = response
                break
            sent.append({"message_id": response.json()["message_id"]})
        assert refused is not None, "200 messages of 30 KB fitted into 256 KB"
        refused.expect(503, "disk_full")
        # Reading goes on, and nothing acknowledged is missing, nothing refused is there.
        assert [e["id"] for e in alice.messages()] == [s["message_id"] for s in reversed(sent)]
        ballast.unlink()
        sent.append(alice.send(alice))
        assert [e["id"] for e in alice.messages()] == [s["message_id"] for s in reversed(sent)]
