"""GET /api/events: the log from a cursor on, at once or when something happens."""

import contextlib
import json
import signal
import threading
import time

import pytest

from support import metrics, seen
from support.api import new_name, with_query
from support.events import events_since, now, poll, poll_raw, seq_of
from support.http import SLOWNESS, Connection, request_bytes

WAIT_S = 20  # longer than any test waits: what answers before was woken


@pytest.fixture
def log(alice):
    """alice's events since now, as a function."""
    cursor = now(alice)
    return lambda: events_since(alice, cursor)


def only(events, kind):
    return [{name: value for name, value in event.items() if name not in ("type", "cursor")}
            for event in events if event["type"] == kind]


# ---- what is told -------------------------------------------------------------------------------

def test_without_since_it_tells_where_the_log_ends(alice, bob):
    before = poll(alice)
    assert before["events"] == [] and before["more"] is False
    bob.send(alice)
    after = poll(alice)
    assert after["events"] == []
    assert seq_of(after["cursor"]) == seq_of(before["cursor"]) + 1


def test_a_message_is_told_to_both_as_in_their_lists(alice, bob):
    cursors = {account: now(account) for account in (alice, bob)}
    sent = bob.send(alice, 'with "quotes", \u2028, \U0001f600 and \t')
    for account, cursor in cursors.items():
        answer = poll(account, cursor)
        event, = answer["events"]
        assert event["type"] == "message"
        assert event["message"] == account.messages()[0]
        assert event["message"]["content"] == sent["content"]
        assert event["cursor"] == answer["cursor"] and answer["more"] is False


def test_a_message_to_oneself_is_told_once(alice, log):
    alice.send(alice, "note")
    assert [each["message"]["content"] for each in only(log(), "message")] == ["note"]


def test_reading_is_told_to_both(alice, bob):
    cursors = {account: now(account) for account in (alice, bob)}
    ids = [bob.send(alice)["message_id"] for _ in range(3)]
    alice.mark_read(bob.username)
    alice.mark_read(bob.username)  # changes nothing
    for account, cursor in cursors.items():
        assert only(events_since(account, cursor), "read") == [
            {"by": alice.username, "from": bob.username, "up_to_id": ids[-1]}]


def wait_for(log, kind):
    """Chores tell contacts shortly after."""
    deadline = time.monotonic() + 10 * SLOWNESS
    while not only(log(), kind):
        assert time.monotonic() < deadline, f"no {kind}: {log()}"
        time.sleep(0.02)
    return only(log(), kind)


def test_a_rename_is_told_to_contacts_and_to_oneself(alice, bob, log):
    bob.send(alice)
    own = now(bob)
    old, new = bob.username, new_name('qu"o\'te')
    bob.rename(new)
    assert wait_for(log, "account_renamed") == [{"from": old, "to": new}]
    assert only(events_since(bob, own), "account_renamed") == [{"from": old, "to": new}]


def test_a_deletion_is_told_as_a_rename(alice, bob, log):
    bob.send(alice)
    bob.delete_raw(bob.password).expect(204)
    assert wait_for(log, "account_renamed") == [
        {"from": bob.username, "to": f"deleted-{bob.user_id}"}]


def test_keys_are_told_to_contacts_and_low_ones_to_their_owner(alice, bob, log):
    bob.send(alice)
    bob.upload([f"key{number}" for number in range(7)])
    assert wait_for(log, "keys_changed") == [{"username": bob.username}]
    own = now(bob)
    for _ in range(7):
        alice.claim(bob.username)
    assert only(events_since(bob, own), "keys_low") == [{"one_time_prekeys": left}
                                                        for left in (5, 0)]


def test_the_end_of_a_session_is_told(alice, api, log):
    other = api.login(alice.username, alice.password)
    ended = next(row["id"] for row in other.sessions() if row["current"])
    other.post("/api/account/logout").expect(204)
    assert only(log(), "session_ended") == [{"session_id": ended}]


def test_every_entry_comes_once_and_in_order_whatever_the_limit(alice, bob):
    for number in range(60):
        (alice if number % 2 else bob).send(bob if number % 2 else alice, str(number))
        if number % 7 == 0:
            alice.mark_read(bob.username)
    whole = events_since(alice)
    head = seq_of(now(alice))
    assert [seq_of(event["cursor"]) for event in whole] == list(range(1, head + 1))
    for limit in (1, 7, 100, head, head + 1, 1000):
        assert events_since(alice, limit=limit) == whole
    assert poll(alice, whole[0]["cursor"].split(":")[0] + ":0", limit=head)["more"] is False
    assert poll(alice, whole[0]["cursor"].split(":")[0] + ":0", limit=head - 1)["more"] is True


