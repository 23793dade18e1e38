"""Who logs in too often is refused at once, and then not listened to for a tenth of a second on that connection: a
client that asks again without waiting takes nothing from the others."""

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

REST_S = 0.1
EARLY_S = 0.02  # the loop's clock may be a little behind
SOON_S = 0.08
TRIES = 5  # of what should be quick: a machine may be slow now and then
FLOOD_CONNECTIONS = 8
STALLED = 40
IN_ONE_READ = 310  # with a log-in, and their answers are more than a socket takes whose client reads nothing
FLOOD_S = 1.0
DIRECT = ["--trusted-proxies", "192.0.2.0/24"]
FIELDS = [("Content-Type", "application/json")]
LOG_IN = request_bytes("POST", "/api/account/login", FIELDS,
                       json.dumps({"username": "nobody", "password": "x" * 12}).encode())
HEALTH = request_bytes("GET", "/health")


def refusing(folder, flags=(), **rates):
    """A server that refuses all log-ins but the first."""
    return Server(folder, flags=flags, MIGCHAT_RATE_LIMITS="on", MIGCHAT_SIGNUP_RATE="off",
                  MIGCHAT_LOGIN_RATE="1/3600", **rates)


@pytest.fixture(name="direct")
def fixture_direct(tmp_path):
    with refusing(tmp_path / "direct", DIRECT) as server:
        use_up(server)
        yield server


def use_up(server):
    with Connection(server.port) as connection:
        connection.send(LOG_IN)
        connection.answer("POST", "/api/account/login").expect(401)


def refuse(connection, fields=()):
    connection.send(request_bytes("POST", "/api/account/login", [*FIELDS, *fields], b"{}"))
    return connection.answer("POST", "/api/account/login").expect(429, "rate_limited")


def seconds_to_health(connection):
    began_at = time.monotonic()
    connection.send(HEALTH)
    connection.answer("GET", "/health").expect(200)
    return time.monotonic() - began_at


def test_a_refused_client_is_not_heard_for_a_while_and_others_are(direct):
    ahead = 0
    for _ in range(TRIES):
        with Connection(direct.port) as refused, Connection(direct.port) as other:
            began_at = time.monotonic()
            refuse(refused)
            refused.send(HEALTH)
            seconds_to_health(other)
            ahead += not select.select([refused.socket], [], [], 0)[0]
            refused.answer("GET", "/health").expect(200)
            assert time.monotonic() - began_at >= REST_S - EARLY_S
    assert ahead > 0, "others waited as long"


def test_once_it_was_over_it_is_over(direct):
    with Connection(direct.port) as connection:
        refuse(connection)
        seconds_to_health(connection)
        assert min(seconds_to_health(connection) for _ in range(TRIES)) < SOON_S


def test_what_is_sent_behind_a_refused_log_in_is_answered_later_and_in_order(direct):
    with Connection(direct.port) as connection:
        began_at = time.monotonic()
        connection.send(LOG_IN + HEALTH + request_bytes("GET", "/nowhere"))
        connection.answer("POST", "/api/account/login").expect(429)
        connection.answer("GET", "/health").expect(200)
        assert time.monotonic() - began_at >= REST_S - EARLY_S
        connection.answer("GET", "/nowhere").expect(404)
        seconds_to_health(connection)


def test_a_second_refusal_of_what_was_sent_at_once_ends_the_connection(direct):
    """Its time limits do not run while it rests, so it would be held for as long as log-ins are sent ahead."""
    with Connection(direct.port) as connection:
        connection.send((LOG_IN + HEALTH) * 20)
        assert not connection.answer("POST", "/api/account/login").expect(429).ends_connection
        connection.answer("GET", "/health").expect(200)
        assert connection.answer("POST", "/api/account/login").expect(429).ends_connection
        connection.expect_end()


def test_who_leaves_meanwhile_is_gone(direct):
    seconds_to_health(direct_connection := Connection(direct.port))
    direct_connection.close()
    open_before = descriptors_fall_to(direct, 0)
    for _ in range(20):
        with Connection(direct.port) as connection:
            refuse(connection)
    descriptors_fall_to(direct, open_before)


