"""Lists are given again without the database while nothing changed: never one from before a write
that its asker, or anybody else, was told of."""

import concurrent.futures
import threading

from support.http import SANITIZED

ROUNDS = 40 if SANITIZED else 150


def tag_of(response):
    return dict((name.lower(), value) for name, value in response.fields)["etag"]


def test_a_list_asked_twice_is_the_same_and_a_write_changes_it(alice, bob):
    alice.send(bob)
    first = bob.get("/api/messages").expect(200)
    again = bob.get("/api/messages").expect(200)
    assert first.body == again.body and tag_of(first) == tag_of(again)
    sent = alice.send(bob)
    assert bob.messages()[0]["id"] == sent["message_id"]
    assert bob.conversations()[0]["last_message"] == sent["content"]
    assert bob.unread() == {alice.username: 2}
    bob.mark_read(alice.username)
    assert bob.unread() == {alice.username: 0}


def test_a_rename_shows_at_once(alice, bob):
    alice.send(bob)
    assert bob.messages()[0]["from_username"] == alice.username
    assert bob.messages()[0]["from_username"] == alice.username
    new_name = alice.username + "x"
    alice.rename(new_name)
    assert bob.messages()[0]["from_username"] == new_name
    assert bob.conversations()[0]["username"] == new_name


def test_an_ended_session_is_told_nothing_any_more(api, alice):
    other = api.login(alice.username, alice.password)
    for _ in range(3):
        other.get("/api/messages").expect(200)
        alice.get("/api/messages").expect(200)
    other.post("/api/account/logout").expect(204)
    other.get("/api/messages").expect(401, "token_invalid")
    alice.get("/api/messages").expect(200)
    third = api.login(alice.username, alice.password)
    for _ in range(2):
        third.get("/api/messages").expect(200)
    alice.password_raw(alice.password, "another password").expect(204)
    third.get("/api/messages").expect(401, "token_invalid")


def test_what_was_acknowledged_is_in_the_next_list_of_both(api):
    """Pairs write to each other as fast as they can; between writes all poll what may be kept."""
    pairs = [(api.create(), api.create()) for _ in range(4)]
    begin = threading.Barrier(2 * len(pairs))

    def talk(me, you):
        begin.wait(timeout=60)
        for _ in range(ROUNDS):
            sent = me.send(you)["message_id"]
            for reader in (me, you):
                for target in ("/api/messages?limit=50", "/api/messages"):
                    ids = [message["id"] for message in reader.get(target).expect(200).json()]
                    assert sent in ids[:60], (target, sent, ids[:3])
                    assert ids == sorted(ids, reverse=True)

    with concurrent.futures.ThreadPoolExecutor(2 * len(pairs)) as pool:
        talks = [pool.submit(talk, *order) for one, two in pairs for order in ((one, two), (two, one))]
        for talking in talks:
            talking.result()
