"""The clock of the day jumps by a year, either way, again and again (libfaketime): no time-out comes early or late,
logs keep their order, and a rate is what it was. Time that only passes (CLOCK_MONOTONIC) is left alone, as by the
jumps of a real machine."""

import contextlib
import glob
import itertools
import os
import threading
import time

import pytest

from support import metrics, torture
from support.api import with_query
from support.events import EventStream, now, poll
from support.http import SANITIZED, Connection, request_bytes
from support.ledger import Crowd
from support.server import Server
from support.websocket import PING, TEXT, WebSocket

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
LASTS_S = torture.size(4, 600)
JUMP_EVERY_S = 0.15
HEAD_S, BODY_S, WAIT_S = 1.0, 1.5, 2
HEARTBEAT_S = 15  # net/server.c
BEATS = torture.size(1, 20)
WRITE_S = 2
IDLE_S = LASTS_S + 300  # far less than a jump
SOON_IDLE_S = 1.5
EARLY_S = 0.05  # what is left of the clock's grain
LATE_S = 1.5    # on a machine that does much else
RATE_COUNT, RATE_S = 5, 1
# What is taken is noted when its answer comes, which may be late by a few tenths of a second.
BEYOND_MAX, APART_MAX_S = 2, 1.2

pytestmark = pytest.mark.skipif(SANITIZED, reason="libfaketime and the sanitizer replace the same calls; run against "
                                                  "release")


class Clock:
    """Jumps until it is left."""

    def __init__(self, path):
        self.path = path
        self.jumps = 0
        self.stops = threading.Event()
        self.set(0)
        self.thread = threading.Thread(target=self._jump)

    def set(self, days):
        other = self.path.with_suffix(".new")
        other.write_text(f"{days:+d}d\n")
        os.replace(other, self.path)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stops.set()
        self.thread.join()

    def _jump(self):
        chance = torture.chance("clock")
        while not self.stops.wait(JUMP_EVERY_S):
            self.set(chance.choice((-365, 365, 0, chance.randrange(-365, 366))))
            self.jumps += 1


@contextlib.contextmanager
def clocked_server(tmp_path, idle_s):
    (library,) = glob.glob(LIBRARIES)
    clock = Clock(tmp_path / "clock")
    server = Server(tmp_path / "server", flags=metrics.FLAGS, LD_PRELOAD=library,
                    FAKETIME_TIMESTAMP_FILE=clock.path, FAKETIME_NO_CACHE=1, FAKETIME_DONT_FAKE_MONOTONIC=1,
                    MIGCHAT_HEAD_TIMEOUT_MS=int(HEAD_S * 1000),
                    MIGCHAT_BODY_TIMEOUT_MS=int(BODY_S * 1000), MIGCHAT_WRITE_TIMEOUT_MS=WRITE_S * 1000,
                    MIGCHAT_IDLE_TIMEOUT_MS=int(idle_s * 1000), MIGCHAT_RATE_LIMITS="on",
                    MIGCHAT_TYPING_RATE=f"{RATE_COUNT}/{RATE_S}", MIGCHAT_SIGNUP_RATE="off", MIGCHAT_LOGIN_RATE="off",
                    MIGCHAT_CLAIM_RATE="off")
    with server:
        yield server, clock


@pytest.fixture(name="clocked")
def fixture_clocked(tmp_path):
    with clocked_server(tmp_path, IDLE_S) as found:
        yield found


def lasts_s(server, data):
    """Seconds until the server ends a connection that sends this and no more."""
    begun_s = time.monotonic()  # before the server's own clock of it: this thread may have to wait at any line
    with Connection(server.port) as connection:
        connection.send(data)
        response = connection.answer("POST", "/api/messages/send")
        assert response.status == 408, response.describe()
        return time.monotonic() - begun_s


def in_time(took_s, wanted_s):
    assert wanted_s - EARLY_S <= took_s <= wanted_s + LATE_S, f"{took_s:.2f} s, not {wanted_s}"
    return took_s - wanted_s


