"""A WebSocket client of raw frames, so that it can also send what no client should."""

import json
import os
import struct
import time

from support.api import with_query
from support.http import ANSWER_DEADLINE_S, Closed, Connection, request_bytes

PATH = "/api/ws"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of KEY, RFC 6455 section 1.3


def handshake_fields(key=KEY, ws_version="13", upgrade="websocket", connection="Upgrade", **more):
    fields = [("Upgrade", upgrade), ("Connection", connection), ("Sec-WebSocket-Key", key),
              ("Sec-WebSocket-Version", ws_version), *more.items()]
    return [(name.replace("_", "-"), value) for name, value in fields if value is not None]


def frame(payload=b"", opcode=TEXT, fin=True, mask=True, rsv=0, length=None):
    """A client's frame; `length` is what its head says, if not the truth."""
    payload = payload.encode() if isinstance(payload, str) else payload
    said = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    if said < 126:
        head += bytes([masked | said])
    elif said < 1 << 16:
        head += bytes([masked | 126]) + struct.pack(">H", said)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", said)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


def close_frame(code=1000, reason=b""):
    return frame(struct.pack(">H", code) + reason, CLOSE)


def server_frame(connection, deadline):
    """(opcode, payload) of the next frame; servers neither mask nor, here, fragment."""
    first, second = connection._exactly(2, deadline)
    assert first & 0xf0 == 0x80, f"fragment or reserved bits: {first:#x}"
    assert second < 128, "a server masks nothing"
    length = second
    if second == 126:
        length, = struct.unpack(">H", connection._exactly(2, deadline))
        assert length >= 126
    elif second == 127:
        length, = struct.unpack(">Q", connection._exactly(8, deadline))
        assert length >= 1 << 16
    return first & 0x0f, connection._exactly(length, deadline)


class WebSocket:
    """Open from the constructor on; .response is the answer to the handshake."""

    def __init__(self, port, token=None, since=None, protocols=(), receive_buffer=None,
                 address="127.0.0.1", connect=Connection, host="localhost", **handshake):
        fields = handshake_fields(**handshake)
        fields += [("Authorization", f"Bearer {token}")] if token is not None else []
        fields += [("Sec-WebSocket-Protocol", ", ".join(protocols))] if protocols else []
        target = with_query(PATH, since=since)
        self.connection = connect(port, address, receive_buffer)
        self.connection.send(request_bytes("GET", target, fields, host=host))
        self.response = self.connection.answer("GET", target)
        if self.response.status == 101:
            assert self.response.field("sec-websocket-accept") == ACCEPT

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, data):
        self.connection.send(data)

    def command(self, **members):
        self.send(frame(json.dumps(members)))

    def frame(self, deadline_s=ANSWER_DEADLINE_S):
        return server_frame(self.connection, time.monotonic() + deadline_s)

    def message(self, deadline_s=ANSWER_DEADLINE_S):
        """The next text, decoded; pings are passed over, and put nothing off."""
        deadline = time.monotonic() + deadline_s
        while True:
            opcode, payload = server_frame(self.connection, deadline)
            if opcode == PING:
                continue
            assert opcode == TEXT, (opcode, payload)
            return json.loads(payload)

    def messages(self, count):
        return [self.message() for _ in range(count)]

    def result(self, **members):
        """Sends a command; (its result, the events that came before it)."""
        self.command(**members)
        events = []
        while (message := self.message())["type"] != "result":
            events.append(message)
        return message, events

    def closed(self):
        """The code of the close frame that comes next, after texts at most; then the end."""
        deadline = time.monotonic() + ANSWER_DEADLINE_S
        while True:
            opcode, payload = server_frame(self.connection, deadline)
            if opcode == CLOSE:
                break
            assert opcode in (TEXT, PONG, PING), opcode
        code = struct.unpack(">H", payload[:2])[0] if payload else None
        self.send(close_frame(code or 1000))
        try:
            while self.connection.more(time.monotonic() + ANSWER_DEADLINE_S):
                pass
        except Closed:
            pass
        return code
