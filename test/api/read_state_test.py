"""Marking messages read."""

import pytest

from support.api import new_name

MARK = "/api/messages/mark-read"


def test_everything_is_marked_once(alice, bob):
    for _ in range(4):
        bob.send(alice)
    alice.send(bob)
    assert alice.mark_read_raw(bob.username).expect(200).json() == {"marked_read": 4}
    assert alice.mark_read(bob.username) == 0
    assert alice.unread() == {bob.username: 0}
    assert bob.unread() == {alice.username: 1}


def test_new_messages_are_unread_again(alice, bob):
    bob.send(alice)
    assert alice.mark_read(bob.username) == 1
    bob.send(alice)
    bob.send(alice)
    assert alice.unread() == {bob.username: 2}
    assert alice.mark_read(bob.username) == 2


def test_only_the_named_conversation(api, alice, bob):
    carol = api.create()
    bob.send(alice)
    carol.send(alice)
    assert alice.mark_read(bob.username) == 1
    assert alice.unread() == {bob.username: 0, carol.username: 1}
    assert alice.mark_read(carol.username.upper()) == 1


def test_up_to_a_place_in_the_log(alice, bob):
    for number in range(6):
        (alice if number in (1, 4) else bob).send(bob if number in (1, 4) else alice)
    # alice's log: received 1 3 4 6, sent 2 5
    assert alice.mark_read(bob.username, up_to=3) == 2
    assert alice.unread() == {bob.username: 2}
    assert alice.mark_read(bob.username, up_to=1) == 0
    assert alice.mark_read(bob.username, up_to=5) == 1
    assert alice.unread() == {bob.username: 1}
    assert alice.mark_read(bob.username, up_to=6) == 1
    assert alice.mark_read(bob.username) == 0


def test_marking_is_an_entry_of_the_log(alice, bob):
    """A read mark takes a place in both logs; one that changes nothing takes none."""
    bob.send(alice)
    alice.mark_read(bob.username)
    alice.mark_read(bob.username)
    bob.send(alice)
    for account in (alice, bob):
        assert [entry["seq"] for entry in account.messages()] == [3, 1]


def test_with_user_is_needed(alice):
    alice.mark_read_raw().expect(400, "with_user_missing")
    alice.post(MARK + "?withuser=x").expect(400, "with_user_missing")
    alice.mark_read_raw(new_name()).expect(404, "account_not_found")


def test_somebody_one_never_talked_to(alice, bob):
    assert alice.mark_read(bob.username) == 0


def test_an_absent_or_empty_body_is_none(alice, bob):
    target = f"{MARK}?with_user={bob.username}"
    for fields in ((), [("Content-Type", "application/json")], [("Content-Type", "text/plain")]):
        bob.send(alice)
        assert alice.post(target, body=b"", fields=fields).expect(200).json() == {"marked_read": 1}
    bob.send(alice)
    assert alice.post(target, {}).expect(200).json() == {"marked_read": 1}


@pytest.mark.parametrize("up_to", ("1", True, [], {}, 1.5), ids=str)
def test_up_to_of_the_wrong_type(alice, bob, up_to):
    bob.send(alice)
    response = alice.mark_read_raw(bob.username, {"up_to": up_to})
    response.expect((400, 422) if up_to == 1.5 else 422)
    assert alice.unread() == {bob.username: 1}


def test_null_is_an_absent_member_or_refused(alice, bob):
    """The contract leaves it open; half of either would be wrong."""
    bob.send(alice)
    response = alice.mark_read_raw(bob.username, {"up_to": None}).expect((200, 422))
    assert alice.unread() == {bob.username: 0 if response.status == 200 else 1}


@pytest.mark.parametrize("up_to", (-1, 9007199254740993, 1e300), ids=str)
def test_up_to_that_is_no_place(alice, bob, up_to):
    bob.send(alice)
    alice.mark_read_raw(bob.username, {"up_to": up_to}).expect((400, 422))
    assert alice.unread() == {bob.username: 1}


def test_up_to_an_entry_of_another_conversation_marks_nothing_else(api, alice, bob):
    """Refused, or taken as a place in the log: never marks beyond it, never carol's."""
    carol = api.create()
    bob.send(alice)
    carol.send(alice)
    bob.send(alice)
    response = alice.mark_read_raw(bob.username, {"up_to": 2})
    if response.status == 200:
        assert response.json() == {"marked_read": 1}
        assert alice.unread() == {bob.username: 1, carol.username: 1}
    else:
        response.expect(400, "seq_not_allowed")
        assert alice.unread() == {bob.username: 2, carol.username: 1}


def test_bodies_of_the_wrong_form(alice, bob):
    target = f"{MARK}?with_user={bob.username}"
    alice.post(target, []).expect(422, "body_shape")
    alice.post(target, body=b"{", fields=[("Content-Type", "application/json")]) \
        .expect(400, "json_malformed")
    alice.post(target, body=b"{}", fields=[("Content-Type", "text/plain")]) \
        .expect(415, "type_unsupported")
