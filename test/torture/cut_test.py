"""Cut anywhere, and restarted after kill -9: what a client saw of its log is the log, in order, once,
complete, on each transport and when it changes between them."""

import json
import threading
import time

import pytest

from support import seen, torture
from support.api import new_name, with_query
from support.cuts import TRANSPORTS, Cut
from support.events import events_since, now, poll, seq_of
from support.http import ANSWER_DEADLINE_S, SLOWNESS, Closed, Connection, Silent, request_bytes

LATEST_S = 8 * SLOWNESS  # for what takes a millisecond; a poll's wait and a heartbeat are longer
NAMES = tuple(TRANSPORTS)


# ---- every byte ---------------------------------------------------------------------------------

@pytest.fixture(scope="module", name="recorded")
def fixture_recorded(api):
    """alice, whose log has an entry of each kind behind the cursor, and all of them."""
    alice, bob, carol = (api.create() for _ in range(3))
    other = api.login(alice.username, alice.password)
    begun = now(alice)
    for number in range(3):
        bob.send(alice, seen.new_content("\u00e4 \u2028 \" \U0001f600 \x01" * number))
        alice.send(carol)
    alice.send(alice)
    alice.mark_read(bob.username)
    carol.mark_read(alice.username)
    bob.upload([f"key{number}" for number in range(6)])
    alice.upload([f"key{number}" for number in range(6)])
    bob.claim(alice.username)
    other.post("/api/account/logout").expect(204)
    carol.rename(new_name("qu'o\"te"))
    bob.send(alice, seen.new_content("m" * 700))
    deadline_s = time.monotonic() + ANSWER_DEADLINE_S
    while {"message", "read", "account_renamed", "keys_changed", "keys_low", "session_ended"} \
            - {event["type"] for event in events_since(alice, begun)}:
        assert time.monotonic() < deadline_s, "chores do not tell"
    return alice, begun, events_since(alice, begun)


@pytest.mark.parametrize("name", NAMES)
def test_cut_after_every_byte_it_goes_on_where_it_was(server, recorded, tell, name):
    alice, begun, log = recorded
    chance = torture.chance(name)
    transport = TRANSPORTS[name]
    head = log[-1]["cursor"]

    def taken(kind, cursor, count=1 << 30, by_reset=False):
        """So many bytes, unless that is all: the head is seen then."""
        cut = Cut(server.port, TRANSPORTS[kind].request(alice.token, cursor, chance))
        cut.read(count, is_enough=lambda raw: TRANSPORTS[kind].is_over(raw)
                 or TRANSPORTS[kind].seen(raw, cursor)[1] == head)
        cut.cut(by_reset)
        return cut.raw

    # What is asked for differs a little from time to time. For a poll, one answer is the stream.
    length = max(len(taken(name, begun)) for _ in range(8))
    step = torture.size(length // 200, 1)
    places = range(chance.randrange(step), length, step)
    for place in places:
        raw = taken(name, begun, place, by_reset=place % 2 == 0)
        assert len(raw) <= place
        got, cursor = transport.seen(raw, begun)
        while cursor != head:
            kind = chance.choice(NAMES)
            events, cursor = TRANSPORTS[kind].seen(taken(kind, cursor), cursor)
            got += events
        assert got == log, f"cut after {place} bytes"
    tell(f"{len(log)} events are {length} bytes; cut after {len(places)} of them")


# ---- handing over -------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_while_it_opens_is_told(server, api, tell, name):
    """One entry for each, written as it comes to follow; nothing later would wake it."""
    chance = torture.chance("opening", name)
    transport = TRANSPORTS[name]
    bob, *accounts = (api.create() for _ in range(33))
    cursors = [now(account) for account in accounts]
    rounds, longest_s = torture.size(120, 600), 0
    with Connection(server.port) as sender:
        for _ in range(rounds):
            cuts = [Cut(server.port, b"") for _ in accounts]
            # One event is of many writes: which come before which opening is another each time.
            ahead = chance.randrange(-8, 9)
            for number in range(-8, len(accounts) + 8):
                if 0 <= number < len(accounts):
                    cuts[number].send(opening(name, accounts[number], cursors[number], chance))
                if 0 <= number + ahead < len(accounts):
                    sender.send(sending(bob, accounts[number + ahead]))
            sent_s = time.monotonic()
            for number, cut in enumerate(cuts):
                sent = sender.answer("POST", "/api/messages/send").expect(200).json()
                cursor = cursors[number]
                cut.read(1 << 30, sent_s + LATEST_S, lambda raw, old=cursor: transport.seen(raw, old)[1] != old)
                longest_s = max(longest_s, time.monotonic() - sent_s)
                cut.cut()
                events, cursors[number] = transport.seen(cut.raw, cursor)
                assert [event["message"]["id"] for event in events] == [sent["message_id"]]
    tell(f"{rounds * len(accounts)} entries written while their readers came; "
         f"the last to come took {longest_s * 1000:.1f} ms")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ("/api/messages", "/api/messages/filtered", "/api/conversations"))
