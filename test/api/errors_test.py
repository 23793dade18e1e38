"""Error answers: their form, and which of two faults is told."""

import json
import re

import pytest

from support import seen
from support.api import new_name
from support.http import Connection, check_error_body, exchange, request_bytes

JSON_FIELD = ("Content-Type", "application/json")
SEND = "/api/messages/send"


def test_a_path_that_is_not(api):
    body = api.get("/api/nothing").expect(404, "route_not_found").json()
    assert set(body) == {"error", "code", "status", "request_id"}
    for path in ("/api", "/api/", "/api/messages/", "//health", "/HEALTH", "/health/",
                 "/api/keys/a/b", "/api/message", "/api/messages/send/x", "/%68ealth/x",
                 "/favicon.ico"):
        api.get(path).expect(404, "route_not_found")


@pytest.mark.parametrize("fault", ("route", "token", "method", "shape"))
def test_problem_json_where_it_is_asked_for(api, alice, fault):
    ask = [("Accept", "application/problem+json")]
    response = {
        "route": lambda: api.get("/nothing", fields=ask),
        "token": lambda: api.get("/api/messages", fields=ask),
        "method": lambda: api.request("DELETE", "/health", fields=ask),
        "shape": lambda: alice.post(SEND, {}, fields=ask),
    }[fault]()
    assert response.field("content-type").split(";")[0] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status and body["title"] and body["code"]
    assert isinstance(body.get("type", "about:blank"), str)


@pytest.mark.parametrize("accept,is_problem", [
    ("*/*", False), ("application/json", False), ("text/html", False), ("", False),
    ("application/problem+json", True), ("text/html, application/problem+json;q=0.9", True),
    ("Application/Problem+JSON", True)])
def test_which_accept_means_it(api, accept, is_problem):
    response = api.get("/nothing", fields=[("Accept", accept)]).expect(404)
    media = response.field("content-type").split(";")[0]
    assert media == ("application/problem+json" if is_problem else "application/json")


def test_a_request_id_is_echoed(api, alice):
    for value in ("x", "a-b_c.d:1/2", "~" * 64, "!"):
        for response in (api.get("/health", fields=[("X-Request-Id", value)]),
                         api.get("/nothing", fields=[("X-Request-Id", value)]),
                         alice.get("/api/messages", fields=[("X-Request-Id", value)])):
            assert response.field("x-request-id") == value, response.describe()


def test_a_request_id_is_made(api):
    made = {api.get("/health").field("x-request-id") for _ in range(20)}
    made.add(api.get("/nothing").json()["request_id"])
    assert len(made) == 21
    assert all(re.fullmatch(r"[!-~]{1,64}", value or "") for value in made), made


@pytest.mark.parametrize("value", ("x" * 65, "a b", "é", ""), ids=("65", "space", "é", "empty"))
def test_a_request_id_that_is_not_one(api, value):
    """Refused, or replaced by one of the server's; never echoed."""
    response = api.get("/health", fields=[("X-Request-Id", value)])
    response.expect((200, 400), None if response.status == 200 else "request_id_malformed")
    made = response.field("x-request-id")
    assert made and made != value, response.describe()




