"""The n-th allocation fails, for every n of a start and of a request to every route: an error of the server's or
the abort that base/require.h documents, never another answer, and then all goes on."""

import json
import mmap
import pathlib
import signal
import struct
import subprocess
import time

import pytest

from support import seen, torture
from support.api import new_name, with_query
from support.http import SANITIZED, Closed, Connection, Malformed, request_bytes
from support.ledger import Crowd, Send
from support.server import START_DEADLINE_S, Server, run
from support.websocket import frame, handshake_fields

HERE = pathlib.Path(__file__).resolve().parent
# Told for a server that has no memory: nothing was done, or (COMMIT) perhaps.
REFUSALS = {"store_failed", "overloaded", "outcome_unknown", "migrating"}
LEFT_MORE_MAX = 3  # libraries' own, at exit
TRIES_MAX = 400  # allocations of one request; a guard against a test without end

pytestmark = pytest.mark.skipif(SANITIZED, reason="the sanitizer's allocator cannot be replaced; run against release")


class Allocations:
    """The numbers of allocation_fault.c, shared with the process."""

    def __init__(self, path):
        path.write_bytes(bytes(32))
        with open(path, "r+b") as file:
            self.shown = mmap.mmap(file.fileno(), 32)

    def fail(self, number):
        self.shown[0:16] = struct.pack("<qq", number, 0)

    @property
    def left(self):
        return struct.unpack_from("<q", self.shown, 0)[0]

    @property
    def failed(self):
        return struct.unpack_from("<q", self.shown, 8)[0]

    @property
    def alive(self):
        return struct.unpack_from("<q", self.shown, 24)[0]


@pytest.fixture(scope="module", name="shim")
def fixture_shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("fault") / "allocation_fault.so"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-fno-builtin", "-o", str(path), str(HERE / "allocation_fault.c")], check=True)
    return path


@pytest.fixture(name="allocations")
def fixture_allocations(tmp_path):
    return Allocations(tmp_path / "allocations")


@pytest.fixture(name="server")
def fixture_server(tmp_path, shim, allocations):
    server = Server(tmp_path / "server", LD_PRELOAD=shim, MIGCHAT_ALLOCATIONS=tmp_path / "allocations")
    yield server
    allocations.fail(0)
    if server.process is not None:
        server.kill()


def ends_as_documented(server):
    """It aborted, and said where: a REQUIRE that something is there. False where libuv did, which says nothing when
    its table of descriptors cannot grow, or, before it listened, glibc, which looks for the user."""
    status = server.process.wait(START_DEADLINE_S)
    server._reader.join()
    server.process = None
    log = server.log()
    assert status == -signal.SIGABRT or (status == -signal.SIGSEGV and not server.events("opening")), \
        f"it ended with {status}\n{log}"
    return "not true: " in log


# ---- a request to every route ---------------------------------------------------------------------

