"""PUT and DELETE /api/blocks/{username}, GET /api/blocks: what a blocked account sends is answered as
ever and never reaches the blocker, on no transport and at no time."""

import sqlite3

from support import seen
from support.api import TIME_FORM, new_name, with_query
from support.events import EventStream, events_since, now, poll, seq_of
from support.websocket import WebSocket

LIMIT = 10000


def block_raw(account, name):
    return account.api.request("PUT", f"/api/blocks/{name}", account.token)


def block(account, *others):
    for other in others:
        assert block_raw(account, other.username).expect(204).body == b""


def unblock(account, *others):
    for other in others:
        unblock_raw(account, other.username).expect(204)


def unblock_raw(account, name):
    return account.api.request("DELETE", f"/api/blocks/{name}", account.token)


def blocks(account):
    return account.get("/api/blocks").expect(200).json()


def names(account):
    return [row["username"] for row in blocks(account)]


# ---- the list -----------------------------------------------------------------------------------

def test_blocks_are_listed_newest_first_since_they_were_made(api, alice, bob):
    assert blocks(alice) == []
    carl = api.create()
    block(alice, bob)
    block(alice, carl)
    first = blocks(alice)
    assert [row["username"] for row in first] == [carl.username, bob.username]
    assert all(set(row) == {"username", "since"} and TIME_FORM.fullmatch(row["since"]) for row in first)
    block(alice, bob)
    block_raw(alice, bob.username.upper()).expect(204)
    assert blocks(alice) == first
    assert blocks(bob) == []
    unblock(alice, carl, carl)
    assert names(alice) == [bob.username]


def test_the_list_is_neither_tagged_nor_kept(alice, bob):
    block(alice, bob)
    response = alice.get("/api/blocks").expect(200)
    assert not response.all("etag") and not response.all("migchat-cursor")
    assert response.field("cache-control") == "no-store"
    assert alice.api.request("HEAD", "/api/blocks", alice.token).expect(200).body == b""


def test_names_are_todays(api, alice, bob):
    block(alice, bob)
    old = bob.username
    bob.rename(new_name())
    assert names(alice) == [bob.username]
    unblock_raw(alice, old).expect(404, "account_not_found")
    bob.delete_raw(bob.password).expect(204)
    assert names(alice) == [f"deleted-{bob.user_id}"]
    block_raw(alice, f"deleted-{bob.user_id}").expect(404, "account_not_found")
    unblock_raw(alice, f"deleted-{bob.user_id}").expect(204)
    assert names(alice) == []


def test_who_cannot_be_blocked(api, alice):
    block_raw(alice, new_name()).expect(404, "account_not_found")
    unblock_raw(alice, new_name()).expect(404, "account_not_found")
    block_raw(alice, alice.username).expect(400, "block_of_oneself")
    unblock_raw(alice, alice.username).expect(204)
    for method in ("PUT", "DELETE"):
        api.request(method, f"/api/blocks/{alice.username}").expect(401, "token_missing")
    api.get("/api/blocks").expect(401, "token_missing")
    api.request("POST", f"/api/blocks/{alice.username}", alice.token).expect(405, "method_not_allowed")


def test_a_name_with_a_space_is_decoded(api, alice):
    bob = api.create(new_name("a name ä "))
    block_raw(alice, bob.username.replace(" ", "%20").replace("ä", "%C3%A4")).expect(204)
    assert names(alice) == [bob.username]


