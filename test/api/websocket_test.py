"""GET /api/ws: events and commands over a WebSocket, and RFC 6455 kept."""

import asyncio
import contextlib
import json
import multiprocessing
import select
import signal
import threading
import time
from socket import MSG_DONTWAIT

import pytest
import websockets

from support import seen
from support.api import new_name
from support.events import EventStream, events_since, now, poll, seq_of
from support.http import SANITIZED, SLOWNESS, Closed, Connection, request_bytes
from support.websocket import (BINARY, CLOSE, CONTINUATION, PATH, PING, PONG, TEXT, WebSocket,
                               close_frame, frame, handshake_fields)


def socket(server, account, **more):
    return WebSocket(server.port, account.token, **more)


def refused(server, status, code, token=None, method="GET", version="HTTP/1.1", **handshake):
    fields = handshake_fields(**handshake)
    fields += [("Authorization", f"Bearer {token}")] if token else []
    with Connection(server.port) as connection:
        connection.send(request_bytes(method, PATH, fields, version=version))
        return connection.answer(method, PATH).expect(status, code)


# ---- the handshake ------------------------------------------------------------------------------

def test_it_opens(server, alice):
    with socket(server, alice, protocols=("migchat.v1",)) as opened:
        response = opened.response.expect(101)
        assert response.field("upgrade").lower() == "websocket"
        assert response.field("connection").lower() == "upgrade"
        assert response.field("sec-websocket-protocol") == "migchat.v1"
        assert not response.all("content-length") and not response.all("transfer-encoding")
        assert not response.all("sec-websocket-extensions")


def test_a_protocol_that_was_not_offered_is_not_named(server, alice):
    with socket(server, alice) as opened:
        assert not opened.response.all("sec-websocket-protocol")
    with socket(server, alice, protocols=("other.v1",)) as opened:
        assert not opened.response.all("sec-websocket-protocol")


def test_the_token_may_come_as_a_subprotocol(server, alice):
    with WebSocket(server.port, protocols=("migchat.v1", f"bearer.{alice.token}")) as opened:
        assert opened.response.field("sec-websocket-protocol") == "migchat.v1"
        assert opened.result(type="typing", ref=1, with_user=alice.username)[0]["status"] == 204
    with WebSocket(server.port, protocols=(f"bearer.{alice.token}",)) as opened:
        assert opened.response.status == 101
        assert not opened.response.all("sec-websocket-protocol")


def test_a_bad_token_in_the_subprotocol_is_told_by_4401(server):
    for token in ("x" * 32, "short", ""):
        with WebSocket(server.port, protocols=("migchat.v1", f"bearer.{token}")) as opened:
            assert opened.response.status == 101
            assert opened.closed() == 4401


def test_no_or_a_bad_token_in_the_field_is_401(server):
    refused(server, 401, "token_missing")
    refused(server, 401, "token_invalid", token="x" * 32)


@pytest.mark.parametrize("handshake", (
    {"upgrade": None}, {"connection": None}, {"upgrade": "h2c"}, {"connection": "keep-alive"},
    {"ws_version": "8"}, {"ws_version": None}), ids=str)
def test_what_is_no_upgrade_is_426(server, alice, handshake):
    response = refused(server, 426, "upgrade_required", alice.token, **handshake)
    assert response.field("upgrade") == "websocket"
    assert response.field("sec-websocket-version") == "13"


def test_http_1_0_has_no_upgrade(server, alice):
    refused(server, 426, "upgrade_required", alice.token, version="HTTP/1.0")


@pytest.mark.parametrize("key", (None, "", "short", "A" * 24, "dGhlIHNhbXBsZSBub25jZQ=", "!" * 24))
def test_a_malformed_key_is_400(server, alice, key):
    refused(server, 400, "handshake_malformed", alice.token, key=key)


def test_fields_may_be_lists_in_any_case(server, alice):
    with socket(server, alice, connection="keep-alive, uPGRADE", upgrade="foo, WebSocket") as opened:
        opened.response.expect(101)


def test_pages_of_other_origins_are_kept_out(start):
    server = start(flags=("--cors-origins", "https://a.example"))
    alice = server.api.create()
    refused(server, 403, "origin_not_allowed", alice.token, Origin="https://evil.example")
    refused(server, 403, "origin_not_allowed", alice.token, Origin="null")
    refused(server, 403, "origin_not_allowed", alice.token, Origin=f"http://127.0.0.1:{server.port}")
    for origin in ("https://a.example", "http://localhost"):  # the second is the host that is asked
        with socket(server, alice, Origin=origin) as opened:
            opened.response.expect(101)


