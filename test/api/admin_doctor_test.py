"""`doctor`: what it finds, with a server and without, and that looking harms nothing."""
import contextlib
import json
import os
import pathlib
import resource
import socket
import sqlite3
import tempfile
import threading
import time

import pytest

from support.api import new_name
from support.http import MEMCHECK, SLOWNESS
from support.rust_database import RustDatabase, password_hash
from support.server import run


def examined(running, *flags, status=0):
    """finding and advice by name; where a name comes twice, the worst."""
    done = running.command("doctor", "--json", *flags)
    assert done.returncode == status, (done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    assert answer["is_good"] == (status == 0)
    order = ("ok", "warn", "fail")
    found = {}
    for check in answer["checks"]:
        assert set(check) == {"finding", "name", "about", "advice"}
        assert (check["advice"] is None) == (check["finding"] == "ok"), check
        before = found.setdefault(check["name"], check)
        if order.index(check["finding"]) > order.index(before["finding"]):
            found[check["name"]] = check
    return found


def findings(found):
    return {name for name, check in found.items() if check["finding"] != "ok"}


def test_a_good_server_has_nothing_to_find(start):
    running = start()
    running.api.create(new_name())
    found = examined(running)
    assert findings(found) == set()
    assert set(found) == {"server", "descriptors", "folder", "database", "WAL", "WAL index", "lock",
                          "admin socket", "old copy", "disk", "integrity", "clock", "SQLite"}
    done = running.command("doctor")
    assert done.returncode == 0 and done.stderr == ""
    assert all(line.split()[0] == "ok" for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == len(found)


def test_without_a_server_it_looks_all_the_same_and_leaves_nothing(start):
    running = start()
    running.api.create(new_name())
    running.stop()
    before = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(running.directory)}
    found = examined(running)
    assert findings(found) == {"server"}
    after = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(running.directory)}
    assert after == before
    running.start()


