"""Sixty-four clients sending to each other: every log dense, every unread count a recount."""

import collections
import concurrent.futures
import random
import threading

import pytest

from support import seen
from support.http import SANITIZED

CLIENTS = 64
SENDS_EACH = 12 if SANITIZED else 40
SEED = random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="module")
def crowd(api):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: api.create(), range(CLIENTS)))


@pytest.fixture(scope="module")
def ledger(crowd):
    """[(sender, recipient, message id, content)] of everything sent, by place in `crowd`."""
    sent, lock, gate = [], threading.Lock(), threading.Barrier(CLIENTS)

    def run(place):
        choose = random.Random(SEED * CLIENTS + place)
        gate.wait(60)
        mine = []
        for _ in range(SENDS_EACH):
            to = choose.randrange(CLIENTS) if choose.random() > 0.1 else place
            answer = crowd[place].send(crowd[to])
            mine.append((place, to, answer["message_id"], answer["content"]))
        crowd[place].api.drop()
        with lock:
            sent.extend(mine)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(run, range(CLIENTS)))
    return sent


def test_every_message_has_its_own_id(ledger):
    ids = [message_id for _, _, message_id, _ in ledger]
    assert len(set(ids)) == len(ids) == CLIENTS * SENDS_EACH, f"seed {SEED}"


def test_every_log_is_dense_and_has_each_message_once(crowd, ledger):
    for place, account in enumerate(crowd):
        wanted = {message_id: (crowd[sender].username, crowd[to].username, content)
                  for sender, to, message_id, content in ledger if place in (sender, to)}
        entries = account.messages()
        assert [e["seq"] for e in entries] == list(range(len(entries), 0, -1)), f"seed {SEED}"
        assert len(entries) == len(wanted), f"seed {SEED}"
        assert {e["id"]: (e["from_username"], e["to_username"], e["content"]) for e in entries} \
            == wanted, f"seed {SEED}"


def test_one_senders_messages_keep_their_order(crowd, ledger):
    """Who sends one after the other finds them in that order in every log."""
    for place, account in enumerate(crowd):
        mine = [message_id for sender, _, message_id, _ in ledger if sender == place]
        shown = [e["id"] for e in reversed(account.messages())
                 if e["from_username"] == account.username]
        assert shown == mine, f"seed {SEED}"


def test_every_unread_count_equals_a_recount(crowd, ledger):
    for place, account in enumerate(crowd):
        wanted = collections.Counter()
        for sender, to, _, _ in ledger:
            if place in (sender, to):
                other = to if sender == place else sender
                wanted[crowd[other].username] += int(to == place != sender)
        assert account.unread() == dict(wanted), f"seed {SEED}"


def test_marks_beside_sends_lose_and_double_nothing(crowd, ledger):
    """While everybody sends, everybody marks: what was marked and what is still unread add up to
    what was received."""
    received = collections.Counter((sender, to) for sender, to, _, _ in ledger if sender != to)
    marked, lock, gate = collections.Counter(), threading.Lock(), threading.Barrier(CLIENTS)
    circle = [account.username for account in crowd]

    def run(place):
        choose = random.Random(~(SEED * CLIENTS + place))
        own_received, own_marked = collections.Counter(), collections.Counter()
        gate.wait(60)
        for _ in range(SENDS_EACH):
            # A few partners only, so that marks and sends meet.
            other = (place + choose.choice((1, 2, 3, CLIENTS - 1))) % CLIENTS
            if choose.random() < 0.5:
                crowd[place].send(circle[other])
                own_received[place, other] += 1
            else:
                own_marked[other, place] += crowd[place].mark_read(circle[other])
        crowd[place].api.drop()
        with lock:
            received.update(own_received)
            marked.update(own_marked)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(run, range(CLIENTS)))
    for place, account in enumerate(crowd):
        for name, unread in account.unread().items():
            pair = (circle.index(name), place)
            assert marked[pair] + unread == received[pair], f"{pair}, seed {SEED}"


def test_everything_read_is_read(crowd, ledger):
    for account in crowd[:8]:
        for name in account.unread():
            account.mark_read(name)
        assert set(account.unread().values()) <= {0}


def test_names_are_given_once(api):
    """Many creating one name at once: one gets it."""
    for number in range(5):
        name = f"wanted{number}"
        forms = [name, name.upper(), name.title(), name]
        gate = threading.Barrier(len(forms))

        def create(form, gate=gate):
            gate.wait(30)
            return api.create_raw(form, seen.new_password())

        with concurrent.futures.ThreadPoolExecutor(len(forms)) as pool:
            answers = list(pool.map(create, forms))
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]


def test_two_password_changes_at_once(start):
    """Both present the right current password; one wins, the other learns that it came late."""
    api = start(MIGCHAT_PASSWORD_COST=9).api
    account = api.create()
    gate = threading.Barrier(2)
    new = [seen.new_password(), seen.new_password()]

    def change(password):
        gate.wait(30)
        return account.password_raw(account.password, password)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(change, new))
    statuses = sorted(answer.status for answer in answers)
    assert statuses in ([204, 401], [204, 409]), [answer.describe() for answer in answers]
    winner = new[0] if answers[0].status == 204 else new[1]
    api.login_raw(account.username, winner).expect(200)
    for loser in (account.password, new[0] if winner == new[1] else new[1]):
        api.login_raw(account.username, loser).expect(401)
