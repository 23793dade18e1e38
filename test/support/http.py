"""A small HTTP/1.1 client over raw sockets.

`Connection` sends any bytes and reads answers one by one (keep-alive, pipelining, chunked,
length-delimited and close-delimited bodies, HEAD, 1xx). `Api` (support.api) is for well-formed
requests. Every wait has a deadline; nothing sleeps.
"""

import gzip
import json
import os
import socket
import time

from support import contract, seen

SANITIZED = os.environ.get("MIGCHAT_SANITIZED") == "1"
MEMCHECK = os.environ.get("MIGCHAT_MEMCHECK") == "1"  # under valgrind: sanitized as well, and slower
# How much longer everything may take under sanitizers.
SLOWNESS = 25 if MEMCHECK else 5 if SANITIZED else 1
ANSWER_DEADLINE_S = 20 * SLOWNESS
ABSENT = object()
SHOWN_BYTES = 600


class Closed(Exception):
    """The server closed the connection before a whole answer."""

    def __init__(self, partial, reset):
        super().__init__(f"closed{' by reset' if reset else ''} after {partial[:SHOWN_BYTES]!r}")
        self.partial = partial
        self.reset = reset


class Silent(Exception):
    """The deadline passed without a whole answer."""


class Malformed(Exception):
    """The answer is not well-formed HTTP/1.1."""