def test_a_malformed_cursor_is_refused_before_it_opens(server, alice):
    with WebSocket(server.port, alice.token, since="x") as opened:
        opened.response.expect(400, "cursor_not_allowed")


# ---- events -------------------------------------------------------------------------------------

def test_events_come_as_on_a_stream(server, alice, bob):
    with socket(server, alice) as following, EventStream(server.port, alice.token) as stream:
        alice.get("/api/account").expect(200)
        for number in range(20):
            bob.send(alice, f"{number} \u2028 \U0001f600")
            if number % 5 == 0:
                alice.mark_read(bob.username)
        told = stream.events(24)
        assert following.messages(24) == told
        bob.send(alice, "\x01" * 20000)  # escaped, it needs a length of eight bytes
        assert following.message() == stream.event()


def test_from_a_cursor_it_tells_all_that_came_since(server, alice, bob):
    cursor = now(alice)
    for number in range(300):
        bob.send(alice, str(number))
    with socket(server, alice, since=cursor) as following:
        assert following.messages(300) == events_since(alice, cursor)


def test_a_cursor_that_leads_nowhere_is_reset(server, alice, bob):
    epoch, seq = now(alice).split(":")
    with socket(server, alice, since=f"{epoch}:{int(seq) + 5}") as following:
        assert following.message() == {"type": "reset", "cursor": f"{epoch}:{seq}"}
        bob.send(alice, "on")
        assert following.message()["message"]["content"] == "on"


def test_it_ends_with_its_session(server, alice, api):
    other = api.login(alice.username, alice.password)
    with socket(server, other) as ended, socket(server, alice) as kept:
        other.post("/api/account/logout").expect(204)
        assert ended.message()["type"] == "session_ended"
        assert ended.closed() == 4401
        assert kept.message()["type"] == "session_ended"
        alice.send(alice)
        assert kept.message()["type"] == "message"


def test_when_the_server_stops_it_says_when_to_come_back(start):
    server = start()
    alice = server.api.create()
    with socket(server, alice) as following:
        alice.get("/api/account").expect(200)
        server.process.send_signal(signal.SIGTERM)
        event = following.message()
        assert event["type"] == "reconnect" and 1000 <= event["retry_ms"] < 10000
        assert following.closed() == 1012
    server.wait_exit(0)


def test_a_reader_that_stalls_gets_the_rest_when_it_reads_again(server, alice, bob):
    cursor = now(alice)
    text = "s" * 20000
    with socket(server, alice, since=cursor, receive_buffer=4096) as stalled:
        for number in range(200):
            bob.send(alice, f"{number}{text}")
        for number in range(200):
            assert stalled.message()["message"]["content"] == f"{number}{text}"


def test_transports_take_over_from_each_other(server, alice, bob):
    cursor = begun = now(alice)
    got = []
    for number in range(60):
        bob.send(alice, str(number))
        if number % 3 == 0:
            with socket(server, alice, since=cursor) as following:
                got.append(following.message())
        elif number % 3 == 1:
            with EventStream(server.port, alice.token, last_id=cursor) as following:
                got.append(following.event())
        else:
            got += poll(alice, cursor)["events"]
        cursor = got[-1]["cursor"]
    assert got == events_since(alice, begun)


# ---- commands -----------------------------------------------------------------------------------

def test_a_send_is_acknowledged_by_its_ref(server, alice, bob):
    with socket(server, alice) as opened:
        content = seen.new_content()
        result, events = opened.result(type="send", ref="one", to_username=bob.username,
                                       content=content)
        assert result["ref"] == "one" and result["status"] == 200
        assert bob.messages()[0]["content"] == content
        assert bob.messages()[0]["id"] == result["body"]["message_id"]
        told = events or [opened.message()]
        assert told[0]["message"]["id"] == result["body"]["message_id"]