class Requests:
    """(name, what to send, the answers that are right) of every route, made anew for each try."""

    def __init__(self, crowd):
        self.crowd = crowd
        self.alice, self.bob = crowd.members

    def bearer(self, token=None):
        return [("Authorization", f"Bearer {token or self.alice.account.token}")]

    def json(self, method, target, body, token=None):
        data = json.dumps(body).encode()
        return request_bytes(method, target, [*self.bearer(token), ("Content-Type", "application/json")], data)

    def get(self, target, *more):
        return request_bytes("GET", target, [*self.bearer(), *more])

    def all(self):
        """name -> (method, target, bytes, right statuses)."""
        alice, bob = self.alice.account, self.bob.account
        other = new_name("mem")
        self.crowd.names[other] = None
        key = seen.new_content()
        rows = [
            ("GET", "/health", self.get("/health"), 200),
            ("GET", "/livez", self.get("/livez"), 200),
            ("GET", "/readyz", self.get("/readyz"), 200),
            ("POST", "/api/account/create",
             self.json("POST", "/api/account/create", {"username": other, "password": seen.new_password()}), 200),
            ("POST", "/api/account/login",
             self.json("POST", "/api/account/login", {"username": bob.username, "password": bob.password}), 200),
            ("POST", "/api/account/login",
             self.json("POST", "/api/account/login", {"username": bob.username, "password": "wrong"}), 401),
            ("POST", "/api/account/logout",
             request_bytes("POST", "/api/account/logout", self.bearer("A" * 32), b""), 401),
            ("GET", "/api/account", self.get("/api/account"), 200),
            ("POST", "/api/account/update-username",
             self.json("POST", "/api/account/update-username", {"new_username": alice.username}), 200),
            ("POST", "/api/account/password",
             self.json("POST", "/api/account/password",
                       {"current_password": alice.password, "new_password": alice.password}), 204),
            ("POST", "/api/account/delete",
             self.json("POST", "/api/account/delete", {"password": "wrong"}), 401),
            ("GET", "/api/sessions", self.get("/api/sessions"), 200),
            ("DELETE", "/api/sessions/99999999", request_bytes("DELETE", "/api/sessions/99999999", self.bearer()), 404),
            ("POST", "/api/messages/send",
             self.json("POST", "/api/messages/send",
                       {"to_username": bob.username, "content": key, "client_id": key[-16:]}), 200),
            ("GET", "/api/messages", self.get("/api/messages"), 200),
            ("GET", "/api/messages", self.get("/api/messages?limit=3"), 200),
            ("GET", "/api/messages/filtered",
             self.get(with_query("/api/messages/filtered", with_user=bob.username)), 200),
            ("POST", "/api/messages/mark-read",
             request_bytes("POST", with_query("/api/messages/mark-read", with_user=alice.username),
                           self.bearer(bob.token), b""), 200),
            ("GET", "/api/conversations", self.get("/api/conversations"), 200),
            ("GET", "/api/events", self.get("/api/events"), 200),
            ("GET", "/api/events/stream", self.get("/api/events/stream"), 200),
            ("GET", "/api/ws", request_bytes("GET", "/api/ws", [*self.bearer(), *handshake_fields()]), 101),
            ("POST", "/api/typing",
             request_bytes("POST", with_query("/api/typing", with_user=bob.username), self.bearer(), b""), 204),
            ("POST", "/api/keys/upload",
             self.json("POST", "/api/keys/upload", {"key_bundle": {
                 "identity_key": "i", "signed_prekey": "s", "signed_prekey_signature": "g",
                 "one_time_prekeys": [seen.new_content() for _ in range(8)]}}, bob.token), 200),
            ("POST", "/api/keys/claim", self.json("POST", "/api/keys/claim", {"username": bob.username}), 200),
            ("GET", f"/api/keys/{bob.username}", self.get(f"/api/keys/{bob.username}"), 200),
            ("GET", "/api/keys", self.get("/api/keys"), 200),
            ("GET", "/openapi.json", self.get("/openapi.json", ("Accept-Encoding", "gzip")), 200),
            ("GET", "/docs", self.get("/docs"), 200),
        ]
        return rows


def try_row(server, row, crowd):
    """One request on a connection of its own: its status, 0 for an end without an answer."""
    method, target, data, right = row
    try:
        with Connection(server.port) as connection:
            connection.send(data)
            if target in ("/api/events/stream", "/api/ws"):
                response = connection.head()
                if response.status == 101:
                    connection.send(frame('{"type":"send","ref":"1","to_username":"nobody","content":"x"}'))
                    connection.more(time.monotonic() + 2)
                elif response.status >= 500:
                    connection.body(response, method, time.monotonic() + 2)
            else:
                response = connection.answer(method, target)
    except (Closed, Malformed, OSError):
        return 0
    if response.status >= 500:
        code = response.code
        crowd.refused[code] = crowd.refused.get(code, 0) + 1
        assert target == "/readyz" or code is None or code in REFUSALS, f"{method} {target}\n{response.describe()}"
    else:
        assert response.status == right, f"not {right} for want of memory\n{response.describe()}"
        note_done(row, response, crowd)
    return response.status


def note_done(row, response, crowd):
    method, target, _data, right = row
    body = None
    if right == 200 and response.status == 200 and target.startswith("/api/") and target != "/api/events/stream":
        body = response.json()
    if target == "/api/messages":
        texts = [message["content"] for message in body]
        known = {each.content for each in crowd.members[0].sends}
        assert set(texts) <= known and all(message["from_username"] for message in body), "not what was sent"


