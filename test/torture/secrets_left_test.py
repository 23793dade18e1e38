"""What is left of secrets where nobody looks: in the memory of a server that has answered (what a core dump would
hold), and in how long it takes to refuse a log-in."""

import json
import secrets as random_source
import socket
import statistics
import time

import pytest

from support import seen, torture
from support.api import new_name
from support.http import SANITIZED, SLOWNESS, Connection, request_bytes
from support.websocket import WebSocket

TRIALS = torture.size(300, 20_000)
# Welch's t from which a difference of means is taken for one (dudect's threshold).
T_MAX = torture.size(5, 4.5)
TOKEN_LEN = 32  # src/http/request.h
PART_LEN = 12
KEPT_PART = 0.9   # of the times of both: what the machine did meanwhile is far out


# ---- memory -----------------------------------------------------------------------------------------

def memory_of(server):
    """Every part of the process's memory that it can write to: what a core dump has of it."""
    with open(f"/proc/{server.process.pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{server.process.pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights:
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            memory.seek(begin)
            try:
                yield memory.read(end - begin)
            except OSError:
                pass  # a guard page


def parts_of(secrets):
    """name -> bytes: both ends of each secret, since the rest of it may have been overwritten."""
    return {f"{name}, {end}": part.encode() for name, secret in secrets.items()
            for end, part in (("begin", secret[:PART_LEN]), ("end", secret[-PART_LEN:]))}


def found_in(server, secrets):
    wanted = parts_of(secrets)
    memory = list(memory_of(server))
    return ({name for name, part in wanted.items() if any(part in span for span in memory)},
            sum(map(len, memory)))


def live(server, secrets):
    """Everything that takes a password or gives a token; the secrets are added as they are used."""
    ada = server.api.create()
    secrets.update({"first password": ada.password, "first token": ada.token,
                    # Long: of a short one free() writes over the most.
                    "wrong password": seen.new_password() + random_source.token_hex(24),
                    "new password": seen.new_password(),
                    "password of nobody": seen.new_password(),
                    "token of nobody": random_source.token_hex(TOKEN_LEN // 2)})
    server.api.login_raw(ada.username, secrets["wrong password"]).expect(401)
    server.api.login_raw(new_name(), secrets["password of nobody"]).expect(401)
    secrets["second token"] = server.api.login(ada.username, ada.password).token
    server.api.get("/api/messages", secrets["token of nobody"]).expect(401)
    server.api.create_raw(ada.username, secrets["wrong password"]).expect(409)
    ada.password_raw(secrets["wrong password"], secrets["new password"]).expect(401)
    ada.password_raw(ada.password, secrets["new password"]).expect(204)
    ada.send(ada, seen.new_content("x" * 60_000))
    ada.send(ada)
    ada.messages()
    ada.conversations()
    secrets["made password"] = json.loads(
        server.command("user", "reset-password", ada.username, "--json").stdout)["password"]
    third = server.api.login(ada.username, secrets["made password"])
    secrets["third token"] = third.token
    secrets["invite"] = json.loads(server.command("invite", "create", "2", "1", "--json").stdout)["code"]
    seen.note_password(secrets["invite"])
    server.api.create_raw(new_name(), secrets["new password"], invite=secrets["invite"]).expect(200)
    third.password = secrets["made password"]
    return third


def live_awkwardly(server, person):
    """The token in every place and cut there is: a WebSocket's protocol, tabs, byte by byte, pipelined, in a head that
    is refused, in one that grew, in requests that are left half-way."""
    for options in ({"token": person.token}, {"protocols": ("migchat.v1", f"bearer.{person.token}")}):
        with WebSocket(server.port, **options) as opened:
            assert opened.response.status == 101
            opened.result(type="send", to_username=person.username, content=seen.new_content())
    fields = [("Authorization", f"Bearer {person.token}")]
    request = request_bytes("GET", "/api/account", fields)
    with Connection(server.port) as connection:
        for byte in request:
            connection.send(bytes([byte]))
        connection.answer("GET", "/api/account").expect(200)
        connection.send(request * 50)
        for _ in range(50):
            connection.answer("GET", "/api/account").expect(200)
        connection.send(request_bytes("GET", "/api/account", [("X-Long", "x" * 6000), ("X-Tab", "\t"), *fields]))
        connection.answer("GET", "/api/account").expect(200)
        connection.send(request_bytes("GET", "/health", fields) + request_bytes("GET", "/health"))
        for _ in range(2):
            connection.answer("GET", "/health").expect(200)
        connection.send(request_bytes("GET", "/api/account", [*fields, *fields]))
        connection.answer("GET", "/api/account").expect(400)
    body = json.dumps({"username": person.username, "password": person.password}).encode()
    login = request_bytes("POST", "/api/account/login", [("Content-Type", "application/json")], body)
    for data in (request[:-2], login[:-1], request_bytes("GET", "/api/account", [("X Y", "z"), *fields])):
        with Connection(server.port) as connection:
            connection.send(request + data)
            connection.answer("GET", "/api/account").expect(200)
    stalled = socket.create_connection(("127.0.0.1", server.port))
    stalled.sendall(request_bytes("GET", "/api/events/stream", fields))
    assert stalled.recv(65536).startswith(b"HTTP/1.1 200")
    stalled.close()


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed; run against release")
def test_no_secret_stays_in_memory(start, tell):
    """What a core dump would hold once the requests are over: no password, no token, no invite's code."""
    server = start()
    for _ in range(torture.size(3, 100)):
        secrets = {}
        person = live(server, secrets)
        live_awkwardly(server, person)
        # One that waits keeps its token until it is answered, which also shows that this is the server's memory.
        cursor = person.get("/api/events").expect(200).json()["cursor"]
        with Connection(server.port) as waiting:
            waiting.send(request_bytes("GET", f"/api/events?since={cursor}&wait=50",
                                       [("Authorization", f"Bearer {person.token}")]))
            deadline_s = time.monotonic() + 10 * SLOWNESS
            while "third token, end" not in (found := found_in(server, secrets)[0]):
                assert time.monotonic() < deadline_s, "the token of who waits is not there"
            assert found == {"third token, begin", "third token, end"}
            person.send(person)
            waiting.answer("GET", "/api/events").expect(200)
        found, size = found_in(server, secrets)
        assert not found, f"still in {size >> 20} MiB of memory: {sorted(found)}"
    tell(f"{len(secrets)} secrets used in every way, {torture.size(3, 100)} times: none in {size >> 20} MiB afterwards")


# ---- time -------------------------------------------------------------------------------------------

def welch_t(one, other):
    return ((statistics.fmean(one) - statistics.fmean(other))
            / (statistics.variance(one) / len(one) + statistics.variance(other) / len(other)) ** 0.5)


def test_an_unknown_name_takes_as_long_as_a_wrong_password(server, tell):
    known = server.api.create()
    chance = torture.chance("time")
    times = {"known": [], "unknown": []}
    with Connection(server.port) as connection:
        for number in range(2 * TRIALS):
            kind = chance.choice(("known", "unknown"))
            name = known.username if kind == "known" else f"none{number:0{len(known.username) - 4}d}"
            body = json.dumps({"username": name, "password": "not the one"}).encode()
            data = request_bytes("POST", "/api/account/login", [("Content-Type", "application/json")], body)
            begun_ns = time.perf_counter_ns()
            connection.send(data)
            came = connection.socket.recv(65536)
            times[kind].append(time.perf_counter_ns() - begun_ns)
            assert came.startswith(b"HTTP/1.1 401"), came
    limit = sorted(times["known"] + times["unknown"])[int(KEPT_PART * 2 * TRIALS)]
    one, other = ([each for each in times[kind] if each <= limit] for kind in ("known", "unknown"))
    t = welch_t(one, other)
    tell(f"{len(one)} and {len(other)} trials: {statistics.fmean(one) / 1000:.1f} and "
         f"{statistics.fmean(other) / 1000:.1f} us, Welch t {t:.2f}")
    assert abs(t) < T_MAX
