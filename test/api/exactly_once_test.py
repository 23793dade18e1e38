"""Exactly-once sends: Idempotency-Key and client_id."""

import concurrent.futures
import json
import threading

import pytest

from support import seen
from support.api import new_name
from support.http import SANITIZED, Connection, request_bytes

REPLAY = "Idempotent-Replay"
CONNECTIONS = 8
PIPELINE = 50
KEYS_THAT_MOVE = 8192  # RECENT_KEYS_DUE of src/store/sqlite/recent_keys.h


def check_replay(first, second):
    assert second.expect(200).json() == first.expect(200).json()
    assert first.field(REPLAY) is None, first.describe()
    assert second.field(REPLAY) == "true", second.describe()


def test_the_header_makes_a_repeat_a_replay(alice, bob):
    content, key = seen.new_content(), new_name("key")
    check_replay(*(alice.send_raw(bob.username, content, key) for _ in range(2)))
    assert len(bob.messages()) == 1 and len(alice.messages()) == 1


def test_the_member_does_the_same(alice, bob):
    content, key = seen.new_content(), new_name("key")
    check_replay(*(alice.send_raw(bob.username, content, client_id=key) for _ in range(2)))
    assert len(bob.messages()) == 1


def test_header_and_member_are_one_key(alice, bob):
    content, key = seen.new_content(), new_name("key")
    first = alice.send_raw(bob.username, content, key)
    check_replay(first, alice.send_raw(bob.username, content, client_id=key))
    check_replay(first, alice.send_raw(bob.username, content, key, client_id=key))


def test_header_and_member_must_agree(alice, bob):
    alice.send_raw(bob.username, seen.new_content(), "one", client_id="two") \
        .expect(400, "key_not_allowed")
    assert bob.messages() == []


@pytest.mark.parametrize("changed", ("content", "recipient", "case"))
def test_the_same_key_for_another_message(api, alice, changed):
    carol = api.create(new_name("Carol"))
    content, key = seen.new_content(), new_name("key")
    alice.send_raw(carol.username, content, key).expect(200)
    if changed == "content":
        answer = alice.send_raw(carol.username, content + ".", key)
    elif changed == "recipient":
        answer = alice.send_raw(new_name(), content, key)
    else:  # the same account, but not the body as it was sent
        answer = alice.send_raw(carol.username.lower(), content, key)
    answer.expect(409, "key_reused")
    assert len(carol.messages()) == 1


def test_where_one_member_ends_and_the_next_begins_counts(alice, api):
    """`to_username` "ab" with content "c" is not "a" with "bc"."""
    short, long = api.create("ambiguous"), api.create("ambiguousx")
    alice.send_raw(short.username, "xy", "key-a").expect(200)
    alice.send_raw(long.username, "y", "key-a").expect(409, "key_reused")


def test_keys_belong_to_their_sender(alice, bob):
    content = seen.new_content()
    for account in (alice, bob):
        assert account.send_raw(alice.username, content, "shared").expect(200).field(REPLAY) is None
    assert len(alice.messages()) == 2


@pytest.mark.parametrize("key", ("k" * 65, "", "a b", "é", "a\tb"),
                         ids=("65", "empty", "space", "not ASCII", "tab"))
def test_keys_that_are_refused(alice, bob, key):
    alice.send_raw(bob.username, seen.new_content(), key).expect(400, "key_not_allowed")
    alice.send_raw(bob.username, seen.new_content(), client_id=key).expect(400, "key_not_allowed")
    assert bob.messages() == []


@pytest.mark.parametrize("key", ("k" * 64, "!", "~\"'\\;,"), ids=("64", "one", "punctuation"))
def test_keys_that_are_taken(alice, bob, key):
    content = seen.new_content()
    check_replay(*(alice.send_raw(bob.username, content, key) for _ in range(2)))


def test_a_key_is_looked_up_before_the_recipient(api, alice):
    """A repeat is answered although the name it went to resolves to nobody by now."""
    carol = api.create()
    name, content = carol.username, seen.new_content()
    first = alice.send_raw(name, content, "moved")
    carol.rename(new_name())
    check_replay(first, alice.send_raw(name, content, "moved"))
    carol.delete_raw(carol.password).expect(204)
    check_replay(first, alice.send_raw(name, content, "moved"))


def test_a_refused_send_does_not_use_its_key_up(api, alice):
    name, content = new_name(), seen.new_content()
    alice.send_raw(name, content, "later").expect(404, "recipient_not_found")
    carol = api.create(name)
    assert alice.send_raw(name, content, "later").expect(200).field(REPLAY) is None
    assert len(carol.messages()) == 1


def test_two_at_once_make_one_message(alice, bob):
    rounds = 10 if SANITIZED else 40
    gate = threading.Barrier(4)

    def send(content, key):
        gate.wait(30)
        return alice.send_raw(bob.username, content, key)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for number in range(rounds):
            content = seen.new_content()
            answers = list(pool.map(send, [content] * 4, [f"race-{number}"] * 4))
            assert len({str(answer.expect(200).json()) for answer in answers}) == 1
            assert [answer.field(REPLAY) for answer in answers].count(None) == 1
    assert len(bob.messages()) == len(alice.messages()) == rounds


def test_a_key_outlives_a_restart_and_a_crash(start):
    server = start()
    alice, bob = server.api.create(), server.api.create()
    content = seen.new_content()
    first = alice.send_raw(bob.username, content, "kept")
    for end in (server.stop, server.kill):
        end()
        server.start()
        alice.api = bob.api = server.api
        check_replay(first, alice.send_raw(bob.username, content, "kept"))
        alice.send_raw(bob.username, content + ".", "kept").expect(409, "key_reused")
        assert len(bob.messages()) == 1


def test_keys_are_known_before_while_and_after_they_move(start):
    """As many as move together, and some more: of the first some are on the way then."""
    server = start()
    alice, bob = server.api.create(), server.api.create()
    ids = {}

    def send_share(numbers):
        answers = {}
        with Connection(server.port) as connection:
            for first in range(0, len(numbers), PIPELINE):
                some = numbers[first:first + PIPELINE]
                connection.send(b"".join(keyed_send(alice, bob, number) for number in some))
                for number in some:
                    answer = connection.answer("POST", "/api/messages/send").expect(200)
                    answers[number] = (answer.json()["message_id"], answer.field(REPLAY) == "true")
        return answers

    def send(numbers):
        """{number: (message id, whether it is a replay)}"""
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            shares = pool.map(send_share, [numbers[first::CONNECTIONS] for first in range(CONNECTIONS)])
            return {number: answer for share in shares for number, answer in share.items()}

    def check_known(step):
        assert send(list(range(0, len(ids), step))) == {number: (ids[number], True) for number in ids
                                                        if number % step == 0}

    for many in (KEYS_THAT_MOVE - 100, 1500):
        sent = send(list(range(len(ids), len(ids) + many)))
        assert not any(is_replay for _, is_replay in sent.values())
        ids |= {number: message for number, (message, _) in sent.items()}
        check_known(97)
    assert len(set(ids.values())) == len(ids)
    server.kill()
    server.start()
    check_known(7)


def keyed_send(sender, recipient, number):
    body = json.dumps({"to_username": recipient.username, "content": f"message {number}"}).encode()
    return request_bytes("POST", "/api/messages/send", [
        ("Authorization", f"Bearer {sender.token}"), ("Content-Type", "application/json"),
        ("Idempotency-Key", f"{number * 7919 % 100003}-{number}")], body)
