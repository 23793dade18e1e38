"""Thousands who send a head or a body a byte at a time, or do not read their answer, or what their WebSocket's
commands came to: everybody else is served as ever, the server stays small, and the slow ones are gone at their limit,
neither before nor long after."""

import multiprocessing
import resource
import select
import shutil
import socket
import subprocess
import time

import pytest

from support import metrics, seen, torture
from support.http import SANITIZED, SLOWNESS, Connection, request_bytes
from support.server import Server
from support.websocket import PATH, TEXT, frame, handshake_fields

EACH = torture.size(250, 5000)
HEAD_S, BODY_S, WRITE_S = torture.size((2, 3, 4), (10, 15, 20))
EARLY_S = 0.1
LATE_S = torture.size(3, 3) * SLOWNESS  # others share the machine
A_BYTE_EVERY_S = 0.5
MEMORY_MAX_BYTES = 256 << 20
RSS_MAX_BYTES = 64_000_000  # also when all kinds are there at once
WAITING_MAX_BYTES, PAGE_BYTES = 8 << 20, 64 << 10  # of src/net/connections.h and http/response.h
PROBE_P99_MS = 50
LIST_BYTES = 4 << 20  # more than the socket's buffers hold
KINDS = ("head", "body", "read", "command")
# They have sent all and take nothing.
READERS = {"read", "command"}
# In the long form one kind after the other: all at once would be more than the descriptors there are.
CROWDS = torture.size([KINDS], [*((kind,) for kind in KINDS), KINDS[:3]])
# Of one read: a command as long as it can be, so that most of it is kept, and one after the other that are none.
COMMANDS = frame(b" " * 10_000, TEXT) + frame(b"", TEXT) * 1000


def limits():
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))


def slow_bytes(kind, token):
    if kind == "head":
        return b"GET /api/messages HTTP/1.1\r\nHost: x\r\nX-Slow: "
    fields = [("Authorization", f"Bearer {token}")]
    if kind == "read":
        return request_bytes("GET", "/api/messages", fields)
    if kind == "command":
        return request_bytes("GET", PATH, handshake_fields() + fields) + COMMANDS
    return request_bytes("POST", "/api/messages/send", [*fields, ("Content-Type", "application/json"),
                                                        ("Content-Length", "10000")])


def slow_ones(port, token, kinds, channel):
    """Another process: opens them all, goes on byte by byte, and tells how long each head and body lasted."""
    waiting = select.epoll()
    opened, lasted = {}, {kind: [] for kind in kinds}
    for number in range(EACH * len(kinds)):
        kind = kinds[number % len(kinds)]
        client = socket.socket()
        if kind in READERS:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.bind((f"127.0.1.{1 + number // 10000}", 0))
        client.connect(("127.0.0.1", port))
        client.setblocking(False)
        client.send(slow_bytes(kind, token))
        opened[client.fileno()] = (client, kind, time.monotonic())
        waiting.register(client.fileno(), select.EPOLLRDHUP if kind in READERS else select.EPOLLIN)
    channel.send("open")
    next_byte_s = time.monotonic()
    while any(kind not in READERS for _, kind, _ in opened.values()):
        for number, _ in waiting.poll(0.05):
            client, kind, since_s = opened[number]
            # It was told (408), or its end.
            waiting.unregister(number)
            if kind not in READERS:
                lasted[kind].append(time.monotonic() - since_s)
                client.close()
                del opened[number]
        if time.monotonic() >= next_byte_s:
            next_byte_s += A_BYTE_EVERY_S
            for client, kind, _ in opened.values():
                if kind not in READERS:
                    try:
                        client.send(b"x")
                    except OSError:
                        pass  # its end comes as an event
    channel.send(lasted)
    channel.recv()  # the readers stay open until the server has let go of them


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


class Probe:
    """Somebody who is not slow: each time a new connection, and a request to the loop or to a lane."""

    def __init__(self, server, account):
        self.server = server
        self.requests = [("/health", request_bytes("GET", "/health")),
                         ("/api/messages", request_bytes("GET", "/api/messages?limit=1",
                                                         [("Authorization", f"Bearer {account.token}")]))]
        self.took_ms = []
        self.rss = 0

    def once(self):
        target, data = self.requests[len(self.took_ms) % 2]
        begun_s = time.monotonic()
        with Connection(self.server.port) as connection:
            connection.send(data)
            assert connection.answer("GET", target).status == 200
        self.took_ms.append((time.monotonic() - begun_s) * 1000)
        self.rss = max(self.rss, self.server.rss_bytes())
        time.sleep(0.01)  # it probes, it does not load


