"""Runs one case of test/api/badinput.jsonl over a raw socket and judges what came.

The duties: read while writing, still read after a failed write, the pieces of a list 20 ms apart
and its numbers as pauses in seconds (both belong to the case), and on a connection that stayed
open a marked GET /health, so that the answers before the mark can be counted.
"""

import re
import threading
import time

from support import seen
from support.http import (SLOWNESS, Closed, Connection, Malformed, Silent, check_error_body,
                          request_bytes)
from support.websocket import CLOSE, server_frame

PIECE_GAP_S = 0.02
PLAIN_WAIT_S = 12 * SLOWNESS
MARK_FIELD = "X-Request-Id"
MARK = "badinput-mark"
REPEAT = re.compile(r"\{\{REP:(.*):(\d+)\}\}", re.DOTALL)
NO_ANSWER, WAITING = 0, -1


class People:
    """Who the placeholders stand for, on one server."""

    def __init__(self, api):
        self.api = api
        self.host = f"127.0.0.1:{api.port}"
        self.peer = api.create("peer00000001").username
        self.token = api.create("user00000000").token
        self._count = 0
        self._lock = threading.Lock()

    def fresh_name(self):
        with self._lock:
            self._count += 1
            return f"fresh{self._count:07d}"

    def fill(self, text, name):
        for mark, value in (("{{USER}}", name), ("{{PEER}}", self.peer),
                            ("{{TOKEN}}", self.token), ("{{TOKEN-1}}", self.token[:-1]),
                            ("{{TOKEN~}}", self.token.swapcase()), ("{{HOST}}", self.host),
                            ("{{WS}}", "/api/ws")):
            text = text.replace(mark, value)
        text = REPEAT.sub(lambda match: match.group(1) * int(match.group(2)), text)
        return text.encode("latin-1")


class Outcome:
    """What came: answers in order, and how the connection ended."""

    def __init__(self):
        self.answers = []
        self.fault = None     # what was malformed in the last, unreadable answer
        self.closed = False   # the server closed
        self.write_failed = False
        self.close_code = None  # of a WebSocket; 0 when it ended without one

    @property
    def status(self):
        if self.answers:
            return self.answers[0].status
        return NO_ANSWER if self.closed else WAITING

    def describe(self):
        lines = [answer.describe() + f"\n    1xx before it: {answer.interim}"
                 for answer in self.answers]
        lines.append(f"closed by the server: {self.closed}, write failed: {self.write_failed}, "
                     f"unreadable: {self.fault}, close code: {self.close_code}")
        return "\n".join(lines)


def pieces_of(case):
    send = case["send"]
    return send if isinstance(send, list) else [send]


def is_slow(case):
    return "wait" in case["expect"]


def run(case, people):
    """Play the case; its Outcome."""
    expect = case["expect"]
    name = people.fresh_name()
    wait_s = expect.get("wait", PLAIN_WAIT_S)
    outcome = Outcome()
    with Connection(people.api.port) as connection:
        writer = threading.Thread(target=_write, daemon=True,
                                  args=(connection, case, people, name, outcome))
        writer.start()
        deadline = time.monotonic() + wait_s + _pauses_s(case)
        # A well-formed request may be answered by head alone, so the method must be known.
        method = "HEAD" if str(pieces_of(case)[0]).startswith("HEAD ") else "GET"
        try:
            _read_answers(connection, expect, method, deadline, writer, outcome)
        except Closed as end:
            outcome.closed = True
            if end.partial:
                outcome.fault = f"cut off: {end.partial[:200]!r}"
        except Malformed as fault:
            outcome.fault = str(fault)
        except Silent:
            pass
        # Ends a writer that is still in its pauses or in a full socket.
        connection.socket.shutdown(2) if not outcome.closed else None
        writer.join(wait_s + _pauses_s(case))
    return outcome