def asked_and_allowed(account, other, until_s):
    """When requests of a limited route were taken, tried all the time."""
    taken_s = []
    while time.monotonic() < until_s:
        answer = account.post(with_query("/api/typing", with_user=other.username)).expect((204, 429))
        if answer.status == 204:
            taken_s.append(time.monotonic())
        time.sleep(0.005)  # the rate is the case, not the load
    return taken_s


def most_beyond_rate(taken_s):
    """How many more than a bucket and what came into it the fullest stretch of time has."""
    beyond = [number - at_s * RATE_COUNT / RATE_S for number, at_s in enumerate(taken_s)]
    least = itertools.accumulate(beyond, min)
    return max(now - before for now, before in zip(beyond, least)) + 1 - RATE_COUNT


def test_who_is_idle_is_let_go_in_time(tmp_path, tell):
    late_s = []
    with clocked_server(tmp_path, SOON_IDLE_S) as (server, clock), clock:
        end_s = time.monotonic() + LASTS_S
        while time.monotonic() < end_s:
            with Connection(server.port) as connection:
                connection.send(request_bytes("GET", "/health"))
                begun_s = time.monotonic()
                connection.answer("GET", "/health").expect(200)
                assert connection.socket.recv(1) == b""
                late_s.append(in_time(time.monotonic() - begun_s, SOON_IDLE_S))
    tell(f"{len(late_s)} idle connections let go, up to {max(late_s):.2f} s late; {clock.jumps} jumps")


def test_the_clock_jumps_and_nothing_depends_on_it(clocked, tell):
    server, clock = clocked
    alice, bob, poller = (server.api.create() for _ in range(3))
    idle = Connection(server.port)
    idle.send(request_bytes("GET", "/health"))
    idle.answer("GET", "/health")
    crowd = Crowd(server, 3, "clock", (("send_once", 1), ("look", 1)))
    head = b"POST /api/messages/send HTTP/1.1\r\nHost: x\r\n"
    body = request_bytes("POST", "/api/messages/send", [("Authorization", f"Bearer {alice.token}"),
                                                        ("Content-Type", "application/json")], b"x" * 50)[:-20]
    late = {"head": [], "body": [], "poll": []}
    faults, taken = [], []
    end_s = time.monotonic() + LASTS_S

    def again(name, once):
        try:
            while time.monotonic() < end_s:
                late[name].append(once())
        except BaseException as fault:  # told by the test's own thread
            faults.append(fault)
            raise

    def poll_once():
        cursor = now(poller)
        begun_s = time.monotonic()
        assert poll(poller, cursor, wait=WAIT_S)["events"] == []
        return in_time(time.monotonic() - begun_s, WAIT_S)

    threads = [threading.Thread(target=again, args=each) for each in (
        ("head", lambda: in_time(lasts_s(server, head), HEAD_S)),
        ("body", lambda: in_time(lasts_s(server, body), BODY_S)), ("poll", poll_once))]
    threads.append(threading.Thread(target=lambda: taken.extend(asked_and_allowed(alice, bob, end_s))))
    with clock, crowd:
        begun_s = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lasted_s = time.monotonic() - begun_s
    assert not faults, faults
    clock.set(0)
    messages = crowd.judge()
    years = {message["created_at"][:4] for member in crowd.members for message in member.account.messages()}
    assert len(years) > 1, "the clock did not jump"
    idle.send(request_bytes("GET", "/health"))
    assert idle.answer("GET", "/health").status == 200, "a connection is gone before its idle time"
    right = RATE_COUNT + LASTS_S * RATE_COUNT / RATE_S
    beyond, apart_s = most_beyond_rate(taken), max(later - one for one, later in itertools.pairwise(taken))
    tell(f"{clock.jumps} jumps in {lasted_s:.0f} s: {sum(map(len, late.values()))} time-outs, at most "
         f"{max(max(each) for each in late.values()):.2f} s late; {messages} messages in order; {len(taken)} requests "
         f"taken where {right:.0f} were allowed, {beyond:.1f} too many at most, {apart_s:.2f} s apart at most")
    assert right * 0.8 <= len(taken) <= right + 1
    assert beyond <= BEYOND_MAX
    assert apart_s <= APART_MAX_S


