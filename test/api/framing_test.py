"""White space behind framing fields, requests that end in the middle, parameters of the media type."""

import json
import socket

import pytest

from support.api import new_name
from support.http import Connection


def create_bytes(fields, body=None):
    body = body if body is not None else json.dumps(
        {"username": new_name(), "password": "correct-horse-9"}).encode()
    head = "POST /api/account/create HTTP/1.1\r\nHost: a\r\n" + "".join(f"{line}\r\n" for line in fields)
    return (head + "\r\n").encode(), body


@pytest.mark.parametrize("space", ["\t", " \t", "\t ", "  "])
def test_white_space_behind_a_length_or_a_coding_does_not_count(api, space):
    with Connection(api.port) as connection:
        head, body = create_bytes(["Content-Type: application/json", "Content-Length: 80" + space])
        connection.send(head + body.ljust(80))
        connection.answer("POST", "/api/account/create").expect(200)
        head, body = create_bytes(["Content-Type: application/json",
                                   "Transfer-Encoding: chunked" + space])
        connection.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        connection.answer("POST", "/api/account/create").expect(200)


@pytest.mark.parametrize("line", ["X-A\t: v", "\tX-A: v", "X\tA: v", "X-A: v\r\n\tw"])
def test_tabs_are_wrong_where_spaces_are(api, line):
    with Connection(api.port) as connection:
        connection.send(f"GET /health HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n".encode())
        connection.answer("GET", "/health").expect(400, "request_malformed")


@pytest.mark.parametrize("sent, code", [
    (b"GET /health HTTP/1.1\r\nHost", "request_malformed"),
    (b"POST /api/account/create HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", "framing_malformed"),
    (b"POST /api/account/create HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
     "framing_malformed"),
])
def test_half_a_request_that_ends_is_answered(api, sent, code):
    with Connection(api.port) as connection:
        connection.send(sent)
        connection.socket.shutdown(socket.SHUT_WR)
        answer = connection.answer("GET", "/health")
        answer.expect(400, code)
        assert answer.ends_connection


@pytest.mark.parametrize("value, status", [
    ("application/json; charset=utf-8", 200), ('application/json; charset="UTF-8"', 200),
    ("application/json;charset=utf8", 200), ("application/json; odata=minimal", 200),
    ("application/json; charset=utf-8; q=1", 200), ("application/json;", 200),
    ("application/json; charset=utf-16", 415), ("application/json; charset", 415),
    ("application/jsonp", 415), ("text/json", 415),
])
def test_only_another_charset_makes_json_unsupported(api, value, status):
    answer = api.request("POST", "/api/account/create", fields=[("Content-Type", value)],
                         json_body={"username": new_name(), "password": "correct-horse-9"})
    answer.expect(status)
