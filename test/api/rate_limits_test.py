"""Who asks too often is told so, and when to come back; everybody else goes on."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import tempfile

import pytest

from support import contract, websocket
from support.api import new_name
from support.cuts import RESET
from support.events import now, poll_raw
from support.http import Connection, request_bytes
from support.server import Server
from support.websocket import WebSocket

PASSWORD = "correct horse"
RATE = "3/3600"  # none comes back while a test runs
ON = {"MIGCHAT_RATE_LIMITS": "on", "MIGCHAT_SIGNUP_RATE": "off"}


@pytest.fixture(name="limited")
def fixture_limited(tmp_path):
    """limited(SEND="3/3600", …): a server with these rates."""
    started = []

    def start(flags=(), **rates):
        settings = {f"MIGCHAT_{name}_RATE": rate for name, rate in rates.items()}
        started.append(Server(tmp_path / f"limited{len(started)}", flags=flags, **{**ON, **settings}).start())
        return started[-1]

    yield start
    for server in started:
        if server.process is not None:
            server.stop()


def assert_refused(answer):
    answer.expect(429, "rate_limited")
    assert 1 <= int(answer.field("retry-after")) <= 3600
    return answer


def log_in(api, name, password=PASSWORD, **more):
    return api.request("POST", "/api/account/login", json_body={"username": name, "password": password}, **more)


def test_an_account_sends_so_often_and_another_as_often(limited):
    api = limited(SEND=RATE).api
    alice, bob = (api.create(new_name(name)) for name in ("alice", "bob"))
    for _ in range(3):
        alice.send(bob, "hello")
    answer = assert_refused(alice.post("/api/messages/send", {"to_username": bob.username, "content": "one more"}))
    assert 1190 <= int(answer.field("retry-after"))
    bob.send(alice, "others go on")
    assert len(bob.get("/api/messages").expect(200).json()) == 4, "what was refused was not done"


def test_the_token_comes_before_the_rate_and_the_body_after_it(limited):
    api = limited(SEND="1/3600").api
    alice = api.create(new_name("alice"))
    alice.post("/api/messages/send", {"to_username": "nobody", "content": "x"}).expect(404, "recipient_not_found")
    assert_refused(alice.post("/api/messages/send", {"to_username": alice.username, "content": "x"}))
    assert_refused(alice.post("/api/messages/send", {"of": "another shape"}))
    stranger = api.post("/api/messages/send", "A" * 32, {"to_username": alice.username, "content": "x"})
    stranger.expect(401, "token_invalid")


def test_addresses_log_in_so_often_whoever_they_say_they_are(limited):
    api = limited(["--trusted-proxies", "192.0.2.0/24"], LOGIN=RATE).api
    alice = api.create(new_name("alice"), PASSWORD)
    log_in(api, alice.username).expect(200)
    log_in(api, alice.username, "a wrong one").expect(401)
    log_in(api, "nobody").expect(401)
    assert_refused(log_in(api, alice.username))
    # What somebody claims who is no trusted proxy changes nothing.
    assert_refused(log_in(api, alice.username, fields=[("X-Forwarded-For", "192.0.2.1")]))
    # With a token it is the account that is counted.
    alice.post("/api/account/password", {"current_password": "a wrong one", "new_password": "x"}).expect(401)


def test_passwords_of_an_account_are_tried_so_often(limited):
    api = limited(LOGIN=RATE).api
    alice = api.create(new_name("alice"), PASSWORD)
    for _ in range(2):
        alice.post("/api/account/password", {"current_password": "wrong", "new_password": "x"}).expect(401)
    alice.post("/api/account/delete", {"password": "wrong"}).expect(401)
    assert_refused(alice.post("/api/account/delete", {"password": PASSWORD}))
    alice.get("/api/account").expect(200)


def test_accounts_are_created_so_often_from_an_address(limited):
    api = limited(SIGNUP=RATE).api
    for _ in range(3):
        api.create(new_name("user"), PASSWORD)
    assert_refused(api.create_raw(new_name("user"), PASSWORD))


def test_keys_are_claimed_so_often(limited):
    api = limited(CLAIM=RATE).api
    alice = api.create(new_name("alice"))
    for _ in range(3):
        alice.post("/api/keys/claim", {"username": alice.username}).expect(404, "keys_not_found")
    assert_refused(alice.post("/api/keys/claim", {"username": alice.username}))


def test_reads_are_counted_also_when_they_are_given_from_memory(limited):
    api = limited(READ="5/3600").api
    alice = api.create(new_name("alice"))
    answers = [alice.get("/api/messages") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert_refused(alice.get("/api/messages"))
    assert_refused(alice.get("/api/conversations"))
    api.create(new_name("bob")).get("/api/messages").expect(200)


def test_a_poll_that_waits_is_one_request(limited):
    api = limited(READ="4/3600").api
    alice = api.create(new_name("alice"))
    cursor = now(alice)
    for _ in range(2):
        poll_raw(alice, cursor, wait=1).expect(200)
    poll_raw(alice, cursor).expect(200)
    assert_refused(poll_raw(alice, cursor, wait=1))


def test_there_is_no_way_around_by_a_websocket(limited):
    server = limited(SEND=RATE, TYPING="1/3600")
    alice, bob = (server.api.create(new_name(name)) for name in ("alice", "bob"))
    with WebSocket(server.port, alice.token) as socket:
        def command(**members):
            return socket.result(**members)[0]
        statuses = [command(type="send", ref=str(number), to_username=bob.username, content="x")["status"]
                    for number in range(2)]
        alice.send(bob, "the third")
        refused = command(type="send", ref="4", to_username=bob.username, content="x")
        assert (statuses, refused["status"], refused["body"]["code"]) == ([200, 200], 429, "rate_limited")
        assert command(type="typing", ref="5", with_user=bob.username)["status"] == 204
        assert command(type="typing", ref="6", with_user=bob.username)["status"] == 429
    assert_refused(alice.post(f"/api/typing?with_user={bob.username}"))


def test_a_trusted_proxy_is_believed_whom_it_asks_for(limited):
    api = limited(["--trusted-proxies", "127.0.0.1, 10.0.0.0/8"], LOGIN="2/3600").api

    def asks(*forwarded):
        return log_in(api, "nobody", fields=[("X-Forwarded-For", value) for value in forwarded]).status
    assert [asks("192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert [asks("192.0.2.2, 10.1.1.1") for _ in range(3)] == [401, 401, 429]
    # What the client wrote itself stands before what the proxy added.
    assert [asks("192.0.2.9", "192.0.2.1"), asks("192.0.2.1, 192.0.2.3")] == [429, 401]
    # All of one customer's IPv6 network.
    assert [asks(f"2001:db8::{number}") for number in range(1, 4)] == [401, 401, 429]


def test_behind_fly_its_field_counts(limited):
    api = limited(["--trusted-proxies", "127.0.0.1", "--client-address-field", "fly-client-ip"], LOGIN="2/3600").api

    def asks(address, **more):
        return log_in(api, "nobody", fields=[("Fly-Client-IP", address), *more.items()]).status
    assert [asks("192.0.2.1", **{"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(3)] == [401, 401, 429]
    assert asks("192.0.2.2") == 401


def create_bytes(name, *fields):
    return request_bytes("POST", "/api/account/create", [("Content-Type", "application/json"), *fields],
                         json.dumps({"username": name, "password": PASSWORD}).encode())


def test_who_resets_its_connection_behind_its_request_is_counted(limited):
    """The kernel knows no peer of such a connection any more, and what it sent is read all the same."""
    server = limited(SIGNUP=RATE)
    names = [new_name("reset") for _ in range(8)]
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        for name in names:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(create_bytes(name))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    # Those alone that cannot be told apart share a rate: somebody who stays is another.
    server.api.create(new_name("stays"))
    server.stop()
    with contextlib.closing(sqlite3.connect(server.database)) as stored:
        kept = {name for name, in stored.execute("SELECT name FROM account")}
    assert len(kept & set(names)) == 3, f"of {len(names)} at a rate of three an hour"


def test_behind_a_unix_socket_a_proxy_is_believed_like_one_on_loopback(tmp_path):
    with tempfile.TemporaryDirectory(prefix="migchat-") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket")
        listening.listen(16)
        with Server(tmp_path / "own", handed=listening, MIGCHAT_RATE_LIMITS="on", MIGCHAT_SIGNUP_RATE="1/3600"):
            def create(*fields):
                with Connection(None, path=f"{folder}/socket") as connection:
                    connection.send(create_bytes(new_name("unix"), *fields))
                    return connection.answer("POST", "/api/account/create").status

            for address in ("192.0.2.1", "192.0.2.2"):
                assert [create(("X-Forwarded-For", address)) for _ in range(2)] == [200, 429]
            assert [create() for _ in range(2)] == [200, 429], "without the field all are one"


def test_every_route_that_needs_a_token_has_a_rate():
    """But the one that gives the token up."""
    without = [(method, path) for method, path, operation, _ in contract.operations()
               if "401" in operation["responses"] and "429" not in operation["responses"]]
    assert without == [("POST", "/api/account/logout")]


def test_what_is_no_command_is_counted_as_well(limited):
    api = limited(SEND="1/3600", READ="3/3600").api
    alice = api.create(new_name("alice"))
    texts = ("{", "", '{"type": "dance", "ref": 1}', '{"type": "send", "ref": 2}', "{")
    results = []
    with WebSocket(api.port, alice.token) as socket:
        for text in texts:
            socket.send(websocket.frame(text))
            results.append(json.loads(socket.frame()[1])["status"])
    # Opening it is the first of three reads.
    assert results == [400, 400, 429, 422, 429]


def test_every_route_that_can_refuse_does(limited):
    """Those of the contract; once is each rate here."""
    once = "1/3600"
    server = limited(SEND=once, READ=once, TYPING=once, CLAIM=once, LOGIN=once, SIGNUP=once)
    alice = server.api.create(new_name("alice"))
    refusing = [(method, path) for method, path, operation, _ in contract.operations()
                if "429" in operation["responses"]]
    assert len(refusing) > 10
    for method, path in refusing:
        target = path.replace("{username}", alice.username).replace("{id}", "1")
        for _ in range(3):
            if path == websocket.PATH:
                with WebSocket(server.port, alice.token) as socket:
                    answer = socket.response
            else:
                body = {} if method == "GET" else {"json_body": {}}
                answer = server.api.request(method, target, alice.token, **body)
            if answer.status == 429:
                break
        assert_refused(answer)


def test_off_ends_all_limits(tmp_path):
    with Server(tmp_path / "off", MIGCHAT_RATE_LIMITS="off", MIGCHAT_SEND_RATE="1/3600",
                MIGCHAT_LOGIN_RATE="1/3600") as server:
        alice = server.api.create(new_name("alice"), PASSWORD)
        for _ in range(5):
            alice.send(alice, "x")
            log_in(server.api, alice.username).expect(200)