# Each request has two faults; the one judged first is told. In the contract's order.
HUGE = ("Content-Length", "99999999")
BAD_TOKEN = ("Authorization", "Bearer x")
WRONG_TOKEN = ("Authorization", f"Bearer {'A' * 32}")
ORDER = {
    "head before path": ("GET", "/nothing", [("Host", "twice")], None, 400),
    "version before path": ("GET", "/nothing", [], None, 505),
    "unknown method before path": ("BREW", "/nothing", [], None, 501),
    "transfer coding before path": ("POST", "/nothing", [("Transfer-Encoding", "gzip")], None,
                                    (400, 501)),
    "a doubled field before path": ("GET", "/nothing", [BAD_TOKEN, BAD_TOKEN], None, 400),
    "path before expectation": ("POST", "/nothing", [("Expect", "x"), ("Content-Length", "5")],
                                None, 404),
    "path before length": ("POST", "/nothing", [HUGE], None, 404),
    "path before token": ("GET", "/api/nothing", [], None, 404),
    "method before expectation": ("PUT", SEND, [("Expect", "x"), ("Content-Length", "5")], None,
                                  405),
    "method before length": ("PUT", SEND, [HUGE], None, 405),
    "method before token": ("GET", SEND, [], None, 405),
    "expectation before length": ("POST", SEND, [("Expect", "x"), HUGE], None, 417),
    "expectation before token": ("POST", SEND, [("Expect", "x"), ("Content-Length", "2")], None,
                                 417),
    "length before token": ("POST", SEND, [HUGE, JSON_FIELD], None, 413),
    "token before media type": ("POST", SEND, [("Content-Type", "text/plain")], b"x", 401),
    "token before coding": ("POST", SEND, [JSON_FIELD, ("Content-Encoding", "gzip")], b"x", 401),
    "token before syntax": ("POST", SEND, [WRONG_TOKEN, JSON_FIELD], b"{", 401),
    "token before shape": ("POST", SEND, [WRONG_TOKEN, JSON_FIELD], b"{}", 401),
    "token before query": ("GET", "/api/messages?limit=0", [WRONG_TOKEN], None, 401),
    "media type before syntax": ("POST", "/api/account/create", [("Content-Type", "text/plain")],
                                 b"{", 415),
    "coding before syntax": ("POST", "/api/account/create",
                             [JSON_FIELD, ("Content-Encoding", "gzip")], b"{", 415),
    "syntax before shape": ("POST", "/api/account/create", [JSON_FIELD], b'{"username":1', 400),
    "trailing bytes before shape": ("POST", "/api/account/create", [JSON_FIELD], b"[] x", 400),
    "shape before values": ("POST", "/api/account/create", [JSON_FIELD],
                            b'{"username":"","password":5}', 422),
    "shape before values, the other way": ("POST", "/api/account/login", [JSON_FIELD],
                                           b'{"username":7,"password":""}', 422),
}


@pytest.mark.parametrize("name", ORDER)
def test_the_order_of_judgement(api, name):
    method, target, fields, body, wanted = ORDER[name]
    version = "HTTP/2.0" if name.startswith("version") else "HTTP/1.1"
    response = exchange(api.port, request_bytes(method, target, fields, body, version),
                        method, target)
    response.expect(wanted)
    check_error_body(response)


def test_values_are_judged_in_order(alice):
    """Content before the recipient, both after the shape; a long message is a value too."""
    alice.post(SEND, {"to_username": new_name(), "content": ""}).expect(400, "content_empty")
    alice.post(SEND, {"to_username": 5, "content": ""}).expect(422, "body_shape")
    alice.post(SEND, {"to_username": 5, "content": "x" * 70000}).expect(422, "body_shape")