def test_it_is_the_routes_answer(server, alice, bob):
    with socket(server, alice) as opened:
        for members, status, code in (
                ({"to_username": new_name("nobody"), "content": "x"}, 404, "recipient_not_found"),
                ({"to_username": bob.username, "content": ""}, 400, "content_empty"),
                ({"to_username": bob.username}, 422, "body_shape"),
                ({"to_username": 1, "content": "x"}, 422, "body_shape"),
                ({"to_username": bob.username, "content": "x", "client_id": " "}, 400,
                 "key_not_allowed")):
            result, _ = opened.result(type="send", ref=7, **members)
            assert (result["ref"], result["status"]) == (7, status), result
            assert result["body"]["code"] == code and result["body"]["status"] == status
        result, _ = opened.result(type="mark_read", ref=1)
        assert (result["status"], result["body"]["code"]) == (400, "with_user_missing")
        result, _ = opened.result(type="typing", ref=1, with_user=new_name("nobody"))
        assert (result["status"], result["body"]["code"]) == (404, "account_not_found")


def test_a_key_makes_it_happen_once_over_both_ways(server, alice, bob):
    with socket(server, alice) as opened:
        first, _ = opened.result(type="send", ref=1, to_username=bob.username, content="once",
                                 client_id="key-1")
        again, _ = opened.result(type="send", ref=2, to_username=bob.username, content="once",
                                 client_id="key-1")
        assert first["body"] == again["body"]
        assert alice.send_raw(bob.username, "once", key="key-1").json() == first["body"]
        other, _ = opened.result(type="send", ref=3, to_username=bob.username, content="other",
                                 client_id="key-1")
        assert (other["status"], other["body"]["code"]) == (409, "key_reused")
    assert [row["content"] for row in bob.filtered(alice.username)] == ["once"]


def test_marking_read(server, alice, bob):
    for _ in range(3):
        bob.send(alice)
    name = "n\u00e4me % & \U0001f600"
    with socket(server, alice) as opened:
        up_to = alice.filtered(bob.username)[1]["seq"]
        result, _ = opened.result(type="mark_read", ref=1, with_user=bob.username, up_to=up_to)
        assert (result["status"], result["body"]) == (200, {"marked_read": 2})
        result, _ = opened.result(type="mark_read", ref=2, with_user=bob.username)
        assert result["body"] == {"marked_read": 1}
        result, _ = opened.result(type="mark_read", ref=3, with_user=name)
        assert result["body"]["code"] == "account_not_found"


@pytest.mark.parametrize("ref", ("", "x", "\u00e4\"\\", 0, 1, 2 ** 53 - 1, None))
def test_the_ref_is_repeated(server, alice, ref):
    with socket(server, alice) as opened:
        members = {} if ref is None else {"ref": ref}
        assert opened.result(type="send", **members)[0]["ref"] == ref


@pytest.mark.parametrize("text, code", (
    ("", "json_malformed"), ("{", "json_malformed"), ("[]", "body_shape"), ("{}", "body_shape"),
    ('{"type":"unknown","ref":1}', "body_shape"), ('{"type":"send","ref":{}}', "body_shape"),
    ('{"type":"send","ref":"' + "x" * 100 + '"}', "body_shape"),
    ('{"type":"send","type":"send"}', "json_malformed")))
def test_what_is_no_command_has_a_result_as_well(server, alice, text, code):
    with socket(server, alice) as opened:
        opened.send(frame(text))
        result = opened.message()
        assert result["type"] == "result" and result["body"]["code"] == code, result
        assert opened.result(type="typing", ref=1, with_user=alice.username)[0]["status"] == 204


def test_many_commands_at_once_are_run_in_order(server, alice, bob):
    with socket(server, alice) as opened:
        opened.send(b"".join(frame(json.dumps(
            {"type": "send", "ref": number, "to_username": bob.username, "content": str(number)}))
            for number in range(500)))
        refs, told = [], []
        while len(refs) < 500 or len(told) < 500:
            message = opened.message()
            if message["type"] == "result":
                assert message["status"] == 200
                refs.append(message["ref"])
            else:
                told.append(message["message"]["content"])
        assert refs == list(range(500))
        assert told == [str(number) for number in range(500)]


def test_typing_is_told_and_forgotten(server, alice, bob):
    before = now(bob)
    with socket(server, alice) as writer, socket(server, bob) as reader, \
            EventStream(server.port, bob.token) as stream:
        bob.get("/api/account").expect(200)
        writer.command(type="typing", ref=1, with_user=bob.username)
        told = {"type": "typing", "from": alice.username}
        assert reader.message() == told and stream.event() == told
        alice.post(f"/api/typing?with_user={bob.username}").expect(204)
        assert reader.message() == told and stream.event() == told
    assert now(bob) == before