@pytest.mark.parametrize("said, about", (
    (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as a MigChat server"),
    (b'HTTP/1.1 503 No\r\n\r\n{"error":"draining"}', 'it is not ready (503): {"error":"draining"}'),
), ids=("another", "not ready"))
def test_what_listens_and_is_not_ready_is_found(tmp_path, said, about):
    # pytest's folder is deeper than a socket's path may be.
    with tempfile.TemporaryDirectory(prefix="migchat-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen()

        def serve():
            for _ in range(2):  # whether it answers, and what
                with listener.accept()[0] as peer, contextlib.suppress(OSError):
                    if peer.recv(4096):
                        peer.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        done = run("doctor", "--json", "--db", "none.db", "--admin-socket", f"{folder}/s", cwd=tmp_path)
        thread.join()
    assert done.returncode == 1, done.stderr
    server, = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "server")
    assert server["finding"] == "fail" and about in server["about"], server


def test_a_database_in_memory_has_no_files_to_look_at(tmp_path):
    done = run("doctor", "--json", "--db", ":memory:", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {check["name"] for check in json.loads(done.stdout)["checks"]}
    assert names == {"server", "descriptors", "clock", "SQLite"}
    assert list(os.scandir(tmp_path)) == []


def test_after_a_crash_the_wal_is_read_and_kept(start):
    running = start()
    running.api.create(new_name())
    running.kill()
    wal = pathlib.Path(running.database + "-wal").read_bytes()
    assert len(wal) > 0
    assert findings(examined(running)) == {"server"}
    assert pathlib.Path(running.database + "-wal").read_bytes() == wal
    running.start()


def test_no_database_at_all(tmp_path):
    done = run("doctor", "--db", "none.db", cwd=tmp_path)
    assert done.returncode == 0 and "no database at none.db" in done.stdout
    assert list(os.scandir(tmp_path)) == []
    done = run("doctor", "--db", "no/folder/none.db", cwd=tmp_path)
    assert done.returncode == 1 and "fail  folder" in done.stdout


@pytest.mark.parametrize("suffix, name", (("", "database"), ("-wal", "WAL"), ("-shm", "WAL index"), (".lock", "lock")))
def test_files_that_others_may_open_are_found(start, suffix, name):
    running = start()
    os.chmod(running.database + suffix, 0o640)
    found = examined(running, status=1)
    assert name in findings(found) <= {name, "WAL", "WAL index"} and found[name]["finding"] == "fail"
    assert "0640" in found[name]["about"] and "chmod" in found[name]["advice"]
    for each in ("", "-wal", "-shm"):  # SQLite gives an empty WAL the database's mode, whoever opens it
        os.chmod(running.database + each, 0o600)
    os.chmod(running.database + ".lock", 0o600)
    examined(running)


def test_a_socket_or_folder_open_to_others_is_found(start):
    running = start()
    os.chmod(running.admin_socket, 0o666)
    assert findings(examined(running, status=1)) == {"admin socket"}
    os.chmod(running.admin_socket, 0o600)
    os.chmod(running.directory, 0o777)
    assert findings(examined(running, status=1)) == {"folder"}
    os.chmod(running.directory, 0o755)


def test_files_of_another_owner_are_found(start):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    running = start()
    os.chown(running.database + "-wal", 12345, -1)
    found = examined(running, status=1)
    assert findings(found) == {"WAL"} and "12345" in found["WAL"]["about"]
    os.chown(running.database + "-wal", 0, -1)
    os.chown(running.directory, 12345, -1)
    found = examined(running)
    assert findings(found) == {"folder"} and "12345" in found["folder"]["about"]
    os.chown(running.directory, 0, -1)


def test_a_damaged_database_is_found(start):
    running = start()
    for _ in range(20):
        running.api.create(new_name())
    running.stop()
    size = os.path.getsize(running.database)
    with open(running.database, "r+b") as database:
        for offset in range(4096, size, 4096):
            database.seek(offset)
            database.write(b"\xff" * 100)
    found = examined(running, status=1)
    assert found["integrity"]["finding"] == "fail" and "backup" in found["integrity"]["advice"]
    with open(running.database, "wb") as database:
        database.write(b"no database at all, " * 1000)
    assert "integrity" in findings(examined(running, status=1))


def test_what_is_not_ours_is_not_called_good(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE things(id)")
    database.close()
    os.chmod(tmp_path / "other.db", 0o600)
    done = run("doctor", "--db", tmp_path / "other.db")
    assert done.returncode == 1 and "not a MigChat database" in done.stdout


def test_the_copy_of_an_adoption_is_told_of(start, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    rust = RustDatabase(folder / "migchat.db")
    rust.add_user(1, "ada", password_hash("secret"))
    rust.close()
    running = start()
    found = examined(running)
    assert findings(found) == {"old copy"} and found["old copy"]["finding"] == "warn"
    assert "rust-copy" in found["old copy"]["about"]
    for copy in folder.glob("*.rust-copy*"):
        copy.unlink()
    assert findings(examined(running)) == set()


@pytest.mark.skipif(MEMCHECK, reason="valgrind keeps some of the descriptors that are counted")
def test_too_few_descriptors_are_found(start):
    running = start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400)))
    found = examined(running, "--max-connections", "5000")
    assert findings(found) == {"descriptors"} and "336" in found["descriptors"]["about"]
    assert findings(examined(running)) == set()


def test_a_second_checkpointer_is_found_where_it_does_harm(start):
    running = start()
    if "WAL-reset bug" not in examined(running)["SQLite"]["about"]:
        pytest.skip("this SQLite does not have the bug")
    assert findings(examined(running, "--checkpoint", "external", status=1)) == {"SQLite"}


def test_a_full_disk_is_found(start):
    running = start()
    assert findings(examined(running, "--disk-floor-bytes", str(1 << 39), status=1)) == {"disk"}


def test_a_clock_behind_the_newest_message_is_found(start):
    running = start()
    ada = running.api.create(new_name())
    ada.send(ada)
    running.stop()
    with sqlite3.connect(running.database) as database:
        database.execute("UPDATE log SET created_at_ms = created_at_ms + 3600 * 1000")
    database.close()
    found = examined(running, status=1)
    assert findings(found) == {"server", "clock"} and found["clock"]["finding"] == "fail"


def test_a_server_goes_on_while_it_is_examined(start):
    """Sends are answered while the whole file is read again and again, and the WAL is copied after."""
    running = start()
    ada, bob = (running.api.create(new_name(name)) for name in ("ada", "bob"))
    for _ in range(300):
        ada.send(bob, "x" * 2000)
    stops, sent, slowest = threading.Event(), [0], [0.0]

    def send():
        while not stops.is_set():
            begun = time.monotonic()
            ada.send(bob, "x" * 2000)
            slowest[0] = max(slowest[0], time.monotonic() - begun)
            sent[0] += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(5):
            assert findings(examined(running)) == set()
    finally:
        stops.set()
        sender.join()
    assert sent[0] > 0 and slowest[0] < 5 * SLOWNESS
    assert examined(running)["integrity"]["finding"] == "ok"


def test_a_name_of_a_file_does_not_reach_the_terminal_raw(tmp_path):
    done = run("doctor", "--db", tmp_path / "\x1b[31mred.db")
    assert "\x1b" not in done.stdout + done.stderr and "\\u{1b}[31mred" in done.stdout
