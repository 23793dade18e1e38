"""Sizes, times, and the ways a connection is used."""

import concurrent.futures
import json
import time

import pytest

from support import seen
from support.http import (SLOWNESS, Closed, Connection, check_error_body, exchange, request_bytes)

JSON_FIELD = ("Content-Type", "application/json")
CREATE, SEND = "/api/account/create", "/api/messages/send"
BODY_MAX, LINE_MAX, HEAD_MAX, FIELDS_MAX = 256 * 1024, 8 * 1024, 16 * 1024, 100


def padded(size):
    """A create body of exactly `size` bytes; the padding is an unknown member."""
    frame = json.dumps({"username": "", "password": "", "x": ""}).encode()
    return frame[:-2] + b"x" * (size - len(frame)) + frame[-2:]


@pytest.mark.parametrize("over", (0, 1))
def test_the_length_of_the_request_line(api, over):
    """8 KiB with or without its CRLF."""
    line = len("GET /health? HTTP/1.1")
    size = LINE_MAX - 2 - line if not over else LINE_MAX + 1 - line
    response = exchange(api.port, request_bytes("GET", "/health?" + "a" * size))
    response.expect(414 if over else 200, "target_too_long" if over else None)
    check_error_body(response)


def test_a_request_line_that_never_ends(api):
    response = exchange(api.port, b"GET /" + b"a" * (1 << 20))
    response.expect(414, "target_too_long")


@pytest.mark.parametrize("size,status", [(HEAD_MAX - 200, 200), (HEAD_MAX + 200, 431)])
def test_the_length_of_the_head(api, size, status):
    response = exchange(api.port, request_bytes("GET", "/health", [("X-A", "a" * (size - 60))]))
    response.expect(status, "head_too_large" if status == 431 else None)
    check_error_body(response)


@pytest.mark.parametrize("count,status", [(FIELDS_MAX, 200), (FIELDS_MAX + 1, 431)])
def test_the_number_of_fields(api, count, status):
    fields = [(f"X-{n}", "v") for n in range(count - 1)]  # and Host
    response = exchange(api.port, request_bytes("GET", "/health", fields))
    response.expect(status, "head_too_large" if status == 431 else None)


@pytest.mark.parametrize("size,status", [(BODY_MAX, 400), (BODY_MAX + 1, 413)])
def test_the_length_of_the_body(api, size, status):
    for chunked in (False, True):
        body = padded(size)
        if chunked:
            data = request_bytes("POST", CREATE, [JSON_FIELD, ("Transfer-Encoding", "chunked")]) \
                + b"%x\r\n" % size + body + b"\r\n0\r\n\r\n"
        else:
            data = request_bytes("POST", CREATE, [JSON_FIELD], body)
        response = exchange(api.port, data)
        response.expect(status, "body_too_large" if status == 413 else "username_empty")
        check_error_body(response)


def test_a_length_too_large_is_refused_before_the_body(api):
    for fields in ([("Content-Length", "10737418240")],
                   [("Content-Length", str(BODY_MAX + 1)), ("Expect", "100-continue")]):
        with Connection(api.port) as connection:
            connection.send(request_bytes("POST", CREATE, [JSON_FIELD, *fields]))
            response = connection.answer().expect(413, "body_too_large")
            assert response.interim == [] and response.ends_connection
            connection.expect_end()


def test_the_answer_survives_a_client_that_writes_on(api):
    """The close lingers: a client in the middle of its body still reads the 413."""
    with Connection(api.port) as connection:
        try:
            connection.send(request_bytes("POST", CREATE, [JSON_FIELD], b"x" * (8 << 20)))
        except OSError:
            pass
        connection.answer().expect(413)