MALFORMED = {
    "nothing but white space": b" \r\n\t", "cut": b'{"username":"a', "single quotes": b"{'a':1}",
    "comment": b'{/**/}', "trailing comma": b'{"a":1,}', "trailing bytes": b"{} x", "two": b"{}{}",
    "NUL behind": b"{}\x00", "raw line feed": b'{"a":"\n"}', "leading zero": b'{"a":01}',
    "plus": b'{"a":+1}', "bare dot": b'{"a":1.}', "hex": b'{"a":0x1}', "NaN": b'{"a":NaN}',
    "bad escape": b'{"a":"\\x"}', "cut escape": b'{"a":"\\u12"}', "not hex": b'{"a":"\\u12g4"}',
    "lone high": b'{"a":"\\ud800"}', "lone low": b'{"a":"\\udc00"}',
    "reversed pair": b'{"a":"\\udc00\\ud800"}', "U+0000": b'{"a":"\\u0000"}',
    "U+0000 in a name": b'{"a\\u0000":1}', "invalid UTF-8": b'{"a":"\xff"}',
    "overlong": b'{"a":"\xc0\x80"}', "surrogate as UTF-8": b'{"a":"\xed\xa0\x80"}',
    "beyond Unicode": b'{"a":"\xf4\x90\x80\x80"}', "cut UTF-8": b'{"a":"\xe2\x82"}',
    "a member twice": b'{"x":1,"x":1}', "twice by escape": b'{"x":1,"\\u0078":2}',
    "twice deep inside": b'{"x":[{"y":1,"y":2}]}', "form feed": b"{\x0c}",
    "deep": b"[" * 10000 + b"]" * 10000, "deep objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
    "literal in capitals": b'{"a":True}', "UTF-16": '{"a":1}'.encode("utf-16-le"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_json_that_is_not_well_formed(api, alice, name):
    for path, token in (("/api/account/create", None), (SEND, alice.token)):
        api.post(path, token, body=MALFORMED[name], fields=[JSON_FIELD]) \
            .expect(400, "json_malformed")


def test_nothing_is_done_by_half(api, alice, bob):
    """A refused body leaves nothing behind, however much of it was right."""
    name = new_name()
    api.post("/api/account/create", fields=[JSON_FIELD],
             body=json.dumps({"username": name, "password": "x"}).encode() + b"x").expect(400)
    api.create_raw(name, seen.new_password()).expect(200)
    alice.post(SEND, fields=[JSON_FIELD], body=json.dumps(
        {"to_username": bob.username, "content": "x"}).encode()[:-1]).expect(400)
    assert bob.messages() == []


@pytest.mark.parametrize("media,is_taken", [
    ("application/json", True), ("application/json; charset=utf-8", True),
    ("application/json;charset=UTF-8", True), ('application/json; charset="utf-8"', True),
    ("Application/JSON", True),
    (None, False), ("text/plain", False), ("application/jsonx", False), ("application/xml", False),
    ("application/x-www-form-urlencoded", False), ("multipart/form-data; boundary=x", False),
    ("application/json; charset=utf-16", False), ("application/json, text/plain", False),
    ("", False)])
def test_media_types(alice, bob, media, is_taken):
    body = json.dumps({"to_username": bob.username, "content": "x"}).encode()
    response = alice.post(SEND, body=body,
                          fields=[("Content-Type", media)] if media is not None else [])
    response.expect(200 if is_taken else 415, None if is_taken else "type_unsupported")


@pytest.mark.parametrize("coding", ("gzip", "br", "deflate", "x"))
def test_content_codings_are_not_supported(alice, coding):
    alice.post(SEND, {"to_username": "x", "content": "y"}, fields=[("Content-Encoding", coding)]) \
        .expect(415, "encoding_unsupported")


@pytest.mark.parametrize("codings,status,code", [
    ("gzip, chunked", 501, "coding_unknown"), ("x, chunked", 501, "coding_unknown"),
    ("gzip", 400, "framing_malformed"), ("chunked, gzip", 400, "framing_malformed"),
    ("chunked, chunked", 400, "framing_malformed")])
def test_transfer_codings(api, codings, status, code):
    """Framed but not readable is 501; without chunked at the end nobody knows where it ends."""
    with Connection(api.port) as connection:
        connection.send(request_bytes("POST", "/api/account/create", [
            JSON_FIELD, ("Transfer-Encoding", codings)]) + b"2\r\n{}\r\n0\r\n\r\n")
        response = connection.answer().expect(status, code)
        check_error_body(response)
        connection.expect_end()


@pytest.mark.parametrize("name,value", [("Host", "localhost"), ("Content-Type", "application/json"),
                                        ("Authorization", "Bearer " + "A" * 32)])
def test_fields_given_twice(api, name, value):
    fields = [(name, value)] * (1 if name == "Host" else 2)
    if name == "Content-Type":
        data = request_bytes("POST", "/api/account/create", fields, b"{}")
    else:
        data = request_bytes("GET", "/api/messages", fields)
    response = exchange(api.port, data)
    response.expect(400, ("field_doubled", "host_malformed"))
    check_error_body(response)


def test_an_error_keeps_the_connection(api, alice):
    """Faults of content are no faults of framing: the next request is answered."""
    with Connection(api.port) as connection:
        for data, status in (
                (request_bytes("GET", "/nothing"), 404),
                (request_bytes("DELETE", "/health"), 405),
                (request_bytes("GET", "/api/messages"), 401),
                (request_bytes("POST", "/api/account/create", [JSON_FIELD], b"{"), 400),
                (request_bytes("POST", "/api/account/create", [JSON_FIELD], b"{}"), 422),
                (request_bytes("POST", "/api/account/create", [], b"{}"), 415),
                (request_bytes("POST", "/nothing", [JSON_FIELD], b"x" * 1000), 404),
                (request_bytes("GET", "/health"), 200)):
            connection.send(data)
            connection.answer().expect(status)