class Response:
    def __init__(self, status, reason, version, fields):
        self.status = status
        self.reason = reason
        self.version = version
        self.fields = fields
        self.interim = []
        self.body = b""
        self.chunks = 0
        self.sent = ""
        self._parsed = None

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def field(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    @property
    def text(self):
        packed = self.field("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode("utf-8")

    def json(self):
        """The body as JSON, parsed once: long lists are checked against the contract, too."""
        try:
            if self._parsed is None:
                self._parsed = (json.loads(self.text, object_pairs_hook=unique_members),)
            return self._parsed[0]
        except ValueError as fault:
            raise AssertionError(f"{self.describe()}\nis not JSON: {fault}") from fault

    @property
    def code(self):
        """The stable code of an error answer, else None."""
        if self.status < 400 or not self.body:
            return None
        try:
            return json.loads(self.body).get("code")
        except (ValueError, AttributeError):
            return None

    @property
    def ends_connection(self):
        options = ",".join(self.all("connection")).lower()
        words = [word.strip() for word in options.split(",")]
        return "close" in words or (self.version == "HTTP/1.0" and "keep-alive" not in words)

    def describe(self):
        head = "".join(f"\n    {name}: {value}" for name, value in self.fields)
        return (f"sent: {self.sent[:SHOWN_BYTES]}\ncame: {self.status} {self.reason}{head}\n"
                f"    {self.body[:SHOWN_BYTES]!r}")

    def expect(self, status, code=None):
        """This answer, if its status (one, or any of a tuple) and code are as wanted."""
        wanted = status if isinstance(status, (tuple, list, set)) else (status,)
        assert self.status in wanted, f"wanted {wanted} {code or ''}\n{self.describe()}"
        if code is not None:
            codes = code if isinstance(code, (tuple, list, set)) else (code,)
            assert self.code in codes, f"wanted code {codes}\n{self.describe()}"
        return self


def has_ipv6():
    """Containers often have not even the loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def unique_members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(f"a member twice: {[name for name, _ in pairs]}")
    return members


def check_error_body(response, method="GET"):
    """The body every answer of 400 and above must have."""
    if response.status < 400 or method == "HEAD":
        return
    shown = response.describe()
    body = response.json()
    assert isinstance(body, dict), shown
    media = response.field("content-type", "").split(";")[0].strip()
    assert media in ("application/json", "application/problem+json"), shown
    wording = "error" if media == "application/json" else "title"
    for member, kind in ((wording, str), ("code", str), ("status", int), ("request_id", str)):
        assert type(body.get(member)) is kind, f"member {member}\n{shown}"
    assert body["status"] == response.status, shown
    code = body["code"]
    assert code and code.replace("_", "").isalnum() and code == code.lower() and code.isascii(), \
        f"code {code!r} is not snake_case\n{shown}"
    assert body[wording].strip(), shown
    assert body["request_id"] == response.field("x-request-id"), shown
    if response.status == 401:
        assert response.field("www-authenticate", "").startswith("Bearer"), shown
    if response.status == 405:
        assert response.field("allow"), shown
    if response.status in (429, 503):
        assert response.field("retry-after", "").isdigit(), shown


def request_bytes(method, target, fields=(), body=None, version="HTTP/1.1", host="localhost"):
    """One request. `host` None leaves the Host field out; a body gets its Content-Length."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Connection:
    """To a port, or with a path to a Unix socket."""

    def __init__(self, port, address="127.0.0.1", receive_buffer=None, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(ANSWER_DEADLINE_S)
        self.socket.connect(path or (address, port))
        if not path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.ended = False
        self.reset = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.settimeout(ANSWER_DEADLINE_S)
        self.socket.sendall(data)

    # -- reading: each takes a moment of time.monotonic() after which it raises Silent --------

    def more(self, deadline):
        """Read what is there, waiting for at least a byte; False at the end of the stream."""
        if self.ended:
            return False
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Silent(bytes(self.received[:SHOWN_BYTES]))
        self.socket.settimeout(left_s)
        try:
            data = self.socket.recv(1 << 18)
        except socket.timeout:
            raise Silent(bytes(self.received[:SHOWN_BYTES])) from None
        except OSError:
            self.reset = True
            data = b""
        if not data:
            self.ended = True
        self.received += data
        return bool(data)

    def _until(self, mark, deadline):
        start = 0
        while True:
            at = self.received.find(mark, start)
            if at >= 0:
                taken = bytes(self.received[:at])
                del self.received[:at + len(mark)]
                return taken
            start = max(0, len(self.received) - len(mark) + 1)
            if not self.more(deadline):
                raise Closed(bytes(self.received), self.reset)

    def _exactly(self, count, deadline):
        while len(self.received) < count:
            if not self.more(deadline):
                raise Closed(bytes(self.received), self.reset)
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def _rest(self, deadline):
        while self.more(deadline):
            pass
        taken = bytes(self.received)
        self.received.clear()
        if self.reset:
            raise Closed(taken, True)
        return taken

    def head(self, deadline=None):
        """The next head as it comes, 1xx too, without its body."""
        deadline = deadline or time.monotonic() + ANSWER_DEADLINE_S
        lines = self._until(b"\r\n\r\n", deadline).decode("latin-1").split("\r\n")
        parts = lines[0].split(" ", 2)
        if len(parts) != 3 or parts[0] not in ("HTTP/1.1", "HTTP/1.0") \
                or len(parts[1]) != 3 or not parts[1].isdigit():
            raise Malformed(f"status line {lines[0]!r}")
        fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or any(c in line for c in "\r\n\0"):
                raise Malformed(f"field line {line!r}")
            fields.append((name, value.strip(" \t")))
        return Response(int(parts[1]), parts[2], parts[0], fields)

    def answer(self, method="GET", target="/", deadline=None):
        """The next final answer, whole; what came as 1xx before it is in `interim`."""
        deadline = deadline or time.monotonic() + ANSWER_DEADLINE_S
        interim = []
        response = self.head(deadline)
        while 100 <= response.status < 200 and response.status != 101:
            interim.append(response.status)
            response = self.head(deadline)
        response.interim = interim
        response.sent = f"{method} {target}"
        self.body(response, method, deadline)
        seen.note_answer(method, target, response.status, response.code)
        contract.check_answer(method, target, response)
        return response

    def body(self, response, method, deadline):
        """Read the body that belongs to `response` into it."""
        codings = response.all("transfer-encoding")
        lengths = response.all("content-length")
        if codings and lengths:
            raise Malformed(f"both framings\n{response.describe()}")
        if len(lengths) > 1:
            raise Malformed(f"two lengths\n{response.describe()}")
        if response.status == 204 and (codings or lengths):
            raise Malformed(f"204 with a framing field\n{response.describe()}")
        if method == "HEAD" or response.status in (101, 204, 304):
            return
        if codings:
            if [c.lower() for c in codings] != ["chunked"]:
                raise Malformed(f"coding {codings}")
            parts = []
            while True:
                part = self.chunk(deadline)
                if not part:
                    break
                parts.append(part)
            response.body = b"".join(parts)
            response.chunks = len(parts)
        elif lengths:
            response.body = self._exactly(int(lengths[0]), deadline)
        else:
            response.body = self._rest(deadline)

    def chunk(self, deadline=None):
        """The data of the next chunk; b"" for the last one, whose trailer is read too."""
        deadline = deadline or time.monotonic() + ANSWER_DEADLINE_S
        size = int(self._until(b"\r\n", deadline).split(b";")[0], 16)
        if size == 0:
            while self._until(b"\r\n", deadline):
                pass
            return b""
        data = self._exactly(size, deadline)
        if self._exactly(2, deadline) != b"\r\n":
            raise Malformed("no CRLF after a chunk")
        return data

    def expect_end(self, deadline=None):
        """Wait for the server's close; anything it sends before is a fault."""
        deadline = deadline or time.monotonic() + ANSWER_DEADLINE_S
        while self.more(deadline):
            pass
        assert not self.received, f"more came before the close: {bytes(self.received)!r}"


def exchange(port, data, method="GET", target="/", deadline=None):
    """Send bytes on a new connection and return the first final answer."""
    with Connection(port) as connection:
        connection.send(data)
        response = connection.answer(method, target, deadline)
        response.sent = repr(data[:SHOWN_BYTES])
        return response
