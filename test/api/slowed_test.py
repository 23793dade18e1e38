"""Who logs in too often is told so after a tenth of a second: a client that asks again without waiting takes nothing
from the others."""

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time

import pytest

from support.http import ANSWER_DEADLINE_S, Connection, request_bytes
from support.server import Server

WAIT_S = 0.1
EARLY_S = 0.02  # the loop's clock may be a little behind
SOON_S = 0.08
TRIES = 5  # of what should be quick: a machine may be slow now and then
FLOOD_CONNECTIONS = 8
STALLED = 40
READ_BYTES = 16 * 1024  # SLAB_BYTES of net/connections.h
IN_ONE_READ = 310  # with a log-in, and their answers are more than a socket takes whose client reads nothing
FLOOD_S = 1.0
FIELDS = [("Content-Type", "application/json")]
LOG_IN = request_bytes("POST", "/api/account/login", FIELDS,
                       json.dumps({"username": "nobody", "password": "x" * 12}).encode())
LOG_IN_TARGET = ("POST", "/api/account/login")
HEALTH = request_bytes("GET", "/health")


def refusing(folder, flags=(), **rates):
    """A server that refuses all log-ins but the first."""
    settings = {"MIGCHAT_SIGNUP_RATE": "off", "MIGCHAT_LOGIN_RATE": "1/3600", **rates}
    return Server(folder, flags=flags, MIGCHAT_RATE_LIMITS="on", **settings)


@pytest.fixture(name="refuses")
def fixture_refuses(tmp_path):
    with refusing(tmp_path / "refuses") as server:
        use_up(server)
        yield server


def use_up(server):
    with Connection(server.port) as connection:
        connection.send(LOG_IN)
        connection.answer(*LOG_IN_TARGET).expect(401)


def seconds_to(connection, asked, target, status):
    began_at = time.monotonic()
    connection.send(asked)
    connection.answer(*target).expect(status)
    return time.monotonic() - began_at


def seconds_to_refusal(connection):
    return seconds_to(connection, LOG_IN, LOG_IN_TARGET, 429)


def seconds_to_health(connection):
    return seconds_to(connection, HEALTH, ("GET", "/health"), 200)


def test_a_refused_client_is_told_so_after_a_while_and_others_are_heard(refuses):
    ahead = 0
    for _ in range(TRIES):
        with Connection(refuses.port) as refused, Connection(refuses.port) as other:
            began_at = time.monotonic()
            refused.send(LOG_IN)
            seconds_to_health(other)
            ahead += not select.select([refused.socket], [], [], 0)[0]
            refused.answer(*LOG_IN_TARGET).expect(429, "rate_limited")
            assert time.monotonic() - began_at >= WAIT_S - EARLY_S
    assert ahead > 0, "others waited as long"


def test_once_it_is_told_it_is_heard_as_any_other(refuses):
    with Connection(refuses.port) as connection:
        times = []
        for _ in range(TRIES):
            assert seconds_to_refusal(connection) >= WAIT_S - EARLY_S
            times.append(seconds_to_health(connection))
    assert min(times) < SOON_S


def test_it_is_no_way_around_to_come_through_a_proxy(refuses):
    with Connection(refuses.port) as connection:
        asked = request_bytes("POST", "/api/account/login", [*FIELDS, ("X-Forwarded-For", "192.0.2.1")], b"{}")
        seconds_to(connection, asked, LOG_IN_TARGET, 422)
        assert seconds_to(connection, asked, LOG_IN_TARGET, 429) >= WAIT_S - EARLY_S


def test_what_is_sent_behind_a_refused_log_in_is_answered_later_and_in_order(refuses):
    with Connection(refuses.port) as connection:
        began_at = time.monotonic()
        connection.send(LOG_IN + HEALTH + request_bytes("GET", "/nowhere"))
        connection.answer(*LOG_IN_TARGET).expect(429)
        assert time.monotonic() - began_at >= WAIT_S - EARLY_S
        connection.answer("GET", "/health").expect(200)
        connection.answer("GET", "/nowhere").expect(404)
        seconds_to_health(connection)


@pytest.mark.parametrize("asked_before", (1, 20, 300))
def test_what_was_asked_before_does_not_wait_with_it(refuses, asked_before):
    """And it makes the refusal no quicker."""
    times = []
    for _ in range(TRIES):
        with Connection(refuses.port) as connection:
            began_at = time.monotonic()
            connection.send(HEALTH * asked_before + LOG_IN)
            for _ in range(asked_before):
                connection.answer("GET", "/health").expect(200)
            times.append(time.monotonic() - began_at)
            connection.answer(*LOG_IN_TARGET).expect(429)
            assert time.monotonic() - began_at >= WAIT_S - EARLY_S
            seconds_to_health(connection)
    assert min(times) < SOON_S


def test_who_signs_up_too_often_waits_as_well(tmp_path):
    with refusing(tmp_path / "closed", MIGCHAT_SIGNUP_RATE="1/3600") as server:
        server.api.create("alice")
        asked = request_bytes("POST", "/api/account/create", FIELDS, b"{}")
        with Connection(server.port) as connection:
            assert seconds_to(connection, asked, ("POST", "/api/account/create"), 429) >= WAIT_S - EARLY_S