def test_typing_over_http(api, alice, bob):
    alice.post(f"/api/typing?with_user={bob.username}").expect(204)
    alice.post("/api/typing").expect(400, "with_user_missing")
    alice.post("/api/typing?with_user=" + new_name("nobody")).expect(404, "account_not_found")
    alice.post(f"/api/typing?with_user={bob.username}&a=%zz").expect(400, "query_malformed")
    api.post(f"/api/typing?with_user={bob.username}").expect(401, "token_missing")


def test_a_session_that_ended_runs_no_command(server, alice, bob, api):
    """Behind the end of its session, in the same moment."""
    other = api.login(alice.username, alice.password)
    with socket(server, other) as opened:
        stops = threading.Event()
        answers = []

        def send():
            try:
                while not stops.is_set():
                    result, _ = opened.result(type="send", ref=1, to_username=bob.username,
                                              content="x")
                    answers.append(result["status"])
            except (Closed, AssertionError, OSError):
                pass

        sender = threading.Thread(target=send)
        sender.start()
        while not answers:
            pass
        other.post("/api/account/logout").expect(204)
        sent = len(bob.messages())
        sender.join(20 * SLOWNESS)
        stops.set()
        assert not sender.is_alive()
        assert len(bob.messages()) == sent
        assert set(answers) <= {200, 401}


# ---- RFC 6455 -----------------------------------------------------------------------------------

def test_fragments_make_one_message(server, alice, bob):
    text = json.dumps({"type": "typing", "ref": "parts", "with_user": bob.username}).encode()
    for cut in (0, 1, 5, len(text)):
        with socket(server, alice) as opened:
            opened.send(frame(text[:cut], TEXT, fin=False))
            opened.send(frame(text[cut:cut + 1], CONTINUATION, fin=False))
            opened.send(frame(b"in between", PING))
            assert opened.frame() == (PONG, b"in between")
            opened.send(frame(text[cut + 1:], CONTINUATION))
            assert opened.message()["ref"] == "parts"


def test_a_frame_may_come_byte_by_byte(server, alice, bob):
    data = frame(json.dumps({"type": "typing", "ref": 1, "with_user": bob.username})) \
        + frame(b"ping", PING)
    with socket(server, alice) as opened:
        for place in range(len(data)):
            opened.send(data[place:place + 1])
        # A pong need not wait for a command.
        got = dict(opened.frame() for _ in range(2))
        assert json.loads(got[TEXT])["status"] == 204 and got[PONG] == b"ping"


def test_pings_are_answered(server, alice):
    with socket(server, alice) as opened:
        for payload in (b"", b"x", b"y" * 125):
            opened.send(frame(payload, PING))
            assert opened.frame() == (PONG, payload)
        opened.send(frame(b"unasked", PONG))
        opened.send(b"".join(frame(bytes([number % 256]), PING) for number in range(2000)))
        for number in range(2000):
            assert opened.frame() == (PONG, bytes([number % 256]))


@pytest.mark.slow
def test_a_silent_socket_is_pinged(server, alice):
    with socket(server, alice) as opened:
        begun = time.monotonic()
        for number in (1, 2):
            assert opened.frame(deadline_s=20 * SLOWNESS) == (PING, b"")
            assert time.monotonic() - begun >= 14 * number
            opened.send(frame(b"", PONG))


@pytest.mark.parametrize("data, code", (
    (frame("x", rsv=4), 1002), (frame("x", rsv=1), 1002), (frame("x", opcode=3), 1002),
    (frame("x", opcode=11), 1002), (frame("x", mask=False), 1002),
    (frame(b"x" * 126, PING), 1002), (frame(b"x", PING, fin=False), 1002),
    (frame("x", CONTINUATION), 1002),
    (frame("x", TEXT, fin=False) + frame("y", TEXT), 1002),
    (frame(b"\xff"), 1007), (frame(b"\xed\xa0\x80"), 1007), (frame(b"\xc3"), 1007),
    (frame(b"a", TEXT, fin=False) + frame(b"\xff", CONTINUATION), 1007),
    (frame(b"x", BINARY), 1003),
    # Its head is refused for another reason, whether or not a byte of the payload is there.
    (frame(b"x", CONTINUATION, length=1 << 40), 1002), (frame(b"x", rsv=4, length=1 << 40), 1002),
    (frame(b"xxxxxxxx", length=1 << 40), 1009), (frame(length=256 * 1024 + 1), 1009), (frame(b"x", CLOSE), 1002),
    (close_frame(1005), 1002), (close_frame(999), 1002), (close_frame(1000, b"\xff"), 1007),
), ids=str)
def test_what_breaks_the_rules_is_closed_with_its_code(server, alice, data, code):
    with socket(server, alice) as opened:
        opened.send(data)
        assert opened.closed() == code
    alice.get("/api/account").expect(200)