def test_limits_can_be_set(start):
    server = start(flags=["--max-body-bytes", "2000", "--max-message-bytes", "100"])
    alice, bob = server.api.create(), server.api.create()
    alice.send(bob, "x" * 100)
    alice.send_raw(bob.username, "x" * 101).expect(413, "content_too_long")
    alice.send_raw(bob.username, "é" * 51).expect(413, "content_too_long")
    response = exchange(server.port, request_bytes("POST", CREATE, [JSON_FIELD], padded(2001)))
    response.expect(413, "body_too_large")
    exchange(server.port, request_bytes("POST", CREATE, [JSON_FIELD], padded(2000))).expect(400)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A server whose time limits are 1 s (head), 1.2 s (body) and 1 s (idle)."""
    from support.server import Server
    with Server(tmp_path_factory.mktemp("impatient"), flags=[
            "--head-timeout-ms", "1000", "--body-timeout-ms", "1200",
            "--idle-timeout-ms", "1000"]) as server:
        yield server


def timed_out(server, data, limit_s, first=None):
    """Send and wait for the server to give up; the answer, or None for a bare close."""
    with Connection(server.port) as connection:
        if first is not None:
            connection.send(first)
            connection.answer().expect(200)
        begun = time.monotonic()
        if data:
            connection.send(data)
        try:
            response = connection.answer()
            connection.expect_end()
        except Closed as end:
            assert not end.reset and not end.partial, str(end)
            response = None
        took_s = time.monotonic() - begun
    assert limit_s - 0.15 <= took_s <= limit_s + 2 * SLOWNESS, f"took {took_s:.2f} s"
    return response


@pytest.mark.parametrize("data", (b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\r\n"),
                         ids=("half a line", "half a head"))
def test_a_head_that_does_not_come_is_408(impatient, data):
    response = timed_out(impatient, data, 1)
    response.expect(408, "request_timeout")
    check_error_body(response)
    response = timed_out(impatient, data, 1, first=request_bytes("GET", "/health"))
    response.expect(408, "request_timeout")


def test_a_connection_that_says_nothing_is_closed(impatient):
    response = timed_out(impatient, b"", 1)
    assert response is None or response.status == 408


def test_an_idle_connection_is_closed_without_a_word(impatient):
    assert timed_out(impatient, b"", 1, first=request_bytes("GET", "/health")) is None


@pytest.mark.parametrize("framing", (("Content-Length", "500"), ("Transfer-Encoding", "chunked")),
                         ids=("length", "chunked"))
def test_a_body_that_does_not_come_is_408(impatient, framing):
    data = request_bytes("POST", CREATE, [JSON_FIELD, framing]) + b"5\r\n{"
    response = timed_out(impatient, data, 1.2)
    response.expect(408, "request_timeout")
    assert response.ends_connection
    check_error_body(response)


def test_100_continue(api):
    body = padded(500)
    fields = [JSON_FIELD, ("Content-Length", str(len(body))), ("Expect", "100-continue")]
    with Connection(api.port) as connection:
        connection.send(request_bytes("POST", CREATE, fields))
        assert connection.head().status == 100
        connection.send(body)
        response = connection.answer().expect(400, "username_empty")
        assert response.interim == []
        connection.send(request_bytes("GET", "/health"))
        connection.answer().expect(200)


@pytest.mark.parametrize("fields,status", [
    ([("Authorization", "Bearer x")], 401), ([], 401),
    ([("Expect", "other")], 417)])
def test_no_100_continue_before_a_refusal(api, fields, status):
    fields = [*fields, JSON_FIELD, ("Content-Length", "20")]
    if status != 417:
        fields.append(("Expect", "100-continue"))
    with Connection(api.port) as connection:
        connection.send(request_bytes("POST", "/api/messages/send", fields))
        response = connection.answer().expect(status)
        assert response.interim == []
        check_error_body(response)


def test_http_10(api, alice):
    """Closed after one answer unless keep-alive is asked for; never chunked; no Host needed."""
    with Connection(api.port) as connection:
        connection.send(request_bytes("GET", "/health", version="HTTP/1.0", host=None))
        response = connection.answer().expect(200)
        assert response.body == b"OK" and response.ends_connection
        connection.expect_end()
    token = [("Authorization", f"Bearer {alice.token}")]
    response = exchange(api.port, request_bytes("GET", "/api/messages", token, version="HTTP/1.0"))
    assert response.expect(200).json() == []
    with Connection(api.port) as connection:
        fields = [("Connection", "keep-alive")]
        connection.send(request_bytes("GET", "/health", fields, version="HTTP/1.0"))
        response = connection.answer().expect(200)
        assert response.body == b"OK"
        if not response.ends_connection:
            connection.send(request_bytes("GET", "/health", fields, version="HTTP/1.0"))
            connection.answer().expect(200)


def test_http_11_needs_a_host(api):
    exchange(api.port, request_bytes("GET", "/health", host=None)).expect(400, "host_malformed")


def test_connection_close_is_kept(api):
    with Connection(api.port) as connection:
        connection.send(request_bytes("GET", "/health", [("Connection", "close")])
                        + request_bytes("GET", "/health"))
        assert connection.answer().expect(200).ends_connection
        connection.expect_end()


def test_pipelined_requests_are_answered_in_order(api):
    """Twenty mixed requests in one write: fast ones behind slow ones wait for their turn."""
    alice, bob = api.create(), api.create()
    token = ("Authorization", f"Bearer {alice.token}")

    def post(path, body):
        return request_bytes("POST", path, [token, JSON_FIELD], json.dumps(body).encode())

    plan = []
    for number in range(4):
        password = seen.new_password()
        seen.note_password(password)
        plan += [
            (post(CREATE, {"username": f"{bob.username}-{number}", "password": password}), 200),
            (request_bytes("GET", f"/nothing-{number}"), 404),
            (post(SEND, {"to_username": bob.username, "content": f"{number}"}), 200),
            (request_bytes("GET", "/api/messages", [token]), 200),
            (request_bytes("DELETE", "/health"), 405)]
    with Connection(api.port) as connection:
        tagged = [data.replace(b"\r\n", b"\r\nX-Request-Id: n%d\r\n" % number, 1)
                  for number, (data, _) in enumerate(plan)]
        connection.send(b"".join(tagged))
        for number, (_, status) in enumerate(plan):
            response = connection.answer().expect(status)
            assert response.field("x-request-id") == f"n{number}"
            if number % 5 == 0:
                seen.note_token(response.json()["token"])
            if number % 5 == 3:
                assert len(response.json()) == number // 5 + 1, "a list before its send"


def test_a_request_in_single_bytes(api):
    data = request_bytes("POST", CREATE, [JSON_FIELD], padded(60))
    with Connection(api.port) as connection:
        for at in range(len(data)):
            connection.send(data[at:at + 1])
        connection.answer().expect(400, "username_empty")


def test_many_connections_at_once(api):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        connections = list(pool.map(lambda _: Connection(api.port), range(400)))
    try:
        for connection in connections:
            connection.send(request_bytes("GET", "/health"))
        for connection in connections:
            connection.answer().expect(200)
    finally:
        for connection in connections:
            connection.close()


def test_unfinished_bodies_hold_a_bounded_amount(start):
    """All unfinished requests together hold at most 32 MiB; above it a new body is 503."""
    server = start()
    held = []
    refused = 0
    try:
        for _ in range(150):  # 37.5 MiB of bodies, each lacking its last byte
            connection = Connection(server.port)
            held.append(connection)
            data = request_bytes("POST", CREATE, [JSON_FIELD], padded(BODY_MAX))
            try:
                connection.send(data[:-1])
            except OSError:
                pass
        for connection in held:
            try:
                connection.send(b"}")
            except OSError:
                pass
            response = connection.answer()
            check_error_body(response)
            if response.status == 503:
                assert response.code == "overloaded", response.describe()
                refused += 1
            else:
                response.expect(400, "username_empty")
    finally:
        for connection in held:
            connection.close()
    assert refused >= 1, "nothing was refused at 37.5 MiB"
    assert refused <= 60, f"{refused} refused: less than 22 MiB were taken"
    # What was held is free again.
    exchange(server.port, request_bytes("POST", CREATE, [JSON_FIELD], padded(BODY_MAX))).expect(400)


def test_a_full_queue_is_503_at_once_and_nothing_is_done(start):
    api = start(flags=["--hash-queue", "1"], MIGCHAT_PASSWORD_COST=10).api
    names = [f"queued{number}" for number in range(24)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: api.create_raw(name, seen.new_password()), names))
    refused = [name for name, answer in zip(names, answers) if answer.status == 503]
    for answer in answers:
        answer.expect((200, 503), None if answer.status == 200 else "overloaded")
    assert 0 < len(refused) < len(names), f"{len(refused)} of {len(names)} refused"
    for name in refused[:5]:
        api.create_raw(name, seen.new_password()).expect(200)
