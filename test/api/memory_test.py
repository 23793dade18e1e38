"""The machine it is for: 256 MB, 200 clients that poll histories of 5,000 messages all at once."""

import concurrent.futures
import json
import os
import pathlib
import threading

import pytest

from support import seen
from support.http import SANITIZED, Connection, request_bytes
from support.rust_database import RustDatabase, password_hash
from support.server import Server

ACCOUNTS = 20
MESSAGES = 5000
CLIENTS = 200
CONTENT_BYTES = 468  # the published client's smallest ciphertext
MACHINE_BYTES = 256 * 1024 * 1024
PEAK_MAX_BYTES = 64 * 1024 * 1024
CGROUP = pathlib.Path("/sys/fs/cgroup/memory")


@pytest.fixture
def machine(tmp_path):
    """A memory cgroup of 256 MB, page cache and all, to start the server in; None without one."""
    folder = CGROUP / f"migchat-test-{os.getpid()}"
    if SANITIZED:
        print("no machine of 256 MB: a sanitizer alone takes more")
        yield None
        return
    try:
        folder.mkdir()
    except OSError as reason:
        print(f"no memory cgroup ({reason}): the server's own peak is judged alone")
        yield None
        return
    (folder / "memory.limit_in_bytes").write_text(str(MACHINE_BYTES))
    yield folder
    folder.rmdir()


def token_of(account):
    return f"token{account:027d}"  # no part of any message


def history_make(path):
    """Pairs of accounts that wrote to each other, as the Rust server would have left them."""
    database = RustDatabase(path)
    hashed = password_hash(seen.new_password())
    database.database.execute("BEGIN")
    for account in range(1, ACCOUNTS + 1):
        seen.note_token(token_of(account))
        database.add_user(account, f"poller{account}", hashed)
        database.add_session(account, token_of(account))
    rows = ((number + 1, 2 * (number % (ACCOUNTS // 2)) + 1 + number // (ACCOUNTS // 2) % 2,
             2 * (number % (ACCOUNTS // 2)) + 2 - number // (ACCOUNTS // 2) % 2,
             f"{number:0{CONTENT_BYTES}d}", "2025-11-03T12:00:00.5+00:00", None)
            for number in range(MESSAGES * ACCOUNTS // 2))
    database.database.executemany("INSERT INTO messages VALUES (?,?,?,?,?,?)", rows)
    database.database.execute("COMMIT")
    database.close()


def peak_bytes(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def test_200_clients_poll_5000_messages_each_on_a_machine_of_256_mb(tmp_path, machine):
    history_make(tmp_path / "migchat.db")
    join = None if machine is None else \
        lambda: (machine / "cgroup.procs").write_text(str(os.getpid()))
    together = threading.Barrier(CLIENTS)

    def poll(client):
        account = client % ACCOUNTS + 1
        with Connection(server.port) as connection:
            together.wait(timeout=120)
            connection.send(request_bytes("GET", "/api/messages",
                                          [("Authorization", f"Bearer {token_of(account)}")]))
            body = connection.answer("GET", "/api/messages").expect(200).body
        entries = json.loads(body)
        assert len(entries) == MESSAGES
        assert [entry["seq"] for entry in entries] == list(range(MESSAGES, 0, -1))
        return len(body)

    with Server(tmp_path, preexec=join) as server:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            sent_bytes = sum(pool.map(poll, range(CLIENTS)))
        peak = peak_bytes(server.process)
        print(f"{CLIENTS} clients, {sent_bytes >> 20} MiB in all, peak {peak / 2**20:.1f} MiB")
        if SANITIZED:
            print("a sanitizer's memory is its own: the bar is judged with the release build")
        else:
            assert peak <= PEAK_MAX_BYTES