def test_the_limit_and_a_list_of_many_pages(start):
    running = start()
    alice, bob, carl = (running.api.create() for _ in range(3))
    running.stop()
    with sqlite3.connect(running.database) as database:
        first = carl.user_id + 1
        database.execute("UPDATE meta SET value = ? WHERE key = 'next_account_id'", (first + LIMIT,))
        for place in range(LIMIT - 1):
            name = f"filler {place} " + "ü" * 40
            database.execute("INSERT INTO account(id, name, password_hash, created_at_ms)"
                             " VALUES(?, ?, 'x', 5)", (first + place, name))
            database.execute("INSERT INTO name VALUES(?, ?, ?, 1, 0)", (name, name, first + place))
            database.execute("INSERT INTO block(account_id, other_id, since_ms, withheld) VALUES(?, ?, ?, 0)",
                             (alice.user_id, first + place, place))
    running.start()
    alice.api = bob.api = carl.api = running.api
    block(alice, bob)
    block_raw(alice, carl.username).expect(409, "blocks_full")
    block(alice, bob)
    found = names(alice)
    assert len(found) == LIMIT and found[0] == bob.username
    assert found[1:] == [f"filler {place} " + "ü" * 40 for place in reversed(range(LIMIT - 1))]
    unblock(alice, bob)
    block(alice, carl)
    assert names(alice)[0] == carl.username


# ---- what it does -------------------------------------------------------------------------------

def sends(server, sender, to):
    """The ways there are to send: each gives (status, body)."""
    def by_http():
        response = sender.send_raw(to.username, seen.new_content())
        return response.status, response.json()

    def with_a_key():
        response = sender.send_raw(to.username, seen.new_content(), key=new_name("key"))
        return response.status, response.json()

    def by_websocket():
        with WebSocket(server.port, sender.token) as opened:
            answer, _ = opened.result(type="send", ref=1, to_username=to.username,
                                      content=seen.new_content())
        return answer["status"], answer["body"]

    return by_http, with_a_key, by_websocket


def test_nothing_of_a_blocked_account_comes_on_any_transport(server, api, alice, bob):
    carl = api.create()
    bob.send(alice, "before")
    block(alice, bob)
    cursor = now(alice)
    unread = alice.unread()
    with EventStream(server.port, alice.token, since=cursor) as stream, \
            WebSocket(server.port, alice.token, since=cursor) as opened:
        for send in sends(server, bob, alice):
            status, body = send()
            assert status == 200 and body["message_id"] > 0
        bob.api.post(f"/api/typing?with_user={alice.username}", bob.token).expect(204)
        with WebSocket(server.port, bob.token) as typing:
            assert typing.result(type="typing", ref=1, with_user=alice.username)[0]["status"] == 204
        assert poll(alice, cursor, wait=0)["events"] == []
        sent = carl.send(alice)
        # What comes next is carl's, with the next seq: nothing was told or left out before.
        for event in (stream.event(), opened.message(), poll(alice, cursor, wait=30)["events"][0]):
            assert event["type"] == "message" and event["message"]["id"] == sent["message_id"]
            assert seq_of(event["cursor"]) == seq_of(cursor) + 1
    assert alice.unread() == {**unread, carl.username: 1}
    assert [entry["content"] for entry in alice.filtered(bob.username)] == ["before"]
    assert [entry["from_username"] for entry in alice.messages()] == [carl.username, bob.username]


def test_lists_of_the_blocker_do_not_change(alice, bob):
    bob.send(alice)
    block(alice, bob)
    targets = ("/api/messages", "/api/conversations", f"/api/messages/filtered?with_user={bob.username}")
    tags = [alice.get(target).expect(200).field("etag") for target in targets]
    bob.send(alice)
    for target, tag in zip(targets, tags):
        alice.get(target, fields=[("If-None-Match", tag)]).expect(304)


def test_unblocking_brings_nothing_back(alice, bob):
    block(alice, bob)
    bob.send(alice, "withheld")
    cursor = now(alice)
    unblock(alice, bob)
    assert alice.messages() == [] and alice.conversations() == [] and now(alice) == cursor
    bob.send(alice, "after")
    assert [entry["content"] for entry in alice.messages()] == ["after"]
    assert alice.unread() == {bob.username: 1}
    assert alice.mark_read(bob.username) == 1
    # Reading up to it covers the id of the one before, as for anybody: bob cannot tell.
    read = events_since(bob)[-1]
    assert read["type"] == "read" and read["up_to_id"] == bob.messages()[0]["id"]