@pytest.mark.parametrize("kinds", CROWDS, ids="-".join)
def test_slow_clients_delay_nobody_and_are_let_go(tmp_path, tell, kinds):
    wanted = EACH * len(kinds) + 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == resource.RLIM_INFINITY or hard > wanted, f"{wanted} descriptors are needed (ulimit -Hn: {hard})"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server(tmp_path / "server", preexec=None if SANITIZED else limits, flags=(
        "--head-timeout-ms", HEAD_S * 1000, "--body-timeout-ms", BODY_S * 1000, "--write-timeout-ms", WRITE_S * 1000))
    with server:
        alice, bob = server.api.create(), server.api.create()
        for _ in range(LIST_BYTES // 60_000):
            bob.send(alice, seen.new_content("x" * 60_000))
        probe = Probe(server, bob)
        before = server.descriptors_open()
        mine, theirs = multiprocessing.Pipe()
        crowd = multiprocessing.get_context("fork").Process(target=slow_ones,
                                                            args=(server.port, alice.token, kinds, theirs))
        crowd.start()
        try:
            while not mine.poll():
                probe.once()
            assert mine.recv() == "open"
            opened_s = time.monotonic()
            most = 0
            waits = server.descriptors_open() - before - EACH * len(set(kinds) - {"read"})
            while not mine.poll() or server.descriptors_open() > before + 5:
                probe.once()
                most = max(most, server.descriptors_open() - before)
                if time.monotonic() < opened_s + HEAD_S / 2:
                    waits = server.descriptors_open() - before - EACH * len(set(kinds) - {"read"})
                assert crowd.is_alive()
                assert time.monotonic() < opened_s + max(HEAD_S, BODY_S, 1.25 * WRITE_S) + 3 * LATE_S, \
                    f"{server.descriptors_open() - before} slow ones are still there"
            gone_s = time.monotonic() - opened_s
            lasted = mine.recv()
            mine.send("enough")
        finally:
            crowd.join(5)
            crowd.kill()
            crowd.join()
    p99 = percentile(probe.took_ms, 0.99)
    tell(f"{EACH} each of slow {', '.join(kinds)} ({most} at once): {len(probe.took_ms)} probes, all answered, "
         f"p99 {p99:.1f} ms; at most {probe.rss / 2**20:.0f} MiB; all gone {gone_s:.1f} s after the last was opened")
    # Those who wait longest are closed before their limit when all together wait for too much.
    assert waits <= WAITING_MAX_BYTES / PAGE_BYTES + 30, f"{waits} readers wait, each with a page"
    for kind, limit_s in (("head", HEAD_S), ("body", BODY_S)):
        if kind not in kinds:
            continue
        assert len(lasted[kind]) == EACH
        # From its connect, which may have waited in the kernel's queue.
        assert limit_s - EARLY_S <= min(lasted[kind]), f"a slow {kind} was ended after {min(lasted[kind]):.2f} s"
        assert max(lasted[kind]) <= limit_s + LATE_S, f"a slow {kind} was there for {max(lasted[kind]):.2f} s"
    assert not READERS & set(kinds) or gone_s > WRITE_S / 2
    assert p99 <= (PROBE_P99_MS if torture.IS_LONG else 20 * PROBE_P99_MS)
    if not SANITIZED:
        assert probe.rss <= RSS_MAX_BYTES


# ---- slowhttptest, in the long form ---------------------------------------------------------------

ITS_CONNECTIONS, ITS_RATE, ITS_S = 5000, 1000, 40
# Ten answers of 108 KB, one request behind the other, are more than the socket takes.
ITS_KINDS = {"head": ("-H", "-i", "1", "-u", "/docs"),
             "body": ("-B", "-i", "1", "-s", "8192", "-u", "/docs"),
             "read": ("-X", "-w", "1", "-y", "10", "-k", "10", "-u", "/openapi.json")}


if torture.IS_LONG:
    @pytest.mark.parametrize("kind", ITS_KINDS)
    def test_slowhttptest_finds_it_available(tmp_path, tell, kind):
        program = shutil.which("slowhttptest")
        assert program, "deps/packages.tsv has it"
        server = Server(tmp_path / "server", preexec=limits, flags=(
            *metrics.FLAGS, "--head-timeout-ms", HEAD_S * 1000, "--body-timeout-ms", BODY_S * 1000,
            "--write-timeout-ms", WRITE_S * 1000))
        with server:
            *options, target = ITS_KINDS[kind]
            probe = Probe(server, server.api.create())
            before = server.descriptors_open()
            command = [program, "-c", str(ITS_CONNECTIONS), "-r", str(ITS_RATE), "-l", str(ITS_S), "-p", "3",
                       *options, f"http://127.0.0.1:{server.port}{target}"]
            most, accepted, opened_s, there_s = 0, 0, 0, 0
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
                while running.poll() is None:
                    probe.once()
                    slow = server.descriptors_open() - before
                    most = max(most, slow)
                    if slow > 20:  # it probes, too
                        there_s = time.monotonic()
                    if len(probe.took_ms) % 10 == 0:
                        scrape = metrics.Scrape(server)
                        its_own = scrape["migchat_connections_accepted_total", metrics.PUBLIC] - len(probe.took_ms)
                        if its_own > accepted + 5:  # it asks now and then how the server is
                            opened_s = time.monotonic()
                        accepted = its_own
            assert running.returncode == 0, f"it ended with {running.returncode}"
        lasted_s = there_s - opened_s
        tell(f"{accepted:.0f} connections, {most} at once, the last gone {lasted_s:.1f} s later; "
             f"{len(probe.took_ms)} probes, all answered, p99 {percentile(probe.took_ms, 0.99):.1f} ms; "
             f"at most {probe.rss / 2**20:.0f} MiB")
        assert most > ITS_CONNECTIONS / 2 or kind == "read"
        limit_s = {"head": HEAD_S, "body": BODY_S, "read": 1.25 * WRITE_S}[kind]
        assert lasted_s <= limit_s + LATE_S < ITS_S
        assert percentile(probe.took_ms, 0.99) <= PROBE_P99_MS and probe.rss <= RSS_MAX_BYTES
