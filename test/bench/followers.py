"""Many event streams at once, read by one thread: what came is kept as bytes and judged afterwards."""

import base64
import contextlib
import os
import re
import resource
import select
import socket
import time

import servers
from servers import BenchError

SSE, WEBSOCKET, POLL = KINDS = "sse", "websocket", "poll"
READ_MAX_BYTES = 256 * 1024
CURSOR = re.compile(rb'"cursor":"\w+:(\d+)"')
SOURCES = 8  # addresses of loopback that clients come from: ports of one would not do for all
SPARE_DESCRIPTORS = 200


def request(kind, token, cursor):
    since = f"?since={cursor}" if cursor else ""
    if kind == POLL:
        return servers.request("GET", f"/api/events{since}&wait=60", token)
    if kind == SSE:
        return servers.request("GET", f"/api/events/stream{since}", token)
    key = base64.b64encode(os.urandom(16)).decode()
    return servers.request("GET", f"/api/ws{since}", token,
                           fields=["Upgrade: websocket", "Connection: Upgrade",
                                   "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"])


def answer_body(answer):
    """The body of an answer that is whole, else None; long ones come in chunks."""
    head, end, rest = answer.partition(b"\r\n\r\n")
    if not end:
        return None
    if head[9:12] != b"200":
        raise BenchError(f"a poll was refused: {head[:200]!r}")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if length:
        return rest if len(rest) == int(length[1]) else None
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        length = int(size, 16) if end else 0
        if not end or len(rest) < length + 2:
            return None
        if length == 0:
            return body
        body += rest[:length]
        rest = rest[length + 2:]


class Follower:
    """A stream, or long polls one after the other."""

    def __init__(self, kind, token, cursor):
        self.asked = request(kind, token, cursor)
        self.kind = kind
        self.token = token
        self.connection = None
        self.is_open = False  # its head has come; that of a poll comes with events
        self.head = b""
        self.parts = []
        self.event_count = 0
        self.last_at_s = 0.0

    def open(self, port, number):
        self.connection = socket.socket()
        self.connection.bind((f"127.0.0.{2 + number % SOURCES}", 0))
        self.connection.connect(("127.0.0.1", port))
        self.connection.setblocking(False)
        self.connection.send(self.asked)

    def take(self):
        """Reads what is there; how many events came."""
        part = self.connection.recv(READ_MAX_BYTES)
        if not part:
            raise BenchError(f"a {self.kind} was ended by the server: {self.head[:200]!r}")
        if self.kind == POLL:
            return self.take_answer(part)
        if not self.is_open:
            head, end, part = (self.head + part).partition(b"\r\n\r\n")
            self.head = head
            if not end:
                return 0
            if head[9:12] not in (b"200", b"101"):
                raise BenchError(f"a {self.kind} was refused: {head[:200]!r}")
            self.is_open = True
        self.parts.append(part)
        # A cursor that two reads share is counted when they are judged, and misses here.
        came = part.count(b'"cursor":"')
        self.event_count += came
        return came

    def take_answer(self, part):
        """When it is whole, the next is asked for from where it ended."""
        self.head += part
        body = answer_body(self.head)
        if body is None:
            return 0
        self.head = b""
        events, _, cursor = body.rpartition(b'"cursor":"')
        self.parts.append(events)
        came = events.count(b'"cursor":"')
        self.event_count += came
        self.connection.send(request(POLL, self.token, cursor.partition(b'"')[0].decode()))
        return came

    def sequence_numbers(self):
        return [int(number) for number in CURSOR.findall(b"".join(self.parts))]


def prepared(wanted):
    """Followers for Followers.connect(), of (kind, token, cursor) each: what their making takes is not measured."""
    return [Follower(*each) for each in wanted]


class Followers:
    def __init__(self, port):
        self.port = port
        self.all = []
        self.by_file = {}
        self.epoll = select.epoll()
        self.open_count = 0
        self.event_count = 0
        self.last_event_s = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.epoll.close()
        for each in self.all:
            with contextlib.suppress(OSError):
                each.connection.close()

    def connect(self, wanted):
        """Sends all requests, as `prepared` made them, and takes what comes meanwhile."""
        for each in wanted:
            each.open(self.port, len(self.all))
            self.all.append(each)
            self.by_file[each.connection.fileno()] = each
            self.epoll.register(each.connection, select.EPOLLIN)
            if len(self.all) % 64 == 0:
                self.take(0)

    def are_open(self):
        """The heads of all have come; whether a poll waits shows when it is told something."""
        return self.open_count == sum(each.kind != POLL for each in self.all)

    def take(self, wait_s):
        """Whether anything came in this time."""
        ready = self.epoll.poll(wait_s, 1024)
        for file, _ in ready:
            each = self.by_file[file]
            was_open = each.is_open
            came = each.take()
            self.open_count += each.is_open and not was_open
            if came:
                self.event_count += came
                self.last_event_s = time.monotonic()
        return bool(ready)

    def take_until(self, is_done, deadline_s, what):
        deadline = time.monotonic() + deadline_s
        while not is_done():
            self.take(0.1)
            if time.monotonic() > deadline:
                raise BenchError(f"{what}: {self.open_count} of {len(self.all)} are open, "
                                 f"{self.event_count} events came")

    def take_while_any(self, silence_s):
        """Until nothing came for so long."""
        while self.take(silence_s):
            pass


def descriptors_allow(count):
    """Raises the limit of open files for so many streams, or says that it cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + SPARE_DESCRIPTORS:
        raise BenchError(f"{count} streams need more open files than {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + SPARE_DESCRIPTORS), hard))