def test_the_sender_has_it_as_ever(server, alice, bob):
    block(alice, bob)
    cursor = now(bob)
    with EventStream(server.port, bob.token, since=cursor) as stream:
        sent = bob.send(alice)
        event = stream.event()
    assert event["message"]["id"] == sent["message_id"]
    assert bob.messages() == bob.filtered(alice.username) == [event["message"]]
    row, = bob.conversations()
    assert (row["username"], row["last_message"], row["unread_count"]) \
        == (alice.username, sent["content"], 0)


def test_the_sender_cannot_tell_by_the_answers(server, api, alice, bob):
    """The same senders, ways and order to one who blocks and to one who does not."""
    carl = api.create()
    block(alice, bob)
    last_id = bob.send(carl)["message_id"]
    for to_alice, to_carl in zip(sends(server, bob, alice), sends(server, bob, carl)):
        for send in (to_alice, to_carl):
            status, body = send()
            assert status == 200 and set(body) == {"message_id", "created_at"}
            assert body["message_id"] == last_id + 1
            assert TIME_FORM.fullmatch(body["created_at"])
            last_id += 1
    kept = []
    for other in (alice, carl):
        answers = [bob.send_raw(other.username, "text"), bob.send_raw(other.username.upper(), "text"),
                   bob.send_raw(other.username, "text", key=f"k{other.user_id}"),
                   bob.send_raw(other.username, "text", key=f"k{other.user_id}"),
                   bob.send_raw(other.username, "other", key=f"k{other.user_id}"),
                   bob.send_raw(other.username, ""), bob.mark_read_raw(other.username),
                   bob.post(with_query("/api/typing", with_user=other.username)),
                   bob.get(f"/api/keys/{other.username}"),
                   bob.post("/api/keys/claim", {"username": other.username})]
        kept.append([(answer.status, [name for name, _ in answer.fields],
                      answer.json().get("code") if answer.body else None) for answer in answers])
    assert kept[0] == kept[1]
    with WebSocket(server.port, bob.token) as opened:
        results = [opened.result(type="mark_read", ref=1, with_user=other.username)[0]
                   for other in (alice, carl)]
    assert results[0] == results[1]


def test_reading_is_not_told_to_who_blocks(alice, bob):
    alice.send(bob, "1")
    alice.send(bob, "2")
    block(alice, bob)
    cursor = now(alice)
    first = bob.messages()[1]["seq"]
    assert bob.mark_read(alice.username, up_to=first) == 1
    assert events_since(alice, cursor) == []
    assert events_since(bob)[-1]["type"] == "read"
    unblock(alice, bob)
    assert events_since(alice, cursor) == []
    assert bob.mark_read(alice.username) == 1
    event, = events_since(alice, cursor)
    assert (event["type"], event["by"]) == ("read", bob.username)


def test_typing_is_told_again_after_unblocking(server, alice, bob):
    block(alice, bob)
    with EventStream(server.port, alice.token) as stream:
        target = with_query("/api/typing", with_user=alice.username)
        bob.post(target).expect(204)
        unblock(alice, bob)
        # One after the other: what is transient has no place among what is in the log.
        bob.send(alice, "after")
        assert stream.event()["type"] == "message"
        bob.post(target).expect(204)
        assert stream.event() == {"type": "typing", "from": bob.username}
        bob.send(alice, "last")
        assert stream.event()["type"] == "message"


def test_a_replay_stays_what_it_was(alice, bob):
    block(alice, bob)
    first = bob.send_raw(alice.username, "text", key="k").expect(200)
    unblock(alice, bob)
    again = bob.send_raw(alice.username, "text", key="k").expect(200)
    assert again.field("idempotent-replay") == "true" and again.json() == first.json()
    assert alice.messages() == []


