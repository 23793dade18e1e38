"""Messages too long to stand in two logs: stored once, read everywhere as any other, gone with the last
account that has them."""
import sqlite3
import time

import pytest

from support import server
from support.api import new_name
from support.events import events_since, now

LIMIT = 256  # bytes in JSON: what is longer stands once
LENGTHS = (LIMIT - 1, LIMIT, LIMIT + 1, 468, 5_000, 60_000)
GONE_WITHIN_S = 20


def content(number, length):
    """ASCII, so that it has as many bytes in JSON; it begins with what no other has."""
    head = f"content {number} of {length} "
    return head + "c" * (length - len(head))


CONTENTS = [content(number, length) for number, length in enumerate(LENGTHS)]


def contents(entries):
    return [entry["content"] for entry in entries]


def in_file(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return database.execute(sql).fetchone()[0]


def check_whole(running):
    """Stopped, it verifies: every content is there and counts its messages."""
    running.stop()
    done = server.run("verify", running.database)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def running(start):
    return start()


@pytest.fixture
def pair(running):
    return running.api.create(new_name("ann")), running.api.create(new_name("bob"))


def test_both_read_them_in_every_view(running, pair):
    ann, bob = pair
    before = now(bob)
    for each in CONTENTS:
        ann.send(bob, each)
    newest_first = CONTENTS[::-1]
    for own, other in ((ann, bob), (bob, ann)):
        assert contents(own.messages()) == newest_first
        assert contents(own.filtered(with_user=other.username)) == newest_first
        (conversation,) = own.conversations()
        assert conversation["last_message"] == CONTENTS[-1]
        for limit in (1, 2, 5):
            assert contents(own.messages(limit=limit)) == newest_first[:limit]
    told = [event["message"]["content"] for event in events_since(bob, before) if event["type"] == "message"]
    assert told == CONTENTS
    long = [each for each in CONTENTS if len(each) > LIMIT]
    assert in_file(running.database, "SELECT sum(length(text)) FROM content") == sum(map(len, long))
    check_whole(running)


def test_escapes_count_as_they_are_stored(running, pair):
    ann, bob = pair
    texts = ['"' * (LIMIT // 2), '"' * (LIMIT // 2 + 1), "\x01" * 43, "é" * 300, "\u2028" * 90]
    for text in texts:
        ann.send(bob, text)
    assert contents(bob.messages()) == texts[::-1]
    assert contents(ann.messages()) == texts[::-1]
    assert in_file(running.database, "SELECT count(*) FROM content") == 4
    check_whole(running)


def test_to_oneself_and_to_who_blocks(running, pair):
    ann, bob = pair
    bob.api.request("PUT", f"/api/blocks/{ann.username}", bob.token).expect(204)
    ann.send(bob, CONTENTS[-1])
    ann.send(ann, CONTENTS[-2])
    assert contents(ann.messages()) == [CONTENTS[-2], CONTENTS[-1]]
    assert bob.messages() == []
    assert in_file(running.database, "SELECT group_concat(entries) FROM content") == "1,1"
    check_whole(running)


def test_sent_again_with_the_same_key_it_stands_once(running, pair):
    ann, bob = pair
    first = ann.send(bob, CONTENTS[-1], key="one")
    assert ann.send(bob, CONTENTS[-1], key="one") == first
    assert in_file(running.database, "SELECT count(*) FROM content") == 1
    check_whole(running)


def test_it_goes_with_the_last_account_that_has_it(running, pair):
    ann, bob = pair
    for each in CONTENTS:
        ann.send(bob, each)
    ann.send(ann, "to myself alone " * 40)
    bob.delete_raw(bob.password).expect(204)
    wait_for(running, "SELECT count(*) FROM log WHERE kind = 2", 0)
    assert contents(ann.messages())[1:] == CONTENTS[::-1]
    assert in_file(running.database, "SELECT group_concat(DISTINCT entries) FROM content") == "1"
    ann.delete_raw(ann.password).expect(204)
    wait_for(running, "SELECT count(*) FROM log", 0)
    assert in_file(running.database, "SELECT count(*) FROM content") == 0
    check_whole(running)
    with open(running.database, "rb") as file:
        stored = file.read()
    for each in [*CONTENTS, "to myself alone to myself"]:
        assert each[:24].encode() not in stored


def wait_for(running, sql, expected):
    ends_at = time.monotonic() + GONE_WITHIN_S
    while in_file(running.database, sql) != expected:
        assert time.monotonic() < ends_at, sql
        time.sleep(0.05)


def test_a_restart_keeps_them(running, pair, start):
    ann, bob = pair
    for each in CONTENTS:
        ann.send(bob, each)
    running.kill()
    again = start()
    for own in (ann, bob):
        own.api = again.api
        assert contents(own.messages()) == CONTENTS[::-1]