def beat_late_s(times_s):
    """Of the beat that comes now, behind those of times_s, by the one before; none is early by the first, since a
    reader that was late itself would find the next one early."""
    times_s.append(time.monotonic())
    assert times_s[-1] - times_s[0] >= (len(times_s) - 1) * HEARTBEAT_S - EARLY_S, f"early: {times_s}"
    late_s = times_s[-1] - times_s[-2] - HEARTBEAT_S
    assert late_s <= LATE_S, f"{late_s:.2f} s late"
    return late_s


def stream_beats(server, account):
    """How late each heartbeat of a stream is that has nothing to say."""
    times_s = [time.monotonic()]
    with EventStream(server.port, account.token) as following:
        following.connection.chunk(time.monotonic() + HEARTBEAT_S)  # how to come back
        for _ in range(BEATS):
            assert following.connection.chunk(time.monotonic() + 2 * HEARTBEAT_S) == b":\n\n"
            yield beat_late_s(times_s)


def socket_pings(server, account):
    times_s = [time.monotonic()]
    with WebSocket(server.port, account.token) as following:
        while len(times_s) <= BEATS:
            opcode, _ = following.frame(2 * HEARTBEAT_S)
            assert opcode == PING or (opcode == TEXT and len(times_s) == 1), opcode
            if opcode == PING:
                yield beat_late_s(times_s)


def streams_open(server):
    return metrics.Scrape(server)["migchat_streams", {"kind": "sse"}]


def let_go_late_s(server, account, others):
    """A reader that takes nothing is let go after its time, to a quarter of that (net/conn_write.c)."""
    begun_s = time.monotonic()
    with EventStream(server.port, account.token, since=f"{now(account).split(':')[0]}:0", receive_buffer=4096):
        assert streams_open(server) == others + 1
        while streams_open(server) > others:
            assert time.monotonic() < begun_s + WRITE_S + LATE_S, "who takes nothing is not let go"
            time.sleep(0.02)  # what only a scrape tells
        return in_time(time.monotonic() - begun_s, WRITE_S)


def test_streams_and_writes_have_their_time_whatever_the_clock_says(clocked, tell):
    server, clock = clocked
    silent, alice, bob = (server.api.create() for _ in range(3))
    for _ in range(100):
        bob.send(alice, "m" * 40000)
    late = {"heartbeat": [], "ping": [], "write": []}
    faults = []

    def beat(name, beats):
        try:
            late[name].extend(beats(server, silent))
        except BaseException as fault:  # told by the test's own thread
            faults.append(fault)
            raise

    threads = [threading.Thread(target=beat, args=each) for each in (("heartbeat", stream_beats),
                                                                     ("ping", socket_pings))]
    with clock:
        for thread in threads:
            thread.start()
        while streams_open(server) == 0 and threads[0].is_alive():
            time.sleep(0.02)  # what only a scrape tells
        # Not begun when the heartbeats may end before it does.
        end_s = time.monotonic() + BEATS * HEARTBEAT_S - 2 * (WRITE_S + LATE_S)
        while time.monotonic() < end_s and not faults:
            late["write"].append(let_go_late_s(server, alice, 1))
        for thread in threads:
            thread.join()
    assert not faults, faults
    assert len(late["heartbeat"]) == len(late["ping"]) == BEATS and late["write"]
    tell(f"{clock.jumps} jumps: " + ", ".join(f"{len(each)} x {name}, at most {max(each):.2f} s late"
                                              for name, each in late.items()))