def test_100_are_given_unless_another_limit_is(alice):
    for _ in range(101):
        alice.send(alice)
    answer = poll(alice, now(alice).split(":")[0] + ":0")
    assert len(answer["events"]) == 100 and answer["more"] is True


@pytest.mark.parametrize("bytes_each", (3000, 30000))
def test_long_messages_come_whole_over_many_pages(alice, bob, log, bytes_each):
    texts = [f"{number}\x01" + "\x02" * bytes_each for number in range(9)]  # six times as long
    for text in texts:
        bob.send(alice, text)
    assert [each["message"]["content"] for each in only(log(), "message")] == texts


def test_what_a_list_shows_and_the_events_behind_it_are_everything(alice, bob):
    """Lists while somebody sends: each message is in the list or in the events, never in both."""
    stops = threading.Event()
    sent = []

    def send():
        while not stops.is_set():
            sent.append(bob.send(alice)["message_id"])

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(30):
            response = alice.get("/api/messages").expect(200)
            listed = {row["id"] for row in response.json()}
            count = len(sent)
            events = events_since(alice, response.field("migchat-cursor"))
            told = [each["message"]["id"] for each in only(events, "message")]
            assert len(told) == len(set(told)) and not listed & set(told)
            assert listed | set(told) >= set(sent[:count])
    finally:
        stops.set()
        sender.join()


# ---- what is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize("since", ("", "x", "1", "abc:1", "A" * 16, "A" * 16 + ":", "A" * 16 + ":x",
                                   "A" * 16 + ":-1", "A" * 16 + ":1:2", "A" * 17 + ":1",
                                   "A" * 16 + ":" + "9" * 20, "Ä" * 16 + ":1", "A" * 15 + "%00:1"))
def test_what_is_no_cursor_is_refused(alice, since):
    target = "/api/events?since=" + since.replace("Ä", "%C3%84")
    response = alice.get(target)
    if "%00" in since:
        response.expect(400, "query_malformed")
    else:
        response.expect(400, "cursor_not_allowed")


def test_a_cursor_of_another_database_or_of_the_future_is_gone(alice):
    epoch, seq = now(alice).split(":")
    foreign = ("a" if epoch[0] != "a" else "b") + epoch[1:]
    poll_raw(alice, f"{foreign}:0").expect(410, "cursor_gone")
    poll_raw(alice, f"{epoch}:{int(seq) + 1}", wait=WAIT_S).expect(410, "cursor_gone")
    assert poll(alice, f"{epoch}:{seq}")["events"] == []


@pytest.mark.parametrize("name, values, code", (
    ("wait", ("-1", "61", "x", "1.5", "", "999999999999999999999"), "wait_not_allowed"),
    ("limit", ("0", "-1", "1001", "x", ""), "limit_not_allowed"),
))
def test_numbers_out_of_bounds_are_refused(alice, name, values, code):
    for value in values:
        alice.get(with_query("/api/events", **{name: value})).expect(400, code)


def test_it_needs_a_token(api):
    api.get("/api/events").expect(401, "token_missing")
    api.get("/api/events", token="x" * 32).expect(401, "token_invalid")


# ---- waiting ------------------------------------------------------------------------------------

def waiting(server, account, since, wait=WAIT_S, behind=b"", method="GET", fields=()):
    """A poll that waits, on a connection of its own."""
    connection = Connection(server.port)
    connection.send(request_bytes(method, with_query("/api/events", since=since, wait=wait), [
        ("Authorization", f"Bearer {account.token}"), *fields]) + behind)
    return connection


def settled(server, account):
    """Once this is answered, what was sent on other connections before is with the server."""
    for _ in range(3):
        account.get("/api/account").expect(200)


def test_it_answers_when_the_first_one_comes(server, alice, bob):
    with waiting(server, alice, now(alice)) as connection:
        settled(server, bob)
        sent = bob.send(alice)
        answer = connection.answer("GET", "/api/events").expect(200).json()
        assert [event["message"]["id"] for event in answer["events"]] == [sent["message_id"]]


def test_it_answers_at_once_when_there_is_something(alice, bob):
    cursor = now(alice)
    bob.send(alice)
    assert len(poll(alice, cursor, wait=60)["events"]) == 1


