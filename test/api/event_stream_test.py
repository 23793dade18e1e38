"""GET /api/events/stream: the same events as they come, over cuts, stalls and restarts."""

import random
import signal
import time

import pytest

from support import metrics, seen
from support.api import with_query
from support.events import EventStream, events_since, now, poll, seq_of
from support.http import SLOWNESS, Closed, Connection, request_bytes
from support.websocket import WebSocket

PATH = "/api/events/stream"


def stream(server, account, **more):
    return EventStream(server.port, account.token, **more)


def settled(account):
    """Once this is answered, what was sent on other connections before is with the server."""
    for _ in range(3):
        account.get("/api/account").expect(200)


def test_it_opens_at_once_and_says_how_to_come_back(server, alice):
    with stream(server, alice) as opened:
        assert opened.response.status == 200
        assert opened.response.field("content-type") == "text/event-stream"
        assert opened.response.field("cache-control") == "no-store"
        assert opened.response.field("x-accel-buffering") == "no"
        assert opened.connection.chunk().startswith(b": connected\nretry: 2000\n\n")


def test_events_come_as_they_happen(server, alice, bob):
    with stream(server, alice) as following:
        settled(alice)
        for number in range(20):
            sent = (alice if number % 3 == 0 else bob).send(bob if number % 3 == 0 else alice)
            event = following.event()
            assert event["type"] == "message"
            assert event["message"]["id"] == sent["message_id"]
        alice.mark_read(bob.username)
        assert following.event()["type"] == "read"


def test_without_a_cursor_it_begins_now(server, alice, bob):
    bob.send(alice, "before")
    with stream(server, alice) as following:
        settled(alice)
        bob.send(alice, "after")
        assert following.event()["message"]["content"] == "after"


def test_from_a_cursor_it_tells_all_that_came_since(server, alice, bob):
    cursor = now(alice)
    for number in range(300):
        bob.send(alice, str(number))
    wanted = events_since(alice, cursor)
    with stream(server, alice, since=cursor) as following:
        assert following.events(300) == wanted
        bob.send(alice, "live")
        assert following.event()["message"]["content"] == "live"


def test_the_last_id_counts_before_since(server, alice, bob):
    since = now(alice)
    bob.send(alice, "one")
    last_id = now(alice)
    bob.send(alice, "two")
    with stream(server, alice, since=since, last_id=last_id) as following:
        assert following.event()["message"]["content"] == "two"
    with stream(server, alice, since=since, last_id="") as following:
        assert following.event()["message"]["content"] == "one"


@pytest.mark.parametrize("make", (
    lambda epoch, seq: f"{epoch}:{seq + 1}",
    lambda epoch, seq: f"{'a' if epoch[0] != 'a' else 'b'}{epoch[1:]}:{seq}",
), ids=("future", "foreign"))
def test_a_cursor_that_leads_nowhere_is_reset(server, alice, bob, make):
    epoch, seq = now(alice).split(":")
    with stream(server, alice, last_id=make(epoch, int(seq))) as following:
        assert following.event() == {"type": "reset", "cursor": f"{epoch}:{seq}"}
        bob.send(alice, "on")
        assert following.event()["message"]["content"] == "on"


def test_what_is_refused(api, alice):
    api.get(PATH).expect(401, "token_missing")
    alice.get(PATH + "?since=x").expect(400, "cursor_not_allowed")
    alice.get(PATH, fields=[("Last-Event-ID", "x")]).expect(400, "cursor_not_allowed")
    api.request("HEAD", PATH, alice.token).expect(200)


def test_http_1_0_has_no_chunks(server, alice, bob):
    with stream(server, alice, version="HTTP/1.0") as following:
        assert not following.is_chunked
        settled(alice)
        for number in range(3):
            bob.send(alice, str(number))
            assert following.event()["message"]["content"] == str(number)


def test_it_ends_with_its_session(server, alice, api):
    other = api.login(alice.username, alice.password)
    with stream(server, other) as ended, stream(server, alice) as other_one:
        settled(alice)
        session = next(row["id"] for row in other.sessions() if row["current"])
        other.post("/api/account/logout").expect(204)
        told = {"type": "session_ended", "cursor": now(alice), "session_id": session}
        assert ended.event() == told and ended.event() is None and ended.has_ended
        ended.connection.expect_end()
        assert other_one.event() == told
        alice.send(alice)
        assert other_one.event()["type"] == "message"


