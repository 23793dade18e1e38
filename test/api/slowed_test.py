"""Who logs in too often is refused at once, and then not listened to for a tenth of a second on that connection: a
client that asks again without waiting takes nothing from the others."""

import json
import threading
import time

import pytest

from support.http import Connection, request_bytes
from support.server import Server

REST_S = 0.1
EARLY_S = 0.02  # the loop's clock may be a little behind
SOON_S = 0.08
TRIES = 5  # of what should be quick: a machine may be slow now and then
FLOOD_CONNECTIONS = 8
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
    others = []
    for _ in range(TRIES):
        with Connection(direct.port) as refused, Connection(direct.port) as other:
            began_at = time.monotonic()
            refuse(refused)
            refused.send(HEALTH)
            others.append(seconds_to_health(other))
            refused.answer("GET", "/health").expect(200)
            assert time.monotonic() - began_at >= REST_S - EARLY_S
            assert seconds_to_health(refused) < REST_S + 60, "it goes on as any other"
    assert min(others) < SOON_S


def test_once_it_was_over_it_is_over(direct):
    with Connection(direct.port) as connection:
        refuse(connection)
        seconds_to_health(connection)
        assert min(seconds_to_health(connection) for _ in range(TRIES)) < SOON_S


def test_what_is_sent_behind_a_refused_log_in_is_answered_later_and_in_order(direct):
    with Connection(direct.port) as connection:
        began_at = time.monotonic()
        connection.send(LOG_IN + HEALTH + LOG_IN + request_bytes("GET", "/nowhere"))
        connection.answer("POST", "/api/account/login").expect(429)
        connection.answer("GET", "/health").expect(200)
        assert time.monotonic() - began_at >= REST_S - EARLY_S
        connection.answer("POST", "/api/account/login").expect(429)
        connection.answer("GET", "/nowhere").expect(404)
        assert time.monotonic() - began_at >= 2 * (REST_S - EARLY_S)


def test_who_leaves_meanwhile_is_gone_and_who_ends_is_told_all(direct):
    with Connection(direct.port) as connection:
        refuse(connection)
    with Connection(direct.port) as connection:
        connection.send(LOG_IN + request_bytes("GET", "/health", [("Connection", "close")]))
        connection.answer("POST", "/api/account/login").expect(429)
        connection.answer("GET", "/health").expect(200)
        connection.expect_end()
    with Connection(direct.port) as connection:
        connection.send(request_bytes("POST", "/api/account/login", [*FIELDS, ("Connection", "close")], b"{}"))
        connection.answer("POST", "/api/account/login").expect(429)
        connection.expect_end()
    direct.api.request("GET", "/health").expect(200)


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


def test_who_sends_or_types_too_often_is_heard_at_once(tmp_path):
    with refusing(tmp_path / "sender", DIRECT, MIGCHAT_SEND_RATE="1/3600") as server:
        alice = server.api.create("alice")
        alice.send(alice, "the one")
        asked = request_bytes("POST", "/api/messages/send", [*FIELDS, ("Authorization", f"Bearer {alice.token}")],
                              b'{"to_username":"alice","content":"x"}')
        times = []
        with Connection(server.port) as connection:
            for _ in range(TRIES):
                connection.send(asked)
                connection.answer("POST", "/api/messages/send").expect(429)
                times.append(seconds_to_health(connection))
        assert min(times) < SOON_S


def test_a_stopping_server_does_not_wait_for_it(direct):
    with Connection(direct.port) as kept, Connection(direct.port) as silent:
        refuse(silent)
        kept.send(LOG_IN + HEALTH)
        kept.answer("POST", "/api/account/login").expect(429)
        direct.stop()
        kept.answer("GET", "/health").expect(200)
        kept.expect_end()
        silent.expect_end()


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
    assert max(counts) <= FLOOD_S / (REST_S - EARLY_S) + 1