def test_it_is_empty_when_nothing_came_for_so_long(alice):
    cursor = now(alice)
    begun = time.monotonic()
    assert poll(alice, cursor, wait=1) == {"events": [], "cursor": cursor, "more": False}
    assert 0.95 <= time.monotonic() - begun < 5 * SLOWNESS


def test_head_does_not_wait(server, alice):
    with waiting(server, alice, now(alice), wait=60, method="HEAD") as connection:
        connection.answer("HEAD", "/api/events").expect(200)


def test_each_device_of_an_account_is_told(server, alice, bob, api):
    devices = [alice] + [api.login(alice.username, alice.password) for _ in range(7)]
    cursor = now(alice)
    connections = [waiting(server, device, cursor) for device in devices]
    settled(server, bob)
    sent = bob.send(alice)
    for connection in connections:
        with connection:
            answer = connection.answer("GET", "/api/events").expect(200).json()
            assert answer["events"][0]["message"]["id"] == sent["message_id"]


def test_others_are_not_woken(server, alice, bob, api):
    carol = api.create()
    with waiting(server, carol, now(carol), wait=2) as connection:
        begun = time.monotonic()
        for _ in range(20):
            bob.send(alice)
        assert connection.answer("GET", "/api/events").expect(200).json()["events"] == []
        assert time.monotonic() - begun >= 1.8


def test_a_session_that_ends_is_told_by_401(server, alice, api):
    other = api.login(alice.username, alice.password)
    with waiting(server, other, now(other)) as connection:
        settled(server, alice)
        ended = next(row["id"] for row in alice.sessions() if not row["current"])
        alice.api.request("DELETE", f"/api/sessions/{ended}", alice.token).expect(204)
        connection.answer("GET", "/api/events").expect(401, "token_invalid")


def test_requests_behind_it_are_answered_after_it(server, alice, bob):
    behind = request_bytes("GET", "/api/account", [("Authorization", f"Bearer {alice.token}")])
    with waiting(server, alice, now(alice), behind=3 * behind) as connection:
        settled(server, bob)
        bob.send(alice)
        assert connection.answer("GET", "/api/events").expect(200).json()["events"]
        for _ in range(3):
            account = connection.answer("GET", "/api/account").expect(200).json()
            assert account["username"] == alice.username


@pytest.mark.parametrize("answers", range(4, 16))
def test_it_may_wait_behind_answers_that_are_not_read_yet(server, alice, bob, answers):
    """The log grows while they are still being sent; how many fill the socket is not known."""
    bob.send(alice, "x" * 12000)
    fields = [("Authorization", f"Bearer {alice.token}")]
    with Connection(server.port, receive_buffer=4096) as connection:
        connection.send(answers * request_bytes("GET", "/api/messages", fields) + request_bytes(
            "GET", with_query("/api/events", since=now(alice), wait=1), fields))
        settled(server, bob)
        sent = None
        if answers % 4:
            sent = bob.send(alice, "while it waits")["message_id"]
        else:
            time.sleep(1.2)
        for _ in range(answers):
            connection.answer("GET", "/api/messages").expect(200)
        events = connection.answer("GET", "/api/events").expect(200).json()["events"]
        assert [event["message"]["id"] for event in events] == ([sent] if sent else [])


def test_a_client_that_ends_its_side_is_answered_at_once(server, alice):
    with waiting(server, alice, now(alice), wait=60) as connection:
        settled(server, alice)
        connection.socket.shutdown(1)
        assert connection.answer("GET", "/api/events").expect(200).json()["events"] == []
        connection.expect_end()


def test_fields_that_decide_about_the_answer_are_kept(server, alice, start, bob):
    fields = [("X-Request-Id", "kept-1"), ("Connection", "close"), ("Origin", "https://a.example"),
              ("Accept", "application/problem+json")]
    with waiting(server, alice, now(alice), fields=fields) as connection:
        settled(server, bob)
        bob.send(alice)
        response = connection.answer("GET", "/api/events").expect(200)
        assert response.field("x-request-id") == "kept-1"
        assert response.field("connection").lower() == "close"
        connection.expect_end()