def test_a_list_and_what_comes_behind_its_cursor_are_everything(server, api, tell, path, name):
    """While somebody sends: what a list shows is what was written up to its cursor, and the rest follows."""
    chance = torture.chance("lists", path, name)
    transport = TRANSPORTS[name]
    alice, bob = api.create(), api.create()
    sent, told, stops = [], [], threading.Event()
    target = with_query(path, with_user=bob.username) if path.endswith("filtered") else path

    def send():
        while not stops.is_set():
            sent.append(bob.send(alice)["message_id"])

    bob.send(alice)
    first = alice.messages()[0]["id"]
    sender = threading.Thread(target=send)
    sender.start()
    rounds = torture.size(15, 300)
    try:
        for _ in range(rounds):
            response = alice.get(target).expect(200)
            count, cursor = len(sent), response.field("migchat-cursor")
            if path == "/api/conversations":
                shown = response.json()[0]["unread_count"]  # alice reads nothing
            else:
                shown = len({row["id"] for row in response.json()} - {first}) + 1
            assert shown == seq_of(cursor)
            while count >= len(sent):
                assert sender.is_alive()
                time.sleep(0.001)  # bob's next: what is followed has something to tell
            cut = Cut(server.port, transport.request(alice.token, cursor, chance))
            cut.read(1 << 30, is_enough=lambda raw, old=cursor: transport.is_over(raw)
                     or transport.seen(raw, old)[1] != old)
            cut.cut()
            events, _ = transport.seen(cut.raw, cursor)
            told.append((shown, [event["message"]["id"] for event in events]))
    finally:
        stops.set()
        sender.join()
    for shown, ids in told:
        assert ids == sent[shown - 1:shown - 1 + len(ids)], "the events go on where the list ends"
    tell(f"{rounds} lists while {len(sent)} messages were sent")


def opening(name, account, cursor, chance):
    if name != "poll":
        return TRANSPORTS[name].request(account.token, cursor, chance)
    return request_bytes("GET", with_query("/api/events", since=cursor, wait=20),
                         [("Authorization", f"Bearer {account.token}")])


def sending(sender, to):
    body = json.dumps({"to_username": to.username, "content": seen.new_content()}).encode()
    return request_bytes("POST", "/api/messages/send", [
        ("Authorization", f"Bearer {sender.token}"), ("Content-Type", "application/json")], body)


# ---- stalls -------------------------------------------------------------------------------------