def test_a_stream_that_ended_is_a_whole_answer(server, alice, api):
    other = api.login(alice.username, alice.password)
    with Connection(server.port) as connection:
        connection.send(request_bytes("GET", PATH, [("Authorization", f"Bearer {other.token}")]))
        settled(alice)
        other.post("/api/account/logout").expect(204)
        connection.answer("GET", PATH).expect(200)


def test_it_ends_with_its_account(server, alice, bob):
    bob.send(alice)
    with stream(server, alice) as following:
        settled(alice)
        alice.delete_raw(alice.password).expect(204)
        assert [event["type"] for event in following.rest()] in (["session_ended"], [])


def test_a_changed_password_ends_the_others(server, alice, api):
    other = api.login(alice.username, alice.password)
    with stream(server, other) as ended, stream(server, alice) as kept:
        settled(alice)
        alice.password_raw(alice.password, seen.new_password()).expect(204)
        assert [event["type"] for event in ended.rest()] == ["session_ended"]
        assert kept.event()["type"] == "session_ended"
        alice.send(alice)
        assert kept.event()["type"] == "message"


def test_when_the_server_stops_it_says_when_to_come_back(start):
    server = start()
    alice = server.api.create()
    streams = [stream(server, alice) for _ in range(20)]
    settled(alice)
    server.process.send_signal(signal.SIGTERM)
    waits = set()
    for each in streams:
        with each:
            event = each.event()
            assert event["type"] == "reconnect" and 1000 <= event["retry_ms"] < 10000
            assert each.retry_ms == event["retry_ms"]
            assert each.event() is None and each.has_ended
            waits.add(event["retry_ms"])
    assert len(waits) > 10, "they would all come at once"
    server.wait_exit(0)


def test_each_device_sees_each_event_once(server, alice, bob, api):
    devices = [alice] + [api.login(alice.username, alice.password) for _ in range(9)]
    cursor = now(alice)
    streams = [stream(server, device, since=cursor if number % 2 else None)
               for number, device in enumerate(devices)]
    settled(alice)
    for number in range(100):
        bob.send(alice, str(number))
    for each in streams:
        with each:
            assert [event["message"]["content"] for event in each.events(100)] == [
                str(number) for number in range(100)]


def test_requests_behind_it_are_thrown_away(server, alice, bob):
    with stream(server, alice) as following:
        settled(alice)
        for _ in range(50):
            following.connection.send(request_bytes("GET", "/health") * 200)
        bob.send(alice, "still here")
        assert following.event()["message"]["content"] == "still here"


def test_a_client_that_ends_its_side_has_left(server, alice):
    with stream(server, alice) as following:
        settled(alice)
        following.connection.socket.shutdown(1)
        assert following.rest() == []


def test_a_reader_that_stalls_gets_the_rest_when_it_reads_again(server, alice, bob):
    """More than the socket holds; the others of the account are not kept waiting."""
    cursor = now(alice)
    text = "s" * 20000
    with stream(server, alice, since=cursor, receive_buffer=4096) as stalled, \
            stream(server, alice, since=cursor) as other:
        for number in range(400):
            bob.send(alice, f"{number}{text}")
            assert other.event()["message"]["content"] == f"{number}{text}"
        for number in range(400):
            assert stalled.event()["message"]["content"] == f"{number}{text}"
        bob.send(alice, "live")
        assert stalled.event()["message"]["content"] == "live"


def test_stalled_readers_hold_little(start):
    """200 that never read, each with 8 MB to come: what the server holds is the rest of one event."""
    server = start(flags=("--max-connections", "1000"))
    alice, bob = server.api.create(), server.api.create()
    cursor = now(alice)
    for _ in range(400):
        bob.send(alice, "m" * 20000)
    for _ in range(3):  # the readers' page caches are full
        assert len(events_since(alice, cursor)) == 400
    before = server.own_bytes()
    streams = [stream(server, alice, since=cursor, receive_buffer=4096) for _ in range(200)]
    with stream(server, alice, since=cursor) as reader:
        assert len(reader.events(400)) == 400
        grown = server.own_bytes() - before
        print(f"{grown / 200:.0f} bytes for each reader that stalls")
        bob.send(alice, "live")
        assert reader.event()["message"]["content"] == "live"
    for each in streams:
        each.connection.close()
    if SLOWNESS == 1:
        assert grown < 200 * 40 * 1024


