"""The full list of an account with 5,000 messages: whole, of one moment, in bounded memory."""

import concurrent.futures
import json
import os
import resource
import threading
import time

import pytest

from support import seen
from support.api import CURSOR_FORM
from support.http import SANITIZED, Connection, exchange, request_bytes

MESSAGES = 5000
CONTENT_BYTES = 500
CONNECTIONS = 8
PIPELINE = 50
STOPPED_READERS = 100
READER_MAX_BYTES = 128 * 1024
WAL_KEPT_BYTES = 17 * 1024 * 1024  # 4,000 pages; larger it is cut when nothing comes, if no reader is in the way
WAL_CUT_S = 10
# A list is at least the contents in it.
LIST_BYTES_LEAST = MESSAGES * CONTENT_BYTES - 1024 * 1024


def fill(server, sender, recipient, count):
    """Send `count` messages over several pipelining connections; {message id: content}."""
    sent, lock = {}, threading.Lock()

    def send_some(share):
        with Connection(server.port) as connection:
            for begin in range(0, share, PIPELINE):
                contents = [seen.new_content().ljust(CONTENT_BYTES, ".")
                            for _ in range(min(PIPELINE, share - begin))]
                connection.send(b"".join(send_bytes(sender, recipient, text) for text in contents))
                for text in contents:
                    answer = connection.answer("POST", "/api/messages/send").expect(200).json()
                    with lock:
                        sent[answer["message_id"]] = text

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send_some, [count // CONNECTIONS] * CONNECTIONS))
    assert len(sent) == count
    return sent


def send_bytes(sender, recipient, content):
    body = json.dumps({"to_username": recipient.username, "content": content}).encode()
    return request_bytes("POST", "/api/messages/send", [
        ("Authorization", f"Bearer {sender.token}"), ("Content-Type", "application/json")], body)


def list_bytes(account, version="HTTP/1.1"):
    return request_bytes("GET", "/api/messages", [("Authorization", f"Bearer {account.token}")],
                         version=version)


def unread_bytes(reader):
    """What the kernel holds between the server and this reader: sent, not yet read."""
    near, far = reader.socket.getsockname()[1], reader.socket.getpeername()[1]
    total = len(reader.received)
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            words = line.split()
            ports = tuple(int(place.split(":")[1], 16) for place in words[1:3])
            sending, receiving = (int(count, 16) for count in words[4].split(":"))
            if ports == (far, near):
                total += sending
            elif ports == (near, far):
                total += receiving
    return total


def check_waiting(reader, list_bytes_least):
    """The server has not yet written its list: it waits for this reader."""
    assert unread_bytes(reader) < list_bytes_least, \
        "the kernel took the whole list: the reader does not hold the server up, nothing is tested"


class Long:
    """The account with the long log, and what must be in it."""

    def __init__(self, server):
        self.server = server
        self.sender, self.account = server.api.create(), server.api.create()
        self.sent = fill(server, self.sender, self.account, MESSAGES)

    def check(self, entries):
        """These entries are exactly what was sent until now, newest first."""
        wanted = sorted(self.sent.items(), reverse=True)
        assert len(entries) == len(wanted)
        assert [(e["id"], e["content"]) for e in entries] == wanted
        assert [e["seq"] for e in entries] == list(range(len(wanted), 0, -1))
        assert {(e["from_username"], e["to_username"]) for e in entries} \
            == {(self.sender.username, self.account.username)}


@pytest.fixture(scope="module")
def long(server):
    return Long(server)


def test_the_whole_list_in_chunks(long):
    for account in (long.account, long.sender):
        response = exchange(long.server.port, list_bytes(account)).expect(200)
        assert response.field("transfer-encoding") == "chunked" and response.chunks > 1
        long.check(response.json())
        cursor = CURSOR_FORM.fullmatch(response.field("migchat-cursor"))
        assert int(cursor.group(2)) == len(long.sent)


def test_one_conversation_is_streamed_too(long):
    response = long.account.get(f"/api/messages/filtered?with_user={long.sender.username}")
    long.check(response.expect(200).json())


def test_the_connection_goes_on_after_a_long_list(long):
    with Connection(long.server.port) as connection:
        connection.send(list_bytes(long.account) + request_bytes("GET", "/health")
                        + list_bytes(long.account))
        long.check(connection.answer().expect(200).json())
        assert connection.answer().expect(200).body == b"OK"
        long.check(connection.answer().expect(200).json())


def test_http_10_gets_it_up_to_the_close(long):
    with Connection(long.server.port) as connection:
        connection.send(list_bytes(long.account, "HTTP/1.0"))
        response = connection.answer().expect(200)
        assert response.field("transfer-encoding") is None
        assert response.field("content-length") is None
        assert connection.ended
        long.check(response.json())


def test_the_walk_by_pages_equals_it(long):
    entries, pages = long.account.walk("/api/messages?limit=1000")
    long.check(entries)
    assert pages == 5


def test_what_is_sent_while_a_slow_reader_reads_is_not_in_its_list(long):
    with Connection(long.server.port, receive_buffer=4096) as connection:
        connection.send(list_bytes(long.account))
        response = connection.head()
        assert response.status == 200
        parts = [connection.chunk()]
        check_waiting(connection, LIST_BYTES_LEAST)
        wanted = dict(long.sent)
        for _ in range(20):
            sent = long.sender.send(long.account)
            long.sent[sent["message_id"]] = sent["content"]
        while parts[-1]:
            parts.append(connection.chunk())
    entries = json.loads(b"".join(parts))
    assert [(e["id"], e["content"]) for e in entries] == sorted(wanted.items(), reverse=True)
    cursor = CURSOR_FORM.fullmatch(response.field("migchat-cursor"))
    assert int(cursor.group(2)) == len(wanted) == entries[0]["seq"]
    long.check(exchange(long.server.port, list_bytes(long.account)).expect(200).json())


def test_readers_that_stop_cost_little_and_hold_nothing_up(long, capsys):
    """A hundred readers stop after the head of the list. Each may cost 128 KB of the server's
    memory; senders go on, and the write-ahead log can start over: nobody reads from the database."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < STOPPED_READERS * 2:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, STOPPED_READERS * 4), hard))
    # Warm: what the server allocates once is not a reader's cost.
    for _ in range(3):
        exchange(long.server.port, list_bytes(long.account)).expect(200)
    before = long.server.own_bytes()
    readers = []
    try:
        for _ in range(STOPPED_READERS):
            reader = Connection(long.server.port, receive_buffer=4096)
            readers.append(reader)
            reader.send(list_bytes(long.account))
        for reader in readers:
            assert reader.head().status == 200
        for reader in readers:
            check_waiting(reader, LIST_BYTES_LEAST)
        each = (long.server.own_bytes() - before) / STOPPED_READERS
        with capsys.disabled():
            print(f"\na stopped reader costs {each / 1024:.1f} KB"
                  + (" (not judged: sanitized build)" if SANITIZED else ""))
        if not SANITIZED:
            assert each <= READER_MAX_BYTES
        wanted = dict(long.sent)
        for _ in range(300 if SANITIZED else 1500):
            sent = long.sender.send(long.account)
            long.sent[sent["message_id"]] = sent["content"]
        deadline = time.monotonic() + WAL_CUT_S
        while long.server.wal_bytes() > WAL_KEPT_BYTES:
            assert time.monotonic() < deadline, f"{long.server.wal_bytes()} bytes of WAL"
            time.sleep(0.1)
        # A reader that goes on gets the list of its moment, whole.
        for reader in (readers[0], readers[-1]):
            parts = [reader.chunk()]
            while parts[-1]:
                parts.append(reader.chunk())
            assert [e["id"] for e in json.loads(b"".join(parts))] == sorted(wanted, reverse=True)
    finally:
        for reader in readers:
            reader.close()
    long.check(exchange(long.server.port, list_bytes(long.account)).expect(200).json())


def test_readers_that_leave_in_the_middle(long):
    for _ in range(50):
        with Connection(long.server.port, receive_buffer=4096) as connection:
            connection.send(list_bytes(long.account))
            connection.head()
    long.check(exchange(long.server.port, list_bytes(long.account)).expect(200).json())


def test_polling_an_unchanged_long_list_is_cheap(long):
    tag = long.account.api.request("HEAD", "/api/messages", long.account.token).field("etag")
    response = long.account.get("/api/messages", fields=[("If-None-Match", tag)]).expect(304)
    assert response.body == b""


def test_names_are_those_while_it_is_written(long):
    """A rename in the middle of a slow list: every entry has the old or the new name, and the
    list is whole."""
    old, new = long.sender.username, f"renamed{os.getpid()}"
    with Connection(long.server.port, receive_buffer=4096) as connection:
        connection.send(list_bytes(long.account))
        connection.head()
        parts = [connection.chunk()]
        check_waiting(connection, LIST_BYTES_LEAST)
        long.sender.rename(new)
        while parts[-1]:
            parts.append(connection.chunk())
    entries = json.loads(b"".join(parts))
    assert [e["id"] for e in entries] == sorted(long.sent, reverse=True)
    assert {e["from_username"] for e in entries} <= {old, new}


@pytest.mark.parametrize("path", ("/api/messages", "/api/messages?limit=2",
                                  "/api/messages/filtered?with_user={sender}"))
def test_a_message_longer_than_a_page_is_of_the_same_moment(start, path):
    """While the newest row itself is being written, piece by piece, newer ones stay out."""
    server = start(flags=["--max-message-bytes", "8000000", "--max-body-bytes", "20000000"])
    alice, bob = server.api.create(), server.api.create()
    older = alice.send(bob)
    huge = alice.send(bob, seen.new_content("\"\u0001x" * 1_000_000))
    target = path.format(sender=alice.username)
    with Connection(server.port, receive_buffer=4096) as connection:
        connection.send(request_bytes("GET", target,
                                      [("Authorization", f"Bearer {bob.token}")]))
        assert connection.head().status == 200
        parts = [connection.chunk()]
        check_waiting(connection, 6_000_000)
        alice.send(bob)
        bob.mark_read(alice.username)
        while parts[-1]:
            parts.append(connection.chunk())
    entries = json.loads(b"".join(parts))
    assert [e["id"] for e in entries] == [huge["message_id"], older["message_id"]]
    assert entries[0]["content"] == huge["content"]