def test_a_request_that_finds_no_memory(server, allocations, tell):
    server.start()
    crowd = Crowd(server, 2, "memory")
    alice, bob = crowd.members
    for number in range(30):
        alice.send(torture.chance(number), bob)
    step = torture.size(5, 1)
    chance = torture.chance("memory")
    survived = []
    aborted = refused = closed = served = by_libraries = 0
    requests = Requests(crowd)
    count = len(requests.all())
    for place in range(count):
        number = 1 + chance.randrange(step)
        while number < TRIES_MAX:
            row = requests.all()[place]
            sent = sent_of(row, crowd)
            allocations.fail(number)
            status = try_row(server, row, crowd)
            met = allocations.failed > 0
            allocations.fail(0)
            # The next request is served, and says what has become of this one.
            if not repeat(server, row, sent):
                by_documents = ends_as_documented(server)
                aborted += by_documents
                by_libraries += not by_documents
                server.start()
                assert repeat(server, row, sent)
            elif met:
                refused += status >= 500
                closed += status == 0
                served += 0 < status < 500
                survived.append((place, number))
            if not met:
                break
            number += step
        assert number < TRIES_MAX, f"{row[:2]} allocates without end"
    crowd.judge()
    server.stop()
    checked = run("verify", server.database)
    assert checked.returncode == 0, checked.stderr
    assert aborted + refused + closed > 0
    codes = dict(crowd.refused)
    # The same once more in one life each, without and with the faults: as much is left at the end.
    left_without = left_at_exit(server, allocations, crowd, [(place, 0) for place, _ in survived])
    left = left_at_exit(server, allocations, crowd, survived)
    tell(f"{count} requests to every route: of {aborted + refused + closed + served} allocations that failed "
         f"{aborted} aborted as documented, {by_libraries} in libuv, {refused} were answered 503 {codes}, "
         f"{closed} closed the connection, {served} were not needed; {left} blocks left at the exit, without faults "
         f"{left_without}")
    assert by_libraries <= count  # the one for a descriptor, at some of them
    assert left <= left_without + LEFT_MORE_MAX, "a request that found no memory leaks"


def left_at_exit(server, allocations, crowd, faults):
    """Blocks of memory that the process has when it has ended orderly, behind these requests."""
    server.start()
    requests = Requests(crowd)
    for place, number in faults:
        row = requests.all()[place]
        sent = sent_of(row, crowd)
        allocations.fail(number)
        try_row(server, row, crowd)
        allocations.fail(0)
        if not repeat(server, row, sent):
            # Another allocation than before was the one: without it.
            ends_as_documented(server)
            return left_at_exit(server, allocations, crowd, [each for each in faults if each != (place, number)])
    server.stop()
    return allocations.alive


def sent_of(row, crowd):
    """The note of a send that is tried, to be acknowledged by its repetition."""
    if row[1] != "/api/messages/send":
        return None
    body = json.loads(row[2].split(b"\r\n\r\n", 1)[1])
    sent = Send(crowd.members[1].account.user_id, body["content"])
    crowd.members[0].sends.append(sent)
    return sent


def repeat(server, row, sent):
    """The request once more, with memory: as it should be. False when the process is gone or going."""
    method, target, data, right = row
    try:
        with Connection(server.port) as connection:
            connection.send(data)
            if target in ("/api/events/stream", "/api/ws"):
                response = connection.head()
            else:
                response = connection.answer(method, target)
    except (Closed, OSError):
        return False
    # An account that the first try created, whose answer was lost.
    assert response.status in (right, 409 if target == "/api/account/create" else right), response.describe()
    if sent is not None:
        sent.message_id = response.json()["message_id"]
    return True


def listens(server):
    """True when it serves, False when it has ended."""
    deadline_s = time.monotonic() + START_DEADLINE_S
    while not server.events("listening"):
        if server.process.poll() is not None:
            return False
        assert time.monotonic() < deadline_s, server.log()
        time.sleep(0.002)  # it is opening: the log or its end is what is waited for
    server.port = int(server.events("listening")[0]["port"])
    return True


# ---- a start --------------------------------------------------------------------------------------

def test_a_start_that_finds_no_memory(server, allocations, tell):
    server.start()
    account = server.api.create()
    message = account.send(account)
    server.stop()
    chance = torture.chance("start")
    aborted = refused = started = by_libraries = 0
    number = 1
    while True:
        allocations.fail(number)
        server.spawn()
        if listens(server):
            met = allocations.failed
            allocations.fail(0)
            started += 1
            server.stop()
            if not met:
                break
        else:
            assert allocations.failed, server.log()
            status = server.process.wait(START_DEADLINE_S)
            if status in (1, 2):
                server.wait_exit(status)
                refused += 1
            elif ends_as_documented(server):
                aborted += 1
            else:
                by_libraries += 1
        number += 1 if torture.IS_LONG else 1 + chance.randrange(60)
    server.start()
    account.api = server.api
    assert [each["id"] for each in account.messages()] == [message["message_id"]]
    server.stop()
    tell(f"{number} allocations of a start: {aborted} aborted as documented, {refused} refused to start, {started} "
         f"were not needed, at {by_libraries} libuv or glibc ended it")
    assert by_libraries <= 5
