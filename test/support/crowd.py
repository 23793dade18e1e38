"""Many followers at once, in one thread: what each was told, when it came.

Connections of support.http are for a few; here an epoll loop serves thousands, of all kinds. A
follower keeps only the bytes that are not whole yet.
"""

import json
import select
import socket
import time

from support import seen
from support.api import with_query
from support.http import ANSWER_DEADLINE_S, request_bytes
from support.rust_database import RustDatabase, password_hash
from support.websocket import PATH, PING, PONG, TEXT, handshake_fields

RECEIVE_BYTES = 1 << 18
EVENTS_A_LOOK = 512


def token_of(number):
    return f"crowd{number:027d}"  # no part of any message


def name_of(number):
    return f"person{number:07d}"


def people_make(path, count, sessions=1):
    """A database with people 1 to `count`, as the Rust server leaves it: the server adopts it.

    Person N has the tokens token_of(N + count * session)."""
    database = RustDatabase(path)
    hashed = password_hash(seen.new_password())
    run = database.database.execute
    run("BEGIN")
    for number in range(1, count + 1):
        run("INSERT INTO users VALUES (?, ?, ?, ?)",
            (number, name_of(number), hashed, "2025-11-03T12:00:00.5+00:00"))
    for number in range(1, count * sessions + 1):
        run("INSERT INTO sessions (user_id, token, created_at) VALUES (?, ?, ?)",
            ((number - 1) % count + 1, token_of(number), "2025-11-03T12:00:00.5+00:00"))
    run("COMMIT")
    database.close()
    seen.note_token(token_of(1))
    for copy in ("migchat.db", "migchat.db.rust-copy", "migchat.db.rust-copy-partial"):
        seen.note_adopted_copy(path.parent / copy)


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


