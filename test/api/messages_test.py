"""Sending and listing messages."""

import json

import pytest

from support import seen
from support.api import CURSOR_FORM, TIME_FORM, new_name

SEND = "/api/messages/send"


def test_send_answers_id_and_time(alice, bob):
    answer = alice.send_raw(bob.username, seen.new_content()).expect(200).json()
    assert set(answer) == {"message_id", "created_at"}
    assert type(answer["message_id"]) is int and 0 < answer["message_id"] < 2 ** 53
    assert TIME_FORM.fullmatch(answer["created_at"])


def test_both_see_the_message_once(alice, bob):
    sent = alice.send(bob)
    for account in (alice, bob):
        (entry,) = account.messages()
        assert entry == {
            "id": sent["message_id"], "from_username": alice.username,
            "to_username": bob.username, "content": sent["content"],
            "created_at": sent["created_at"], "seq": 1}


def test_newest_first_and_dense(alice, bob):
    sent = [(alice if n % 3 else bob).send(bob if n % 3 else alice) for n in range(12)]
    for account in (alice, bob):
        entries = account.messages()
        assert [entry["id"] for entry in entries] == [s["message_id"] for s in reversed(sent)]
        assert [entry["seq"] for entry in entries] == list(range(12, 0, -1))
    ids = [s["message_id"] for s in sent]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)


def test_a_message_to_oneself_appears_once_and_is_never_unread(alice):
    sent = alice.send(alice)
    (entry,) = alice.messages()
    assert entry["id"] == sent["message_id"]
    assert (entry["from_username"], entry["to_username"]) == (alice.username, alice.username)
    assert alice.unread() == {alice.username: 0}
    assert alice.filtered(alice.username) == [entry]
    assert alice.mark_read(alice.username) == 0


CONTENTS = {
    "one byte": "x", "a space": " ", "quotes and backslashes": "\"\\/'`", "lines": "a\r\nb\tc",
    "control characters": "\u0001\u001f\u007f", "astral": "😀𝄞", "markup": "<script>&amp;</script>",
    "line separators": "\u2028\u2029", "noncharacter": "\uffff", "right to left": "\u202eabc",
    "looks like an escape": "\\u0000 \\n", "JSON": '{"a":[1,2]}',
    "64 KiB": "x" * 65536, "64 KiB of quotes": '"' * 65536, "64 KiB of emoji": "😀" * 16384,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_contents_come_back_as_they_were_sent(alice, bob, content):
    alice.send(bob, content)
    assert bob.messages()[0]["content"] == content
    assert bob.conversations()[0]["last_message"] == content


def test_escapes_of_json_mean_what_they_say(alice, bob):
    body = ('{"to_\\u0075sername":' + json.dumps(bob.username)
            + ',"content":"\\ud83d\\ude00\\u0041\\/\\b\\f"}').encode()
    alice.post(SEND, body=body, fields=[("Content-Type", "application/json")]).expect(200)
    assert bob.messages()[0]["content"] == "😀A/\b\f"


def test_contents_that_are_refused(alice, bob):
    alice.send_raw(bob.username, "").expect(400, "content_empty")
    alice.send_raw(bob.username, "x" * 65537).expect(413, "content_too_long")
    alice.send_raw(bob.username, "😀" * 16385).expect(413, "content_too_long")
    assert bob.messages() == [] and alice.messages() == []


def test_a_recipient_nobody_is(alice):
    alice.send_raw(new_name(), seen.new_content()).expect(404, "recipient_not_found")
    alice.send_raw("", seen.new_content()).expect(404, "recipient_not_found")
    alice.send_raw("a/b %", seen.new_content()).expect(404, "recipient_not_found")
    assert alice.messages() == []


def test_the_recipients_name_in_another_case(api, alice):
    carol = api.create(new_name("Carol"))
    alice.send(carol.username.lower())
    (entry,) = carol.messages()
    assert entry["to_username"] == carol.username


def test_a_name_in_the_right_case_goes_before_others(api, alice):
    """Names unique but for non-ASCII case are exact names."""
    stem = new_name()
    low, high = api.create(stem + "é"), api.create(stem + "É")
    alice.send(low)
    assert len(low.messages()) == 1 and high.messages() == []


@pytest.mark.parametrize("body", [
    {}, [], None, "x", {"content": "x"}, {"to_username": "x"}, {"to_username": 1, "content": "x"},
    {"to_username": True, "content": "x"}, {"to_username": None, "content": "x"},
    {"to_username": [], "content": "x"}, {"to_username": "x", "content": 1},
    {"to_username": "x", "content": None}, {"to_username": "x", "content": {}},
    {"to_username": "x", "content": "y", "client_id": 5}], ids=str)
def test_bodies_of_the_wrong_shape(alice, body):
    alice.post(SEND, body).expect(422, "body_shape")


def test_unknown_members_are_ignored(alice, bob):
    alice.send_raw(bob.username, seen.new_content(), from_username="x", id=7).expect(200)


def test_lists_say_their_moment(alice, bob):
    for target in ("/api/messages", "/api/messages?limit=1", "/api/messages/filtered",
                   f"/api/messages/filtered?with_user={bob.username}", "/api/conversations"):
        match = CURSOR_FORM.fullmatch(alice.get(target).expect(200).field("migchat-cursor", ""))
        assert match and int(match.group(2)) == 0, target
    alice.send(bob)
    alice.send(bob)
    epochs = set()
    for target in ("/api/messages", "/api/messages?limit=1", "/api/messages/filtered",
                   f"/api/messages/filtered?with_user={bob.username}", "/api/conversations"):
        for account in (alice, bob):
            if account is bob:
                target = target.replace(bob.username, alice.username)
            response = account.get(target).expect(200)
            match = CURSOR_FORM.fullmatch(response.field("migchat-cursor", ""))
            assert match and int(match.group(2)) == 2, response.describe()
            epochs.add(match.group(1))
    assert len(epochs) == 1


def test_answers_are_not_stored_and_never_compressed(alice, bob):
    alice.send(bob)
    for target in ("/api/messages", "/api/conversations", "/api/account", "/api/sessions",
                   "/api/messages/filtered", "/api/keys"):
        response = alice.get(target, fields=[("Accept-Encoding", "gzip, br")]).expect(200)
        assert response.field("cache-control") == "no-store", response.describe()
        assert response.field("content-encoding") is None
        assert response.field("content-type", "").split(";")[0] == "application/json"
    assert alice.send_raw("", "x").field("cache-control") == "no-store"


def test_filtered_shows_one_conversation(api, alice, bob):
    carol = api.create()
    with_bob = [alice.send(bob), bob.send(alice), alice.send(bob)]
    with_carol = [carol.send(alice)]
    to_self = [alice.send(alice)]
    for other, sent in ((bob, with_bob), (carol, with_carol), (alice, to_self)):
        assert [e["id"] for e in alice.filtered(other.username)] \
            == [s["message_id"] for s in reversed(sent)]
        assert [e["id"] for e in alice.filtered(other.username.upper())] \
            == [s["message_id"] for s in reversed(sent)]
    assert alice.filtered() == alice.messages()
    assert bob.filtered(carol.username) == []
    alice.get(f"/api/messages/filtered?with_user={new_name()}").expect(404, "account_not_found")
    alice.get("/api/messages/filtered?with_user=").expect((400, 404))
