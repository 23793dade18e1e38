"""GET /api/conversations: one row an account, the latest first."""

from support.api import TIME_FORM


def test_nobody_to_show(alice):
    assert alice.conversations() == []


def test_a_row_shows_the_last_message(alice, bob):
    alice.send(bob)
    sent = bob.send(alice)
    (row,) = alice.conversations()
    assert row == {"username": bob.username, "last_message": sent["content"],
                   "last_message_time": sent["created_at"], "unread_count": 1}
    assert TIME_FORM.fullmatch(row["last_message_time"])
    (row,) = bob.conversations()
    assert (row["username"], row["last_message"], row["unread_count"]) \
        == (alice.username, sent["content"], 1)


def test_the_latest_comes_first(api, alice):
    others = [api.create() for _ in range(6)]
    for other in others:
        other.send(alice)
    assert [row["username"] for row in alice.conversations()] \
        == [other.username for other in reversed(others)]
    alice.send(others[2])
    alice.send(alice)
    assert [row["username"] for row in alice.conversations()][:3] \
        == [alice.username, others[2].username, others[5].username]


def test_reading_does_not_change_the_order(api, alice):
    others = [api.create() for _ in range(3)]
    for other in others:
        other.send(alice)
    alice.mark_read(others[0].username)
    assert [row["username"] for row in alice.conversations()] \
        == [other.username for other in reversed(others)]


def test_unread_counts_what_was_received_only(alice, bob):
    for _ in range(3):
        alice.send(bob)
    for _ in range(2):
        bob.send(alice)
    assert alice.unread() == {bob.username: 2}
    assert bob.unread() == {alice.username: 3}


def test_a_limit_gives_the_first_rows(api, alice):
    others = [api.create() for _ in range(5)]
    for other in others:
        other.send(alice)
    full = alice.conversations()
    for limit in (1, 4, 5, 1000):
        assert alice.conversations(limit=limit) == full[:limit]
