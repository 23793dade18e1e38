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

POLL, SSE, WEBSOCKET = "poll", "sse", "websocket"
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


class Follower:
    def __init__(self, kind, token, cursor):
        self.asked = request(kind, token, cursor)
        self.kind = kind
        self.connection = None
        self.is_open = False  # its head has come
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

    def sequence_numbers(self):
        return [int(number) for number in CURSOR.findall(b"".join(self.parts))]


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
        """Sends all requests, (kind, token, cursor) each, and takes what comes meanwhile."""
        for kind, token, cursor in wanted:
            each = Follower(kind, token, cursor)
            each.open(self.port, len(self.all))
            self.all.append(each)
            self.by_file[each.connection.fileno()] = each
            self.epoll.register(each.connection, select.EPOLLIN)
            if len(self.all) % 64 == 0:
                self.take(0)

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
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + SPARE_DESCRIPTORS:
        raise BenchError(f"{count} streams need more open files than {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + SPARE_DESCRIPTORS, hard))