def test_a_message_has_the_limit_of_a_body(server, alice):
    limit = 256 * 1024
    with socket(server, alice) as opened:
        opened.send(frame(b" " * limit))
        assert opened.message()["body"]["code"] == "json_malformed"
        opened.send(frame(b" " * (limit // 2), TEXT, fin=False))
        opened.send(frame(b" " * (limit // 2 + 1), CONTINUATION))
        assert opened.closed() == 1009


def test_a_message_has_a_limit_of_frames(server, alice):
    """Each is kept by itself, whatever is in it: many tiny ones would hold far more than is counted."""
    most = 1024
    for payload in (b"", b" "):
        with socket(server, alice) as opened:
            part = frame(payload, CONTINUATION, fin=False)
            for _ in range(2):  # it is counted anew for each message
                opened.send(frame(b" ", TEXT, fin=False) + (most - 2) * part + frame(b"", CONTINUATION))
                assert opened.message()["body"]["code"] == "json_malformed"
            opened.send(frame(b" ", TEXT, fin=False) + (most - 1) * part)
            opened.send(frame(b"still there", PING))
            assert opened.frame() == (PONG, b"still there")
            opened.send(part)
            assert opened.closed() == 1009


@pytest.mark.parametrize("code", (1000, 1001, 3000, 4999))
def test_a_close_is_answered(server, alice, code):
    with socket(server, alice) as opened:
        opened.send(close_frame(code, b"bye"))
        assert opened.closed() == code
    with socket(server, alice) as opened:
        opened.send(frame(b"", CLOSE))
        assert opened.closed() in (None, 1000, 1005)


def test_a_client_that_only_leaves(server, alice, bob):
    for ends in ("shutdown", "close"):
        with socket(server, alice) as opened:
            if ends == "shutdown":
                opened.connection.socket.shutdown(1)
                assert opened.connection.more(10 ** 9) is False
    alice.get("/api/account").expect(200)


def test_another_client_agrees(server, alice, bob):
    """Debian's python3-websockets: 40 commands and events, a ping, and the end."""
    async def follow():
        url = f"ws://127.0.0.1:{server.port}{PATH}"
        async with websockets.connect(url, subprotocols=["migchat.v1", f"bearer.{alice.token}"]) as client:
            assert client.subprotocol == "migchat.v1"
            for number in range(20):
                await client.send(json.dumps({"type": "send", "ref": number,
                                              "to_username": bob.username, "content": str(number)}))
            got = [json.loads(await client.recv()) for _ in range(40)]
            await asyncio.wait_for(await client.ping(), 20 * SLOWNESS)
        return got, client.close_code

    got, code = asyncio.run(follow())
    assert code == 1000
    assert [each["ref"] for each in got if each["type"] == "result"] == list(range(20))
    assert [each["message"]["content"] for each in got if each["type"] == "message"] == [
        str(number) for number in range(20)]


@pytest.mark.parametrize("wakes", ("byte", "event"))
def test_an_incomplete_message_has_the_time_of_a_body(start, wakes):
    server = start(flags=("--body-timeout-ms", "600"))
    alice, bob = server.api.create(), server.api.create()
    text = json.dumps({"type": "typing", "ref": 1, "with_user": bob.username})
    data = frame(text)
    ping = frame(b"ping", PING)
    with socket(server, alice) as slow, socket(server, alice) as steady, socket(server, alice) as pinging:
        slow.send(data[:-2])
        # Each message has its own time, also where one's beginning comes with another's end.
        steady.send(data[:3])
        pinging.send(ping[:1])
        for _ in range(6):
            time.sleep(0.2)  # the case: they are slow
            steady.send(data[3:] + data[:3])
            assert steady.message()["status"] == 204
            pinging.send(ping[1:] + ping[:1])
            assert pinging.frame() == (PONG, b"ping")
        if wakes == "byte":
            slow.send(data[-2:-1])
        else:
            bob.send(alice)
            assert steady.message()["type"] == "message"
        assert slow.closed() == 1008
        steady.send(data[3:])
        assert steady.message()["status"] == 204


def test_what_was_complete_counts_no_more(start):
    """Though its reads always end within a frame, so that something is incomplete at any time."""
    server = start(flags=("--max-bodies-bytes", str(1 << 20)))
    alice, bob = server.api.create(), server.api.create()
    data = frame(json.dumps({"type": "typing", "ref": 1, "with_user": bob.username, "pad": "p" * 10000}))
    with socket(server, alice) as opened:
        for part, answers, opcode in ((data, 1, TEXT), (frame(b"p" * 100, PING) * 100, 100, PONG)):
            opened.send(part[:3])
            for _ in range(300):
                opened.send(part[3:] + part[:3])
                while answers and (got := opened.frame()[0]) in (opcode, PING):
                    answers -= got == opcode
                assert not answers, got
                answers = 1 if part is data else 100
            opened.send(part[3:])
            assert [opened.frame()[0] for _ in range(answers)] == [opcode] * answers
            alice.post(f"/api/typing?with_user={bob.username}").expect(204)


def test_incomplete_messages_count_as_unfinished_requests(start):
    """Their memory has one limit together; who is over it is told to come later."""
    server = start(flags=("--max-bodies-bytes", str(1 << 20)))
    alice = server.api.create()
    sockets = [socket(server, alice) for _ in range(20)]
    codes = []
    for each in sockets:
        each.send(frame(b" " * 100000, TEXT, fin=False))
    for each in sockets:
        with each:
            try:
                each.send(frame(b"", PING))
                opcode, payload = each.frame()
                codes.append(opcode if opcode != CLOSE else int.from_bytes(payload[:2], "big"))
            except (Closed, OSError):
                codes.append("closed")
    assert PONG in codes and 1013 in codes and set(codes) <= {PONG, 1013, "closed"}, codes
    server.api.get("/health").expect(200)


def test_complete_messages_count_until_they_are_answered(start):
    """Nor does a client that does not read its results make the server keep what it sent."""
    server = start(flags=("--max-bodies-bytes", str(1 << 20)))
    alice = server.api.create()
    large = frame(b" " * 250_000)
    sockets = [socket(server, alice, receive_buffer=2048) for _ in range(100)]
    before = server.rss_bytes()
    for each in sockets:
        each.send(large[:-1])
        each.send(large[-1:] + frame(b"") * 2500)
        alice.get("/api/account").expect(200)
    time.sleep(0.5)
    grown = server.rss_bytes() - before
    assert SANITIZED or grown <= 8 << 20, f"{grown / 2**20:.1f} MiB more"
    for each in sockets:
        each.connection.close()
    with socket(server, alice) as opened:
        assert opened.result(type="mark_read", ref=1)[0]["ref"] == 1


def flood(opened, stops):
    """Sends empty messages on all of them, and takes what comes, until one is ended or it is told to stop."""
    data = frame(b"") * 2500
    sent = dict.fromkeys((each.connection.socket for each in opened), 0)
    while not stops.is_set():
        readable, writable, _ = select.select(sent, sent, [], 1)
        for each in readable:
            try:
                if not each.recv(1 << 20):
                    return
            except ConnectionError:
                return
        for each in writable:
            try:
                sent[each] = (sent[each] + each.send(data[sent[each]:], MSG_DONTWAIT)) % len(data)
            except BlockingIOError:
                pass
            except ConnectionError:
                return


@contextlib.contextmanager
def flooding(opened):
    """The process that does; in the end it stops and they are closed."""
    stops = multiprocessing.Event()
    process = multiprocessing.get_context("fork").Process(target=flood, args=(opened, stops))
    process.start()
    try:
        yield process
    finally:
        stops.set()
        process.join()
        for each in opened:
            each.connection.close()


def test_a_session_that_ended_ends_its_socket_whatever_it_sends(server, alice, api):
    other = api.login(alice.username, alice.password)
    with flooding([socket(server, other)]) as process:
        time.sleep(0.2)  # it floods
        assert process.is_alive()
        other.post("/api/account/logout").expect(204)
        process.join(2 * SLOWNESS)
        assert not process.is_alive()


def test_who_sends_commands_without_end_delays_nobody(server, alice):
    """Empty ones are the cheapest to send."""
    took_s = []
    with flooding([socket(server, alice) for _ in range(10)]) as process:
        for _ in range(100):
            begun_s = time.monotonic()
            server.api.get("/health").expect(200)
            took_s.append(time.monotonic() - begun_s)
            time.sleep(0.01)
        assert process.is_alive()
    assert sorted(took_s)[95] < 0.05 * SLOWNESS, f"{sorted(took_s)[95] * 1e3:.0f} ms"