@pytest.mark.parametrize("kinds", (("stream",), ("socket",), NAMES), ids="-".join)
def test_cut_after_it_stalled_within_an_event_it_saw_the_log(server, api, tell, kinds):
    """Events that are longer than a socket takes: a rest is kept, and written when it is read on."""
    chance = torture.chance("stalls", kinds)
    alice, bob = api.create(), api.create()
    begun = cursor = now(alice)
    texts = [seen.new_content("\x01" * chance.randrange(40000)) for _ in range(torture.size(24, 400))]
    for text in texts:
        bob.send(alice, text)  # six times as long, escaped
    got, cuts, count = [], 0, 0
    while len(got) < len(texts):
        kind = chance.choice(kinds)
        transport = TRANSPORTS[kind]
        cut = Cut(server.port, transport.request(alice.token, cursor, chance), receive_buffer=4096)
        budget = chance.randrange(800 << 10)
        while len(cut.raw) < budget and not transport.is_over(cut.raw) and not cut.has_ended:
            time.sleep(0.01)  # it stalls: the case, nothing is waited for
            cut.read(len(cut.raw) + chance.randrange(1 << 20), time.monotonic() + 1, transport.is_over)
            if len(got) + len(transport.seen(cut.raw, cursor)[0]) == len(texts):
                break
        cut.cut(by_reset=chance.randrange(2) == 1)
        events, cursor = transport.seen(cut.raw, cursor)
        got += events
        cuts += 1
        count += len(cut.raw)
    assert [event["message"]["content"] for event in got] == texts
    assert got == events_since(alice, begun)
    tell(f"{len(texts)} events of up to 240 KB, {cuts} cuts, {count >> 20} MiB")


# ---- random moments, and kill -9 ----------------------------------------------------------------

class Persistent:
    """Somebody who repeats a request until it is answered, over restarts, as clients do."""

    def __init__(self, server, account, names):
        self.server = server
        self.account = account
        self.names = names  # every name ever tried -> whose it is
        self.names[account.username] = account.user_id
        self.connection = None
        self.sent_ids = []
        self.repeated = 0

    def ask(self, method, target, body=None, fields=()):
        deadline_s = time.monotonic() + 4 * ANSWER_DEADLINE_S
        fields = [("Authorization", f"Bearer {self.account.token}"), *fields]
        if body is not None:
            fields.append(("Content-Type", "application/json"))
            body = json.dumps(body).encode()
        while True:
            try:
                if self.connection is None:
                    self.connection = Connection(self.server.port)
                self.connection.send(request_bytes(method, target, fields, body or b""))
                response = self.connection.answer(method, target)
                if response.status < 500:
                    return response
            except (Closed, Silent, OSError):
                pass
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            self.repeated += 1
            assert time.monotonic() < deadline_s, f"{method} {target} is never answered"
            time.sleep(0.005)  # it may be restarting: nothing to wait on

    def send(self, to, text):
        key = [("Idempotency-Key", f"key-{seen.new_content()}")]
        body = {"to_username": to.account.username, "content": text}
        response = self.ask("POST", "/api/messages/send", body, key)
        if response.status == 404:
            return  # it has another name by now
        self.sent_ids.append(response.expect(200).json()["message_id"])

    def mark_read(self, of):
        self.ask("POST", with_query("/api/messages/mark-read", with_user=of.account.username)).expect((200, 404))

    def rename(self):
        name = new_name()
        self.names[name] = self.account.user_id
        # Held names are few; a repeat of one that was done finds it done.
        if self.ask("POST", "/api/account/update-username", {"new_username": name}).status == 200:
            self.account.username = name

    def upload(self):
        bundle = {"identity_key": "identity", "signed_prekey": "prekey",
                  "signed_prekey_signature": "signature", "one_time_prekeys": []}
        self.ask("POST", "/api/keys/upload", {"key_bundle": bundle}).expect(200)


