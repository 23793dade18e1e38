"""Connections that are cut: what a client got of each transport, judged from the bytes alone.

A transport makes a request that follows from a cursor and finds, in the bytes that came until the
cut, the events that came whole and the cursor to go on from. What is not whole was not seen.
"""

import json
import socket
import struct
import time

from support.api import with_query
from support.http import ANSWER_DEADLINE_S, request_bytes
from support.websocket import CLOSE, PATH, PING, TEXT, handshake_fields

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset, and what was not read is lost
RECEIVE_MAX_BYTES = 1 << 16


def _head_and_rest(raw):
    head, separator, rest = raw.partition(b"\r\n\r\n")
    return (head, rest) if separator else (None, b"")


def _of_status(head, status):
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), head[:300]


def unchunked(rest):
    """(the data so far, whether the last chunk came). A chunk may be cut."""
    parts = []
    at = 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        size = int(rest[at:end], 16)
        if size == 0:
            return b"".join(parts), rest[end + 2:end + 4] == b"\r\n"
        parts.append(rest[end + 2:end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts), False


class Poll:
    def request(self, token, cursor, chance):
        target = with_query("/api/events", since=cursor, wait=chance.randrange(3),
                            limit=chance.choice((1, 3, 20, 100, 1000)))
        return request_bytes("GET", target, [("Authorization", f"Bearer {token}")])

    def seen(self, raw, cursor):
        head, rest = _head_and_rest(raw)
        if head is None:
            return [], cursor
        if b" 503 " in head[:20]:
            return [], cursor
        _of_status(head, 200)
        fields = head.lower()
        if b"\r\ntransfer-encoding: chunked" in fields:
            body, is_whole = unchunked(rest)
        else:
            length = int(fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            body, is_whole = rest[:length], len(rest) >= length
        if not is_whole:
            return [], cursor
        answer = json.loads(body)
        return answer["events"], answer["cursor"]

    def is_over(self, raw):
        """One answer a connection: its end is no cut."""
        return self.seen(raw, None)[1] is not None


class Stream:
    def request(self, token, cursor, chance):
        fields = [("Authorization", f"Bearer {token}")]
        if chance.randrange(2):
            return request_bytes("GET", "/api/events/stream", [*fields, ("Last-Event-ID", cursor)])
        return request_bytes("GET", with_query("/api/events/stream", since=cursor), fields)

    def seen(self, raw, cursor):
        head, rest = _head_and_rest(raw)
        if head is None or b" 503 " in head[:20]:
            return [], cursor
        _of_status(head, 200)
        events = []
        *blocks, _ = unchunked(rest)[0].split(b"\n\n")
        for block in blocks:
            lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            if b"data" in lines:
                event = json.loads(lines[b"data"])
                events.append(event)
                if "cursor" in event:
                    cursor = lines[b"id"].decode()
                    assert cursor == event["cursor"]
        return events, cursor

    def is_over(self, raw):
        return False


class Socket:
    def request(self, token, cursor, chance):
        fields = handshake_fields()
        if chance.randrange(2):
            fields += [("Authorization", f"Bearer {token}")]
        else:
            fields += [("Sec-WebSocket-Protocol", f"migchat.v1, bearer.{token}")]
        return request_bytes("GET", with_query(PATH, since=cursor), fields)

    def seen(self, raw, cursor):
        head, rest = _head_and_rest(raw)
        if head is None or b" 503 " in head[:20]:
            return [], cursor
        _of_status(head, 101)
        events = []
        for opcode, payload in frames(rest):
            if opcode in (PING, CLOSE):
                continue
            assert opcode == TEXT, opcode
            event = json.loads(payload)
            events.append(event)
            cursor = event.get("cursor", cursor)
        return events, cursor

    def is_over(self, raw):
        return False


def frames(rest):
    """(opcode, payload) of the frames that are whole."""
    at = 0
    while at + 2 <= len(rest):
        first, second = rest[at], rest[at + 1]
        assert first & 0xf0 == 0x80 and second < 128, rest[at:at + 2]
        length, begin = second, at + 2
        if second >= 126:
            wide = 2 if second == 126 else 8
            begin += wide
            length = int.from_bytes(rest[at + 2:begin], "big")
        if begin + length > len(rest):
            return
        yield first & 0x0f, rest[begin:begin + length]
        at = begin + length


TRANSPORTS = {"poll": Poll(), "stream": Stream(), "socket": Socket()}


class Cut:
    """One connection of a client that will be cut."""

    def __init__(self, port, request, receive_buffer=None):
        self.socket = socket.socket()
        self.raw = b""
        self.has_ended = False
        try:
            if receive_buffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.settimeout(ANSWER_DEADLINE_S)
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.has_ended = True
        self.send(request)

    def send(self, request):
        try:
            self.socket.sendall(request)
        except OSError:
            self.has_ended = True

    def read(self, count, until_s=None, is_enough=lambda raw: False):
        """Until there are `count` bytes, or the moment passes, or it is enough, or the server ended it."""
        deadline_s = until_s or time.monotonic() + ANSWER_DEADLINE_S
        while len(self.raw) < count and not self.has_ended and not is_enough(self.raw):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                assert until_s is not None, f"no more within {ANSWER_DEADLINE_S} s of {self.raw[-300:]!r}"
                return
            self.socket.settimeout(left_s)
            try:
                data = self.socket.recv(min(count - len(self.raw), RECEIVE_MAX_BYTES))
            except socket.timeout:
                continue
            except OSError:
                data = b""
            self.has_ended = not data
            self.raw += data

    def cut(self, by_reset=False):
        if by_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()