def test_the_blocker_may_write_and_the_other_way_stays_open(alice, bob):
    block(alice, bob)
    alice.send(bob, "from alice")
    bob.send(alice, "from bob")
    assert [entry["content"] for entry in bob.messages()] == ["from bob", "from alice"]
    assert [entry["content"] for entry in alice.messages()] == ["from alice"]
    bob.send(bob, "note")
    assert bob.messages()[0]["content"] == "note"


def told(account, before, count):
    """Waits until this many events came behind that many: how contacts are told, in the order of their ids."""
    cursor = now(account).split(":")[0] + f":{before}"
    events = []
    while len(events) < count:
        answer = poll(account, cursor, wait=30)
        events += answer["events"]
        cursor = answer["cursor"]
    return [{key: event[key] for key in event if key != "cursor"} for event in events]


def test_who_blocks_an_account_hears_of_its_new_name_and_keys_when_the_block_ends(api, alice, bob):
    """A new name is words, too. When dora has been told, alice and carl were passed."""
    carl, dora = api.create(), api.create()
    assert alice.user_id < carl.user_id < dora.user_id
    first = bob.username
    block(alice, bob)
    bob.send(alice)
    carl.send(bob)
    dora.send(bob)
    block(carl, bob)
    for _ in range(2):
        bob.rename(new_name("words"))
        bob.upload()
    assert [event["type"] for event in told(dora, 1, 4)] == ["account_renamed", "keys_changed"] * 2
    assert seq_of(now(alice)) == 0 and seq_of(now(carl)) == 1
    unblock(alice, bob)
    unblock(carl, bob)
    unblock(carl, bob)
    assert seq_of(now(alice)) == 0
    assert told(carl, 1, 2) == [{"type": "account_renamed", "from": first, "to": bob.username},
                                {"type": "keys_changed", "username": bob.username}]
    block(carl, bob)
    unblock(carl, bob)
    last = bob.username
    bob.rename(new_name("told"))
    assert told(carl, 3, 1) == [{"type": "account_renamed", "from": last, "to": bob.username}]
    assert seq_of(now(carl)) == 4


def renamed_while_blocked(api, blocker, account):
    """(the name that the blocker was told last, one who is told of everything)"""
    first, witness = account.username, api.create()
    blocker.send(account)
    witness.send(account)
    block(blocker, account)
    account.rename(new_name("words"))
    return first, witness


def test_a_name_that_was_taken_back_meanwhile_is_not_told(api, alice, bob):
    first, dora = renamed_while_blocked(api, alice, bob)
    bob.rename(first)
    told(dora, 1, 2)
    unblock(alice, bob)
    assert seq_of(now(alice)) == 1


def test_who_was_deleted_meanwhile_is_told_when_the_block_ends(api, alice, bob):
    first, dora = renamed_while_blocked(api, alice, bob)
    bob.delete_raw(bob.password).expect(204)
    told(dora, 1, 2)
    assert seq_of(now(alice)) == 1
    assert names(alice) == [f"deleted-{bob.user_id}"]
    unblock_raw(alice, f"deleted-{bob.user_id}").expect(204)
    assert told(alice, 1, 1) == [{"type": "account_renamed", "from": first, "to": f"deleted-{bob.user_id}"}]


def test_blocks_outlive_the_process(start):
    running = start()
    alice, bob = running.api.create(), running.api.create()
    block(alice, bob)
    before = blocks(alice)
    running.stop()
    running.start()
    alice.api = bob.api = running.api
    assert blocks(alice) == before
    bob.send(alice)
    assert alice.messages() == []
    bob.delete_raw(bob.password).expect(204)
    alice.delete_raw(alice.password).expect(204)
    with sqlite3.connect(f"file:{running.database}?mode=ro", uri=True) as database:
        while any(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                  for table in ("chore", "block", "withheld_message")):
            running.api.get("/health").expect(200)