@pytest.mark.parametrize("length, is_put_aside", ((3000, True), (6000, False)))
def test_a_long_head_is_not_put_aside(server, alice, length, is_put_aside):
    fields = [("Origin", "https://" + "a" * length)]
    begun = time.monotonic()
    with waiting(server, alice, now(alice), wait=1, fields=fields) as connection:
        assert connection.answer("GET", "/api/events").expect(200).json()["events"] == []
        assert (time.monotonic() - begun >= 0.95) == is_put_aside


def test_a_client_that_leaves_is_forgotten(server, alice, bob):
    cursor = now(alice)
    for _ in range(50):
        waiting(server, alice, cursor).close()
    settled(server, alice)
    bob.send(alice)
    assert len(poll(alice, cursor)["events"]) == 1


def test_when_the_server_stops_it_is_answered(start):
    server = start()
    alice = server.api.create()
    with waiting(server, alice, now(alice), wait=60) as connection:
        settled(server, alice)
        server.process.send_signal(signal.SIGTERM)
        response = connection.answer("GET", "/api/events").expect(200)
        assert response.json()["events"] == []
        connection.expect_end()
    server.wait_exit(0)


def test_in_memory_it_waits_as_well(start):
    server = start(db=":memory:")
    alice, bob = server.api.create(), server.api.create()
    for number in range(5):
        with waiting(server, alice, now(alice)) as connection:
            settled(server, bob)
            bob.send(alice, str(number))
            answer = connection.answer("GET", "/api/events").expect(200).json()
            assert [event["message"]["content"] for event in answer["events"]] == [str(number)]


def test_a_thousand_wait_and_cost_little(start):
    """An exchange of 1.3 KB and its buffers would be several times as much."""
    server = start(flags=("--max-connections", "2000"))
    alice = server.api.create()
    cursor = now(alice)
    # What is in flight at once is pooled, and stays.
    connections = [waiting(server, alice, cursor, wait=60) for _ in range(500)]
    settled(server, alice)
    before = server.own_bytes()
    connections += [waiting(server, alice, cursor, wait=60) for _ in range(1000)]
    settled(server, alice)
    grown = server.own_bytes() - before
    print(f"{grown / 1000:.0f} bytes for each poll that waits")
    alice.send(alice)
    for connection in connections:
        with connection:
            assert len(connection.answer("GET", "/api/events").expect(200).json()["events"]) == 1
    if SLOWNESS == 1:
        assert grown <= 1000 * 2048


def reads_of(server):
    """How often something was taken from the read lane's queue."""
    return metrics.Scrape(server)["migchat_lane_wait_seconds_count", {"lane": "read"}]


def test_equal_polls_share_one_read(start):
    server = start(flags=metrics.FLAGS)
    alice, bob = server.api.create(), server.api.create()
    cursor = now(alice)
    fields = [("X-Request-Id", "mine")]
    with contextlib.ExitStack() as stack:
        polls = [stack.enter_context(waiting(server, alice, cursor, wait=60, fields=fields)) for _ in range(8)]
        settled(server, alice)
        before = reads_of(server)
        sent = bob.send(alice, "to all of you")
        answers = [connection.answer("GET", "/api/events").expect(200) for connection in polls]
        assert reads_of(server) - before == 1
    assert [event["message"]["id"] for event in answers[0].json()["events"]] == [sent["message_id"]]
    assert all(answer.body == answers[0].body for answer in answers)
    assert all(answer.all("x-request-id") == ["mine"] for answer in answers)
    assert answers[0].json() == poll(alice, cursor)


def test_of_equal_polls_each_goes_by_its_own_session(start):
    server = start(flags=metrics.FLAGS)
    alice = server.api.create()
    phone, tablet = (server.api.login(alice.username, alice.password) for _ in range(2))
    cursor = now(alice)
    with contextlib.ExitStack() as stack:
        polls = [stack.enter_context(waiting(server, account, cursor, wait=60))
                 for account in (phone, alice, phone, tablet)]
        settled(server, alice)
        phone.post("/api/account/logout").expect(204)
        for connection, status in zip(polls, (401, 200, 401, 200)):
            connection.answer("GET", "/api/events").expect(status)


def test_a_disabled_account_gets_no_shared_answer(start):
    server = start()
    alice = server.api.create()
    with contextlib.ExitStack() as stack:
        polls = [stack.enter_context(waiting(server, alice, now(alice), wait=60)) for _ in range(4)]
        settled(server, alice)
        assert server.command("user", "disable", alice.username).returncode == 0
        for connection in polls:
            connection.answer("GET", "/api/events").expect(403, "account_disabled")