def test_a_second_refusal_of_what_was_sent_at_once_ends_the_connection(refuses):
    """Its time limits do not run while it rests, so it would be held for as long as log-ins are sent ahead."""
    with Connection(refuses.port) as connection:
        connection.send((LOG_IN + HEALTH) * 20)
        assert not connection.answer(*LOG_IN_TARGET).expect(429).ends_connection
        connection.answer("GET", "/health").expect(200)
        assert connection.answer(*LOG_IN_TARGET).expect(429).ends_connection
        connection.expect_end()


def test_who_leaves_meanwhile_is_gone(refuses):
    with Connection(refuses.port) as stays:
        seconds_to_health(stays)
        open_before = refuses.descriptors_open()
        for _ in range(20):
            with Connection(refuses.port) as connection:
                connection.send(LOG_IN)
        deadline = time.monotonic() + ANSWER_DEADLINE_S
        while refuses.descriptors_open() > open_before:
            assert time.monotonic() < deadline, f"{refuses.descriptors_open()} descriptors are open, {open_before} were"
            time.sleep(WAIT_S)


def test_who_has_ended_gets_all_answers(refuses):
    with Connection(refuses.port) as connection:
        connection.send(LOG_IN + HEALTH)
        connection.socket.shutdown(socket.SHUT_WR)
        connection.answer(*LOG_IN_TARGET).expect(429)
        connection.answer("GET", "/health").expect(200)
        connection.expect_end()
    with Connection(refuses.port) as connection:
        connection.send(request_bytes("POST", "/api/account/login", [*FIELDS, ("Connection", "close")], b"{}"))
        connection.answer(*LOG_IN_TARGET).expect(429)
        connection.expect_end()


def test_what_is_no_log_in_is_heard_at_once(tmp_path):
    """An account that sends too often may do all else, and a client that reads keys without a token, too."""
    with refusing(tmp_path / "sender", MIGCHAT_SEND_RATE="1/3600", MIGCHAT_READ_RATE="1/3600") as server:
        alice = server.api.create("alice")
        alice.send(alice, "the one")
        server.api.request("GET", "/api/keys/alice").expect(404)
        send = request_bytes("POST", "/api/messages/send", [*FIELDS, ("Authorization", f"Bearer {alice.token}")],
                             b'{"to_username":"alice","content":"x"}')
        for method, path, asked in (("POST", "/api/messages/send", send),
                                    ("GET", "/api/keys/alice", request_bytes("GET", "/api/keys/alice"))):
            with Connection(server.port) as connection:
                times = [seconds_to(connection, asked, (method, path), 429) for _ in range(TRIES)]
            assert min(times) < SOON_S, path


def test_a_stopping_server_answers_who_waits_and_what_was_sent_behind(refuses):
    with Connection(refuses.port) as kept, Connection(refuses.port) as alone:
        kept.send(LOG_IN + HEALTH)
        alone.send(LOG_IN)
        with Connection(refuses.port) as connection:
            seconds_to_health(connection)  # so it has read them
        refuses.stop()
        kept.answer(*LOG_IN_TARGET).expect(429)
        kept.answer("GET", "/health").expect(200)
        kept.expect_end()
        alone.answer(*LOG_IN_TARGET).expect(429)
        alone.expect_end()


def test_stopping_in_the_turn_in_which_a_resting_one_is_closed_is_safe(tmp_path):
    """Its refusal is not taken, so it is closed by the write limit, and the signal comes before it is freed."""
    with refusing(tmp_path / "stalled", ["--write-timeout-ms", "1000"]) as server:
        use_up(server)
        stalled = []
        assert len(HEALTH * IN_ONE_READ + LOG_IN) <= READ_BYTES
        with halted(server):  # so that it reads all of one at once
            for _ in range(STALLED):
                stalled.append(socket.socket())
                stalled[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                stalled[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the server's buffer is small, too
                stalled[-1].connect(("127.0.0.1", server.port))
                stalled[-1].sendall(HEALTH * IN_ONE_READ + LOG_IN)
        with Connection(server.port) as connection:
            seconds_to_health(connection)  # it has read from all by now
        server.api.drop()
        time.sleep(1.1)  # of the five looks at a write (net/conn_write.c), a quarter of the limit each, four
        with halted(server):
            os.kill(server.process.pid, signal.SIGTERM)
            time.sleep(0.5)  # the last is due, and seen in the turn in which the signal is
        server.wait_exit(0)
        for each in stalled:
            each.close()


@contextlib.contextmanager
def halted(server):
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("connects", ("once", "for each"))
def test_a_flood_is_answered_ten_times_a_second_each(refuses, connects):
    ends_at = time.monotonic() + FLOOD_S
    counts = []

    def flood():
        count = 0
        connection = Connection(refuses.port)
        while time.monotonic() < ends_at:
            seconds_to_refusal(connection)
            count += 1
            if connects == "for each":
                connection.close()
                connection = Connection(refuses.port)
        connection.close()
        counts.append(count)

    threads = [threading.Thread(target=flood) for _ in range(FLOOD_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"refused: {counts}")
    assert len(counts) == FLOOD_CONNECTIONS
    assert 2 <= max(counts) <= FLOOD_S / (WAIT_S - EARLY_S) + 1