@pytest.mark.parametrize("opens", (EventStream, WebSocket), ids=("stream", "socket"))
def test_a_reader_that_takes_nothing_is_dropped_after_its_time(start, opens):
    server = start(flags=("--write-timeout-ms", "1000", *metrics.FLAGS))
    alice, bob = server.api.create(), server.api.create()
    cursor = now(alice)
    for _ in range(100):
        bob.send(alice, "m" * 40000)

    def open_streams():
        scrape = metrics.Scrape(server)
        return scrape["migchat_streams", {"kind": "sse"}] + scrape["migchat_streams", {"kind": "websocket"}]

    with stream(server, alice) as idle, opens(server.port, alice.token, since=cursor, receive_buffer=4096):
        deadline = time.monotonic() + 20 * SLOWNESS
        while open_streams() != 1:
            assert time.monotonic() < deadline, "it is not dropped"
            time.sleep(0.05)  # polling what only a scrape tells
        bob.send(alice, "who has nothing to take has time")
        assert idle.event()["type"] == "message"


@pytest.mark.parametrize("seed", range(3))
def test_cut_anywhere_and_resumed_it_equals_the_log(server, alice, bob, seed):
    """The connection is dropped after a random number of bytes, again and again, while bob sends;
    what was seen whole is not told again and nothing is left out."""
    chance = random.Random(seed)
    cursor = now(alice)
    got, last_id, sent = [], cursor, 0
    while len(got) < 200:
        for _ in range(chance.randrange(12)):
            if sent < 200:
                bob.send(alice, f"{sent} " + "x" * chance.randrange(300))
                sent += 1
        with stream(server, alice, since=cursor, last_id=last_id) as following:
            budget = chance.randrange(1, 6000)
            taken = 0
            while taken < budget and len(got) < sent:
                event = following.event()
                got.append(event)
                last_id = following.last_id
                taken += len(str(event))
    assert got == events_since(alice, cursor)


def test_polls_and_streams_take_over_from_each_other(server, alice, bob):
    chance = random.Random(1)
    cursor = begun = now(alice)
    got = []
    for number in range(120):
        bob.send(alice, str(number))
        if chance.randrange(2):
            answer = poll(alice, cursor, limit=chance.randrange(1, 4))
            got += answer["events"]
            cursor = answer["cursor"]
        else:
            with stream(server, alice, last_id=cursor) as following:
                if len(got) <= number:
                    got.append(following.event())
                    cursor = following.last_id
    got += events_since(alice, cursor)
    assert got == events_since(alice, begun)


def test_kill_9_loses_and_doubles_nothing(start):
    """What was acknowledged before the crash comes after it, behind the cursor, once."""
    server = start()
    alice, bob = server.api.create(), server.api.create()
    cursor = begun = now(alice)
    got, sent = [], []
    for round_number in range(5):
        with stream(server, alice, last_id=cursor) as following:
            settled(alice)
            for number in range(20):
                sent.append(bob.send(alice, f"{round_number}.{number}")["message_id"])
            got += following.events(10)
            cursor = following.last_id
        server.kill()
        server.start()
        for account in (alice, bob):
            account.api = server.api
    with stream(server, alice, last_id=cursor) as following:
        got += following.events(len(sent) - len(got))
    assert [event["message"]["id"] for event in got] == sent
    assert got == events_since(alice, begun, limit=1000)


@pytest.mark.slow
def test_a_silent_stream_beats(server, alice):
    with stream(server, alice) as following:
        begun = time.monotonic()
        with pytest.raises(Exception):
            following.event(deadline_s=17)
        assert time.monotonic() - begun >= 16
        assert following.comments.count("") == 1, following.comments