class Life:
    """Others who write, read, rename and upload, until it ends."""

    def __init__(self, server, alice, people, names):
        self.server = server
        self.stops = threading.Event()
        self.faults = []
        self.people = [Persistent(server, account, names) for account in people]
        self.alice = [Persistent(server, alice, names) for _ in people]
        self.threads = [threading.Thread(target=self._live, args=(number,))
                        for number in range(len(people))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stops.set()
        for thread in self.threads:
            thread.join()

    def _live(self, number):
        chance = torture.chance("life", number)
        other, alice = self.people[number], self.alice[number]
        try:
            while not self.stops.is_set():
                act = chance.randrange(100)
                text = seen.new_content("x" * min(int(chance.expovariate(1 / 300)), 20000))
                if act < 55:
                    other.send(alice, text)
                elif act < 80:
                    alice.send(other, text)
                elif act < 88:
                    alice.mark_read(other)
                elif act < 95:
                    other.mark_read(alice)
                elif act < 98:
                    other.upload()
                else:
                    other.rename()
        except BaseException as fault:  # told by the test's own thread
            self.faults.append(fault)
            raise

    def sent_ids(self):
        return [number for each in self.people + self.alice for number in each.sent_ids]


def by_person(event, names):
    """Names are those of the moment of reading: what is compared is whose they are."""
    event = {name: value for name, value in event.items()}
    if event["type"] == "message":
        event["message"] = {**event["message"],
                            **{name: names[event["message"][name]] for name in ("from_username", "to_username")}}
    for name in {"read": ("by", "from"), "keys_changed": ("username",)}.get(event["type"], ()):
        event[name] = names[event[name]]
    return event


def follow_once(server, kind, token, cursor, chance, dies):
    """One connection until its cut: the events seen, where to go on, how many bytes."""
    transport = TRANSPORTS[kind]
    receive_buffer = chance.choice((None, None, 2048))
    cut = Cut(server.port, transport.request(token, cursor, chance), receive_buffer)
    is_by_bytes = chance.randrange(2)
    budget = 1 + int(chance.expovariate(1 / 4000)) if is_by_bytes else 1 << 30
    moment_s = time.monotonic() + chance.random() * (0.2 if is_by_bytes else 0.04)
    if chance.randrange(5) == 0:
        time.sleep(0.01)  # it stalls: the case, nothing is waited for
    cut.read(budget, moment_s, transport.is_over)
    if dies:
        server.kill()
        cut.read(1 << 30)
        assert cut.has_ended
    cut.cut(by_reset=chance.randrange(2) == 1)
    return *transport.seen(cut.raw, cursor), len(cut.raw)


@pytest.mark.parametrize("kinds", [*((name,) for name in NAMES), NAMES], ids="-".join)
def test_cut_at_random_moments_and_killed_it_saw_the_log(start, tell, kinds):
    server = start()
    chance = torture.chance(kinds)
    alice, *people = (server.api.create() for _ in range(4))
    names = {}
    begun = cursor = now(alice)
    cuts, kills = torture.size(15, 1000), torture.size(2, 50)
    deadly = set(chance.sample(range(cuts), kills))
    got, taken_bytes = [], 0
    with Life(server, alice, people, names) as life:
        for number in range(cuts):
            events, cursor, count = follow_once(server, chance.choice(kinds), alice.token, cursor, chance,
                                                number in deadly)
            got += events
            taken_bytes += count
            if number in deadly:
                server.start()
            assert not life.faults, life.faults
    alice.api = server.api
    while (answer := poll(alice, cursor, limit=1000))["events"]:
        got += answer["events"]
        cursor = answer["cursor"]
    got = [event for event in got if event["type"] not in ("typing", "reconnect")]
    first = seq_of(begun) + 1
    assert [seq_of(event["cursor"]) for event in got] == list(range(first, first + len(got)))
    log = events_since(alice, begun, limit=1000)[:len(got)]
    assert [by_person(event, names) for event in got] == [by_person(event, names) for event in log]
    told = sorted(event["message"]["id"] for event in got if event["type"] == "message")
    assert told == sorted(life.sent_ids()), "what was acknowledged, and nothing else, exactly once"
    kinds_seen = {kind: sum(event["type"] == kind for event in got) for kind in sorted({e["type"] for e in got})}
    tell(f"{cuts} cuts, {kills} kills, {taken_bytes} bytes, {len(got)} events {kinds_seen}; "
         f"{sum(each.repeated for each in life.people + life.alice)} requests repeated")
