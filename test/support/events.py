"""Following an account as a client does: long polls, and Server-Sent Events read from a socket."""

import json
import time

from support.api import with_query
from support.http import ANSWER_DEADLINE_S, Closed, Connection, Malformed, request_bytes


def poll_raw(account, since=None, wait=None, limit=None, **more):
    return account.get(with_query("/api/events", since=since, wait=wait, limit=limit), **more)


def poll(account, since=None, wait=None, limit=None):
    return poll_raw(account, since, wait, limit).expect(200).json()


def now(account):
    """The cursor behind all that happened so far."""
    return poll(account)["cursor"]


def seq_of(cursor):
    return int(cursor.split(":")[1])


def events_since(account, cursor="", limit=100):
    """Every event behind the cursor (from the beginning without one), page by page."""
    cursor = cursor or f"{now(account).split(':')[0]}:0"
    events, more = [], True
    while more:
        answer = poll(account, cursor, limit=limit)
        assert len(answer["events"]) <= limit
        events += answer["events"]
        cursor, more = answer["cursor"], answer["more"]
    return events


class EventStream:
    """GET /api/events/stream, open from the constructor on."""

    def __init__(self, port, token, since=None, last_id=None, receive_buffer=None,
                 version="HTTP/1.1", address="127.0.0.1",
                 connect=Connection, host="localhost"):
        fields = [("Authorization", f"Bearer {token}")]
        fields += [("Last-Event-ID", last_id)] if last_id is not None else []
        target = with_query("/api/events/stream", since=since)
        self.connection = connect(port, address, receive_buffer)
        self.connection.send(request_bytes("GET", target, fields, version=version, host=host))
        self.response = self.connection.head()
        self.is_chunked = self.response.all("transfer-encoding") == ["chunked"]
        self.text = b""
        self.last_id = last_id or since
        self.comments = []
        self.retry_ms = None
        self.has_ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def _more(self, deadline):
        """Reads a part; False at the proper end of the answer."""
        if not self.is_chunked:
            if not self.connection.received and not self.connection.more(deadline):
                return False
            self.text += bytes(self.connection.received)
            self.connection.received.clear()
            return True
        data = self.connection.chunk(deadline)
        self.text += data
        return bool(data)

    def event(self, deadline_s=ANSWER_DEADLINE_S):
        """The next event's data, decoded; None at the end of the stream. Raises Silent."""
        deadline = time.monotonic() + deadline_s
        while True:
            block, separator, rest = self.text.partition(b"\n\n")
            if not separator:
                if not self._more(deadline):
                    self.has_ended = True
                    return None
                continue
            self.text = rest
            event = self._block(block.decode())
            if event is not None:
                return event

    def _block(self, block):
        data = []
        for line in block.split("\n"):
            name, colon, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "" and colon:
                self.comments.append(value)
            elif name == "id":
                self.last_id = value
            elif name == "data":
                data.append(value)
            elif name == "retry":
                self.retry_ms = int(value)
            elif line:
                raise Malformed(f"a line of no field: {line!r}")
        if not data:
            return None
        event = json.loads("\n".join(data))
        if "cursor" in event:
            assert event["cursor"] == self.last_id, event
        return event

    def events(self, count, deadline_s=ANSWER_DEADLINE_S):
        return [self.event(deadline_s) for _ in range(count)]

    def rest(self):
        """What comes until the stream ends, properly or not."""
        found = []
        try:
            while (event := self.event()) is not None:
                found.append(event)
        except Closed:
            pass
        return found