def _pauses_s(case):
    return sum(p for p in pieces_of(case) if not isinstance(p, str)) \
        + PIECE_GAP_S * len(pieces_of(case))


def _write(connection, case, people, name, outcome):
    try:
        writing = connection.socket.dup()
    except OSError:
        return
    with writing:
        writing.setblocking(True)
        for index, piece in enumerate(pieces_of(case)):
            if not isinstance(piece, str):
                time.sleep(piece)
                continue
            if index:
                time.sleep(PIECE_GAP_S)
            try:
                writing.sendall(people.fill(piece, name))
            except OSError:
                outcome.write_failed = True
                return


def _read_answers(connection, expect, method, deadline, writer, outcome):
    """Answers until the server closes; where it need not, until the mark comes back."""
    must_close = expect["close"] is True
    outcome.answers.append(connection.answer(method, "badinput", deadline))
    if "ws" in expect and outcome.status == 101:
        _read_close(connection, deadline, outcome)
    if must_close:
        while True:
            outcome.answers.append(connection.answer("GET", "badinput", deadline))
    if expect["close"] is None and not ({"responses", "last"} & set(expect)):
        return
    writer.join(max(0.0, deadline - time.monotonic()))
    try:
        connection.send(request_bytes("GET", "/health", [(MARK_FIELD, MARK)]))
    except OSError:
        pass  # what was answered before can still be read
    while True:
        response = connection.answer("GET", "/health", deadline)
        if response.field(MARK_FIELD) == MARK:
            assert response.status == 200, response.describe()
            return
        outcome.answers.append(response)


def _read_close(connection, deadline, outcome):
    """Frames up to the close, and what comes until the end, of which there must be nothing."""
    outcome.close_code = 0
    while True:
        opcode, payload = server_frame(connection, deadline)
        if opcode == CLOSE:
            outcome.close_code = int.from_bytes(payload[:2], "big")
            connection.expect_end(deadline)
            raise Closed(b"", connection.reset)


def judge(case, outcome, people):
    """Fail with what was sent and what came unless the case's expectations hold."""
    expect = case["expect"]
    shown = (f"{case['id']}: {case['desc']}\nref: {case['ref']}\n"
             f"sent: {str(case['send'])[:700]}\nexpected: {expect}\n{outcome.describe()}")
    assert outcome.fault is None, shown
    assert outcome.status in expect["status"], shown
    if outcome.status == WAITING:
        return
    if expect["close"] is True:
        assert outcome.closed, f"it stayed open\n{shown}"
    elif expect["close"] is False:
        assert not outcome.closed, f"it was closed\n{shown}"
    if "ws" in expect:
        assert outcome.close_code in expect["ws"], shown
    if "responses" in expect:
        assert len(outcome.answers) in expect["responses"], shown
    if "last" in expect and outcome.answers:
        assert outcome.answers[-1].status in expect["last"], shown
    for answer in outcome.answers:
        try:
            check_error_body(answer, "HEAD" if expect.get("head") else "GET")
        except AssertionError as fault:
            raise AssertionError(f"{shown}\n{fault}") from fault
    if not outcome.answers:
        return
    first = outcome.answers[0]
    if first.status == 200 and first.body.startswith(b'{"token"'):
        seen.note_token(first.json()["token"])
    if "interim" in expect:
        assert first.interim == expect["interim"], shown
    only_on = {"www-authenticate": 401, "allow": 405}
    for name in expect.get("headers", ()):
        if only_on.get(name, first.status) == first.status:
            assert first.field(name) is not None, f"{name} is missing\n{shown}"
    for name in expect.get("headers_absent", ()):
        assert first.field(name) is None, f"{name} is there\n{shown}"
    for text in expect.get("body_absent", ()):
        assert text not in first.body.decode("latin-1"), shown


def still_healthy(people):
    with Connection(people.api.port) as connection:
        connection.send(request_bytes("GET", "/health", host=people.host))
        return connection.answer("GET", "/health").status
