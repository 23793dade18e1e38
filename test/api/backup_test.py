"""The backup of a running server, asked for as its operator does."""
import os
import re
import socket
import sqlite3
import stat
import threading

import pytest

from support import seen, server
from support.api import new_name


def backup(running, path, **options):
    return running.command("backup", path, **options)


def begin(body):
    return (f"POST /backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")


def ask(running, requests):
    """Status and error code of each answer to requests that are sent at once."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(running.admin_socket)
        admin.sendall(requests.encode())
        admin.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: admin.recv(4096), b"")).decode()
    answers = []
    for answer in received.split("HTTP/1.1 ")[1:]:
        code = re.search(r'"code":"(\w+)"', answer)
        answers.append((int(answer[:3]), code and code[1]))
        seen.note_answer("POST", "/backups", *answers[-1])
    return answers


def messages(path):
    """What the copy holds: each message's text, sorted."""
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return sorted(row[0] for row in database.execute("SELECT text FROM log WHERE kind = 1"))


def test_a_backup_is_one_file_that_only_its_owner_reads(start, tmp_path):
    running = start()
    alice, bob = (running.api.create(new_name(name)) for name in ("alice", "bob"))
    alice.send(bob, "kept")
    done = backup(running, tmp_path / "copy.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 accounts and 1 messages" in done.stdout
    assert messages(tmp_path / "copy.db") == ["kept"]
    assert stat.S_IMODE(os.stat(tmp_path / "copy.db").st_mode) == 0o600
    assert os.listdir(tmp_path).count("copy.db") == 1
    assert not [name for name in os.listdir(tmp_path) if name.startswith("copy.db-")]


def test_a_relative_name_is_of_the_folder_it_was_given_in(start, tmp_path):
    running = start()
    assert backup(running, "here.db", cwd=tmp_path).returncode == 0
    assert (tmp_path / "here.db").exists()


def test_a_file_that_is_there_stays(start, tmp_path):
    running = start()
    (tmp_path / "there.db").write_text("mine")
    done = backup(running, tmp_path / "there.db")
    assert done.returncode == 1
    assert done.stderr.startswith("migchat-server: ") and done.stderr.count("\n") == 1
    assert (tmp_path / "there.db").read_text() == "mine"
    assert backup(running, tmp_path / "no" / "folder.db").returncode == 1
    assert backup(running, tmp_path / "other.db").returncode == 0, "the next one is not harmed"


def test_backups_under_load_are_prefixes_of_what_was_acknowledged(start, tmp_path):
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
        for number in range(12):
            before = len(acknowledged)
            done = backup(running, tmp_path / f"{number}.db")
            assert done.returncode == 0, done.stderr
            held = messages(tmp_path / f"{number}.db")
            assert held == [f"{place:08}" for place in range(len(held))], "a gap"
            assert before <= len(held) <= len(acknowledged) + 1
    finally:
        stops.set()
        sender.join()
    assert len(held) > 0, "nothing was sent meanwhile"


def test_without_a_server_it_says_so(tmp_path):
    done = server.run("backup", "copy.db", "--db", "none.db", cwd=tmp_path)
    assert done.returncode == 1
    assert "no server answers" in done.stderr and "none.db.sock" in done.stderr


@pytest.mark.parametrize("name", ("", "/" + "x" * 4096, "x" * 4096), ids=("none", "long", "long and relative"))
def test_a_name_that_no_file_can_have(tmp_path, name):
    done = server.run("backup", name, "--db", "none.db", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "migchat-server: the file's name is empty or too long\n"


@pytest.mark.parametrize("body, status, code", (
    ('{"path":"relative.db"}', 400, "path_not_allowed"),
    ('{"path":""}', 400, "path_not_allowed"),
    (f'{{"path":"/{"x" * 4095}"}}', 400, "path_not_allowed"),
    ('{"path":1}', 422, "body_shape"),
    ('{', 400, "json_malformed"),
), ids=("relative", "none", "long", "a number", "no JSON"))
def test_what_is_no_path_is_refused(start, body, status, code):
    running = start()
    assert ask(running, begin(body)) == [(status, code)]


def test_one_backup_at_a_time(start, tmp_path):
    running = start()
    both = "".join(begin(f'{{"path":"{tmp_path / name}"}}') for name in ("first.db", "second.db"))
    assert ask(running, both) == [(200, None), (409, "backup_running")]
    # What was refused is not begun, and does not stand in the way once the first is done.
    tries = (backup(running, tmp_path / "third.db").returncode == 0 for _ in range(100))
    assert any(tries)
    assert (tmp_path / "first.db").exists() and not (tmp_path / "second.db").exists()


def test_the_socket_is_its_owners_and_goes_with_the_server(start):
    running = start()
    path = running.admin_socket
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    running.stop()
    assert not os.path.exists(path)