def descriptors_fall_to(server, count):
    """Waits until it has no more open than these; with 0, how many it has at rest."""
    deadline = time.monotonic() + ANSWER_DEADLINE_S
    last = -1
    while time.monotonic() < deadline:
        opened = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        if 0 < opened <= count or (count == 0 and opened == last):
            return opened
        last = opened
        time.sleep(REST_S)
    raise AssertionError(f"{last} descriptors are open, {count} were")


def test_who_has_ended_gets_all_answers(direct):
    with Connection(direct.port) as connection:
        connection.send(LOG_IN + HEALTH)
        connection.socket.shutdown(socket.SHUT_WR)
        connection.answer("POST", "/api/account/login").expect(429)
        connection.answer("GET", "/health").expect(200)
        connection.expect_end()
    with Connection(direct.port) as connection:
        connection.send(request_bytes("POST", "/api/account/login", [*FIELDS, ("Connection", "close")], b"{}"))
        connection.answer("POST", "/api/account/login").expect(429)
        connection.expect_end()


def test_a_proxy_is_heard_at_once_whoever_it_asks_for(tmp_path):
    """Its connections are everybody's."""
    with refusing(tmp_path / "proxied", ["--trusted-proxies", "127.0.0.1"]) as server:
        use_up(server)
        for fields in ([("X-Forwarded-For", "192.0.2.1")], []):
            with Connection(server.port) as connection:
                if fields:
                    connection.send(request_bytes("POST", "/api/account/login", [*FIELDS, *fields], b"{}"))
                    connection.answer("POST", "/api/account/login").expect(422)
                times = []
                for _ in range(TRIES):
                    refuse(connection, fields)
                    times.append(seconds_to_health(connection))
                assert min(times) < SOON_S


def test_what_is_no_log_in_is_heard_at_once(tmp_path):
    """An account that sends too often may do all else, and a client that reads keys without a token, too."""
    with refusing(tmp_path / "sender", DIRECT, MIGCHAT_SEND_RATE="1/3600", MIGCHAT_READ_RATE="1/3600") as server:
        alice = server.api.create("alice")
        alice.send(alice, "the one")
        server.api.request("GET", "/api/keys/alice").expect(404)
        send = request_bytes("POST", "/api/messages/send", [*FIELDS, ("Authorization", f"Bearer {alice.token}")],
                             b'{"to_username":"alice","content":"x"}')
        for method, path, asked in (("POST", "/api/messages/send", send),
                                    ("GET", "/api/keys/alice", request_bytes("GET", "/api/keys/alice"))):
            times = []
            with Connection(server.port) as connection:
                for _ in range(TRIES):
                    connection.send(asked)
                    connection.answer(method, path).expect(429)
                    times.append(seconds_to_health(connection))
            assert min(times) < SOON_S, path


def test_a_stopping_server_answers_what_was_sent_behind_a_refusal(direct):
    with Connection(direct.port) as kept, Connection(direct.port) as silent:
        refuse(silent)
        kept.send(LOG_IN + HEALTH)
        kept.answer("POST", "/api/account/login").expect(429)
        direct.stop()
        kept.answer("GET", "/health").expect(200)
        kept.expect_end()
        silent.expect_end()


def test_stopping_in_the_turn_in_which_a_resting_one_is_closed_is_safe(tmp_path):
    """Its refusal is not taken, so it is closed by the write limit, and the signal comes before it is freed."""
    with refusing(tmp_path / "stalled", [*DIRECT, "--write-timeout-ms", "1000"]) as server:
        use_up(server)
        stalled = []
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
    yield
    os.kill(server.process.pid, signal.SIGCONT)


def test_a_flood_is_answered_ten_times_a_second_a_connection(direct):
    ends_at = time.monotonic() + FLOOD_S
    counts = []

    def flood():
        count = 0
        with Connection(direct.port) as connection:
            while time.monotonic() < ends_at:
                connection.send(LOG_IN)
                connection.answer("POST", "/api/account/login").expect(429)
                count += 1
        counts.append(count)

    threads = [threading.Thread(target=flood) for _ in range(FLOOD_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"refused: {counts}")
    assert len(counts) == FLOOD_CONNECTIONS
    assert 2 <= max(counts) <= FLOOD_S / (REST_S - EARLY_S) + 1
