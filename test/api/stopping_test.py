"""SIGTERM and SIGINT: drain, finish what is in flight, checkpoint, exit 0 in time."""

import json
import os
import signal
import time

import pytest

from support import seen
from support.api import new_name
from support.http import (SLOWNESS, Closed, Connection, Silent, check_error_body, request_bytes)
from support.server import STOP_DEADLINE_S

JSON_FIELD = ("Content-Type", "application/json")


def slow_create(behind=b""):
    """GET /health, a create and what is behind it, in one write: once the first is answered, the
    server has the second."""
    password = seen.new_password()
    seen.note_password(password)
    name = new_name("slow")
    body = json.dumps({"username": name, "password": password}).encode()
    data = request_bytes("GET", "/health") \
        + request_bytes("POST", "/api/account/create", [JSON_FIELD], body) + behind
    return name, password, data


def begin(server, data):
    connection = Connection(server.port)
    connection.send(data)
    connection.answer().expect(200)
    return connection


def wait_refused(port):
    """Until the port takes no connection any more."""
    deadline = time.monotonic() + STOP_DEADLINE_S
    while True:
        try:
            Connection(port).close()
        except OSError:
            return
        assert time.monotonic() < deadline, "it still accepts after the signal"


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT), ids=("SIGTERM", "SIGINT"))
def test_an_idle_server_stops_at_once(start, number):
    server = start()
    idle = [begin(server, request_bytes("GET", "/health")) for _ in range(5)]
    server.process.send_signal(number)
    took_s = server.wait_exit(0)
    assert took_s < 1.5 * SLOWNESS, f"{took_s:.1f} s with only idle connections"
    for connection in idle:
        connection.expect_end()
        connection.close()
    wal = server.database + "-wal"
    assert not os.path.exists(wal) or os.path.getsize(wal) == 0, "not checkpointed"


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT), ids=("SIGTERM", "SIGINT"))
def test_what_is_in_flight_is_finished(start, number):
    server = start(MIGCHAT_PASSWORD_COST=12)
    name, password, data = slow_create()
    with begin(server, data) as connection:
        server.process.send_signal(number)
        wait_refused(server.port)
        response = connection.answer().expect(200)
        seen.note_token(response.json()["token"])
        server.wait_exit(0)
        connection.expect_end()
    server.start()
    assert server.api.login(name, password).username == name


def test_a_draining_server_is_not_ready(start):
    """What is pipelined behind the request in flight is refused or not answered, never ready."""
    server = start(MIGCHAT_PASSWORD_COST=12)
    _, _, data = slow_create(request_bytes("GET", "/readyz")
                             + request_bytes("GET", "/api/account"))
    with begin(server, data) as connection:
        server.process.send_signal(signal.SIGTERM)
        response = connection.answer().expect(200)
        seen.note_token(response.json()["token"])
        later = []
        try:
            while True:
                later.append(connection.answer())
        except Closed:
            pass
        assert not later or later[0].status == 503, later[0].describe()
        for answer in later:
            check_error_body(answer)
    server.wait_exit(0)


def test_a_connection_of_before_may_learn_that_it_drains(start):
    """/readyz on a connection that is open when the drain begins: 503 draining, or a close."""
    server = start(MIGCHAT_PASSWORD_COST=13)
    _, _, data = slow_create()
    waiting = Connection(server.port)
    waiting.send(request_bytes("GET", "/readyz"))
    waiting.answer().expect(200)
    # In the middle of a head: this connection is not idle.
    waiting.send(b"GET /readyz HTTP/1.1\r\n")
    with begin(server, data) as connection, waiting:
        server.process.send_signal(signal.SIGTERM)
        wait_refused(server.port)
        try:
            waiting.send(b"Host: x\r\n\r\n")
            response = waiting.answer()
            response.expect(503, "draining")
            check_error_body(response)
        except (Closed, OSError):
            pass
        seen.note_token(connection.answer().expect(200).json()["token"])
    server.wait_exit(0)


def test_a_second_signal_exits_at_once(start):
    server = start(MIGCHAT_PASSWORD_COST=16)
    _, _, data = slow_create()
    with begin(server, data):
        server.process.send_signal(signal.SIGTERM)
        wait_refused(server.port)  # two signals at once would be one
        server.process.send_signal(signal.SIGTERM)
        process, begun = server.process, time.monotonic()
        process.wait(STOP_DEADLINE_S)
        took_s = time.monotonic() - begun
        server.kill()
    assert took_s < 1 * SLOWNESS, f"{took_s:.1f} s after the second signal"
    # The database is as after a crash: whole.
    server.env["MIGCHAT_PASSWORD_COST"] = "4"
    server.start()
    server.api.create()


@pytest.mark.parametrize("what", ("half a head", "half a body", "nothing"))
def test_clients_that_stall_do_not_hold_it_up(start, what):
    server = start()
    data = {"half a head": b"GET /hea", "nothing": b"",
            "half a body": request_bytes("POST", "/api/account/create",
                                         [JSON_FIELD, ("Content-Length", "50")]) + b"{"}[what]
    stalled = [begin(server, request_bytes("GET", "/health") + data) for _ in range(3)]
    server.process.send_signal(signal.SIGTERM)
    server.wait_exit(0)
    for connection in stalled:
        connection.close()


def test_a_reader_that_stopped_does_not_hold_it_up(start):
    server = start()
    alice = server.api.create()
    for _ in range(120):
        alice.send(alice, "x" * 60000)
    with Connection(server.port, receive_buffer=4096) as connection:
        connection.send(request_bytes("GET", "/api/messages",
                                      [("Authorization", f"Bearer {alice.token}")]))
        connection.head()
        server.process.send_signal(signal.SIGTERM)
        server.wait_exit(0)
        try:  # cut, not ended as if it were whole
            while connection.chunk():
                pass
            raise AssertionError("the cut list looks whole")
        except (Closed, Silent):
            pass


def test_a_hash_that_takes_seconds_does_not_keep_it_from_stopping(start):
    """At cost 16 a log-in takes about four seconds; several wait. All is over within four."""
    server = start(MIGCHAT_PASSWORD_COST=16)
    connections = []
    for _ in range(4):
        connection = Connection(server.port)
        body = b'{"username":"nobody","password":"x"}'
        connection.send(request_bytes("POST", "/api/account/login",
                                      [("Content-Type", "application/json")], body))
        connections.append(connection)
    server.api.get("/health").expect(200)
    took_s = server.stop()
    for connection in connections:
        connection.close()
    assert took_s <= 4 * SLOWNESS