class Peer:
    """A connection of the crowd; `feed` is given what came."""

    def __init__(self, port, address="127.0.0.1", receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((address, 0))
        self.socket.settimeout(ANSWER_DEADLINE_S)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.has_ended = False

    def send(self, data):
        self.socket.settimeout(ANSWER_DEADLINE_S)
        self.socket.sendall(data)

    def take(self):
        """What is there now."""
        try:
            data = self.socket.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.has_ended = not data
        self.rest += data
        self.feed()

    def head(self, status):
        """Takes the head off; None until it is whole."""
        head, separator, rest = self.rest.partition(b"\r\n\r\n")
        if not separator:
            return None
        assert head.startswith(f"HTTP/1.1 {status} ".encode()), self.rest[:600]
        self.rest = rest
        return head.lower()

    def feed(self):
        raise NotImplementedError

    def answer(self):
        """The body of an answer that is whole, decoded; else None."""
        head, separator, rest = self.rest.partition(b"\r\n\r\n")
        if not separator:
            return None
        assert head.startswith(b"HTTP/1.1 200 "), self.rest[:600]
        length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return None
        self.rest = rest[length:]
        return json.loads(rest[:length])


class Follower(Peer):
    """A device: on_event(self, event) for each it is told."""

    def __init__(self, port, token, on_event, since=None, **more):
        super().__init__(port, **more)
        self.token = token
        self.on_event = on_event
        self.cursor = since
        self.is_open = False

    def told(self, text):
        event = json.loads(text)
        self.cursor = event.get("cursor", self.cursor)
        self.on_event(self, event)


class StreamFollower(Follower):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.text = b""
        self.send(request_bytes("GET", with_query("/api/events/stream", since=self.cursor), bearer(self.token)))

    def feed(self):
        if not self.is_open:
            self.is_open = self.head(200) is not None
        while self.is_open:
            size, separator, rest = self.rest.partition(b"\r\n")
            length = int(size, 16) if separator else 0
            if not separator or len(rest) < length + 2:
                break
            self.text += rest[:length]
            self.rest = rest[length + 2:]
        *blocks, self.text = self.text.split(b"\n\n")
        for block in blocks:
            _, found, data = block.partition(b"\ndata: ")
            if found:
                self.told(data)
            elif block.startswith(b"data: "):
                self.told(block[len(b"data: "):])


class SocketFollower(Follower):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.pongs = 0
        self.send(request_bytes("GET", with_query(PATH, since=self.cursor),
                                handshake_fields() + bearer(self.token)))

    def feed(self):
        if not self.is_open:
            self.is_open = self.head(101) is not None
        while self.is_open and len(self.rest) >= 2:
            length, begin = self.rest[1], 2
            if length >= 126:
                begin = 4 if length == 126 else 10
                length = int.from_bytes(self.rest[2:begin], "big") if len(self.rest) >= begin else 1 << 62
            if len(self.rest) < begin + length:
                return
            opcode, payload = self.rest[0] & 0x0f, self.rest[begin:begin + length]
            self.rest = self.rest[begin + length:]
            if opcode == TEXT:
                self.told(payload)
            elif opcode == PONG:
                self.pongs += 1
            else:
                assert opcode == PING, (opcode, payload)


class PollFollower(Follower):
    """Long polls, one after the other; it needs a cursor to begin with."""

    wait_s = 60

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.is_open = True
        self.ask()

    def ask(self):
        self.send(request_bytes("GET", with_query("/api/events", since=self.cursor, wait=self.wait_s, limit=1000),
                                bearer(self.token)))

    def feed(self):
        answer = self.answer()
        if answer is None:
            return
        for event in answer["events"]:
            self.on_event(self, event)
        self.cursor = answer["cursor"]
        self.ask()


FOLLOWERS = {"stream": StreamFollower, "socket": SocketFollower, "poll": PollFollower}


class Sender(Peer):
    """Sends one message after the other: next_send() gives (token, name, text) or None at the end;
    on_sent(message_id) is told of each that is committed, and asked_s is when it was asked for."""

    def __init__(self, port, next_send, on_sent):
        super().__init__(port)
        self.next_send = next_send
        self.on_sent = on_sent
        self.is_done = False
        self.asked_s = 0.0
        self.ask()

    def ask(self):
        following = self.next_send()
        if following is None:
            self.is_done = True
            return
        token, name, text = following
        self.asked_s = time.monotonic()
        body = json.dumps({"to_username": name, "content": text}).encode()
        self.send(request_bytes("POST", "/api/messages/send",
                                [*bearer(token), ("Content-Type", "application/json")], body))

    def feed(self):
        answer = self.answer()
        if answer is None:
            return
        self.on_sent(answer["message_id"])
        self.ask()


class Crowd:
    """Peers served by one loop."""

    def __init__(self):
        self.epoll = select.epoll()
        self.peers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in self.peers.values():
            peer.socket.close()
        self.epoll.close()

    def add(self, peer):
        self.peers[peer.socket.fileno()] = peer
        self.epoll.register(peer.socket.fileno(), select.EPOLLIN)
        return peer

    def run(self, is_over, deadline_s=ANSWER_DEADLINE_S):
        """Until is_over(), which is asked after each look; the deadline is for silence."""
        silent_until_s = time.monotonic() + deadline_s
        while not is_over():
            ready = self.epoll.poll(max(0.0, min(1.0, silent_until_s - time.monotonic())), EVENTS_A_LOOK)
            if ready:
                silent_until_s = time.monotonic() + deadline_s
            assert time.monotonic() < silent_until_s, f"nothing came for {deadline_s} s"
            for number, _ in ready:
                peer = self.peers[number]
                peer.take()
                assert not peer.has_ended, f"the server ended a connection: {peer.rest[-300:]!r}"

    def open_all(self):
        """Until each stream has its head."""
        waiting = [peer for peer in self.peers.values() if isinstance(peer, Follower)]
        self.run(lambda: all(peer.is_open for peer in waiting))


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
