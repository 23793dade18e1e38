"""The n-th allocation fails, for every n of a start and of a request to every route: an error of the server's or
the abort that base/require.h documents, never another answer, and then all goes on."""

import dataclasses
import json
import mmap
import pathlib
import signal
import struct
import subprocess
import time
import typing

import pytest

from support import contract, seen, torture, websocket
from support.api import new_name, with_query
from support.http import ANSWER_DEADLINE_S, SANITIZED, Closed, Connection, Malformed, Response, request_bytes
from support.ledger import Crowd, Send
from support.server import START_DEADLINE_S, Server, run

HERE = pathlib.Path(__file__).resolve().parent
# Told for a server that has no memory: nothing was done, or (COMMIT) perhaps.
REFUSALS = {"store_failed", "overloaded", "outcome_unknown", "migrating"}
LEFT_MORE_MAX = 3  # libraries' own, at exit
TRIES_MAX = 400  # allocations of one request; a guard against a test without end
PREKEYS = 200  # as many as there may be; each try claims two

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

@dataclasses.dataclass
class Row:
    """A request that is made once, and once more."""
    method: str
    target: str
    data: bytes
    right: int
    again: int = 0                 # what is right when it was done before, where that is another answer
    holds: typing.Callable = None  # of the body that tells that it is done now
    read: typing.Callable = None   # of the connection: what it is answered, where that is not all
    sent: Send = None              # the note of the message, to be acknowledged
    first: Response = None         # what the first try was answered

    @property
    def operation(self):
        return contract.route_of(self.method, self.target)

    def ask(self, port):
        with Connection(port) as connection:
            connection.send(self.data)
            response = self.read(connection) if self.read else connection.answer(self.method, self.target)
        response.sent = f"{self.method} {self.target}"
        return response

    def right_again(self):
        """A refusal says that nothing was done; who got no answer does not know."""
        again = self.again or self.right
        if self.first is None or self.first.code == "outcome_unknown":
            return {self.right, again}
        return {self.right if self.first.status >= 500 else again}


class Requests:
    """What is tried: each of `rows` makes its request anew, and before that what the request uses up. Without a
    fault every operation of the contract succeeds."""

    def __init__(self, crowd):
        self.crowd = crowd
        self.alice, self.bob = crowd.members
        self.carl = crowd.server.api.create()
        self.upload(self.bob.account.token, PREKEYS).ask(crowd.server.port).expect(200)
        self.rows = [
            lambda: self.get("/health"),
            lambda: self.get("/livez"),
            lambda: self.get("/readyz"),
            self.create,
            self.login,
            lambda: self.post("/api/account/login", 401, self.login_body("wrong")),
            lambda: self.post("/api/account/logout", 204, token=self.new_session(), again=401),
            lambda: self.post("/api/account/logout", 401, token="A" * 32),
            lambda: self.get("/api/account"),
            lambda: self.post("/api/account/update-username", 200, {"new_username": new_name("mem")},
                              self.new_account().token),
            lambda: self.post("/api/account/password", 204, {"current_password": self.alice.account.password,
                                                             "new_password": self.alice.account.password}),
            self.delete,
            lambda: self.post("/api/account/delete", 401, {"password": "wrong"}),
            lambda: self.get("/api/sessions"),
            lambda: self.bodyless("DELETE", f"/api/sessions/{self.new_session_id()}", 204, again=404),
            lambda: self.bodyless("DELETE", "/api/sessions/99999999", 404),
            self.send,
            lambda: self.get("/api/messages", self.is_of_alice),
            lambda: self.get("/api/messages?limit=3", self.is_of_alice),
            lambda: self.get(with_query("/api/messages/filtered", with_user=self.bob.account.username),
                             self.is_of_alice),
            self.mark_read,
            lambda: self.get("/api/conversations", bool),
            self.block_list,
            self.block,
            self.unblock,
            self.event_list,
            self.event_stream,
            self.socket,
            lambda: self.post(with_query("/api/typing", with_user=self.bob.account.username), 204),
            lambda: self.upload(self.carl.token, 8),
            self.claim,
            lambda: self.get(f"/api/keys/{self.bob.account.username}"),
            lambda: self.get("/api/keys"),
            lambda: self.get("/openapi.json", fields=[("Accept-Encoding", "gzip")]),
            lambda: self.get("/docs"),
        ]

    def is_of_alice(self, rows):
        """What she sent, and nothing else."""
        known = {each.content for each in self.alice.sends}
        return rows and {row["content"] for row in rows} <= known and all(row["from_username"] for row in rows)

    # -- making them -------------------------------------------------------------------------------

    def bearer(self, token=None):
        return [("Authorization", f"Bearer {token or self.alice.account.token}")]

    def get(self, target, holds=None, fields=()):
        return Row("GET", target, request_bytes("GET", target, [*self.bearer(), *fields]), 200, holds=holds)

    def bodyless(self, method, target, right, again=0):
        return Row(method, target, request_bytes(method, target, self.bearer()), right, again)

    def post(self, target, right, body=None, token=None, again=0, **more):
        fields = self.bearer(token) + ([("Content-Type", "application/json")] if body is not None else [])
        data = b"" if body is None else json.dumps(body).encode()
        return Row("POST", target, request_bytes("POST", target, fields, data), right, again, **more)

    # -- what they use up ----------------------------------------------------------------------------

    def done(self, method, target, token=None, status=204):
        answer = self.crowd.server.api.request(method, target, token or self.alice.account.token)
        return answer.expect(status)

    def new_account(self):
        return self.crowd.server.api.create()

    def new_session(self):
        return self.crowd.server.api.login(self.alice.account.username, self.alice.account.password).token

    def new_session_id(self):
        rows = self.done("GET", "/api/sessions", self.new_session(), 200).json()
        return next(row["id"] for row in rows if row["current"])

    def before_the_last(self):
        """The cursor that only the last entry of Alice's log is behind."""
        epoch, seq = self.done("GET", "/api/events", status=200).json()["cursor"].split(":")
        return f"{epoch}:{int(seq) - 1}"

    # -- those that need more than a line ------------------------------------------------------------

    def create(self):
        name = new_name("mem")
        return self.post("/api/account/create", 200, {"username": name, "password": seen.new_password()}, again=409)

    def login_body(self, password):
        return {"username": self.bob.account.username, "password": password}

    def login(self):
        return self.post("/api/account/login", 200, self.login_body(self.bob.account.password))

    def delete(self):
        account = self.new_account()
        return self.post("/api/account/delete", 204, {"password": account.password}, account.token, again=401)

    def new_send(self):
        """A message that is only sent by its request, and the request's members."""
        sent = Send(self.bob.account.user_id, seen.new_content())
        self.alice.sends.append(sent)
        return sent, {"to_username": self.bob.account.username, "content": sent.content,
                      "client_id": sent.content[-16:]}

    def send(self):
        sent, body = self.new_send()
        return self.post("/api/messages/send", 200, body, sent=sent)

    def mark_read(self):
        self.alice.send(torture.chance(len(self.alice.sends)), self.bob)
        return self.post(with_query("/api/messages/mark-read", with_user=self.alice.account.username), 200,
                         token=self.bob.account.token, holds=lambda body: body["marked_read"] > 0)

    def block_list(self):
        self.done("PUT", f"/api/blocks/{self.carl.username}")
        return self.get("/api/blocks", lambda rows: [row["username"] for row in rows] == [self.carl.username])

    def block(self):
        self.done("DELETE", f"/api/blocks/{self.carl.username}")
        return self.bodyless("PUT", f"/api/blocks/{self.carl.username}", 204)

    def unblock(self):
        self.done("PUT", f"/api/blocks/{self.carl.username}")
        return self.bodyless("DELETE", f"/api/blocks/{self.carl.username}", 204)

    def event_list(self):
        return self.get(with_query("/api/events", since=self.before_the_last()), lambda body: body["events"])

    def event_stream(self):
        """Opened, and told the last event."""
        row = self.get(with_query("/api/events/stream", since=self.before_the_last()))
        row.read = lambda connection: stream_read(connection, row)
        return row

    def socket(self):
        """Opened, told the last event, and answered a send."""
        target = with_query(websocket.PATH, since=self.before_the_last())
        sent, members = self.new_send()
        command = websocket.frame(json.dumps({"type": "send", "ref": "1", **members}))
        row = Row("GET", target, request_bytes("GET", target, [*self.bearer(), *websocket.handshake_fields()]), 200,
                  sent=sent)
        row.read = lambda connection: socket_read(connection, row, command)
        return row

    def upload(self, token, count):
        bundle = {"identity_key": "i", "signed_prekey": "s", "signed_prekey_signature": "g",
                  "one_time_prekeys": [seen.new_content() for _ in range(count)]}
        return self.post("/api/keys/upload", 200, {"key_bundle": bundle}, token)

    def claim(self):
        return self.post("/api/keys/claim", 200, {"username": self.bob.account.username}, holds=self.is_new_prekey)

    def is_new_prekey(self, body):
        keys = body["key_bundle"]["one_time_prekeys"]
        self.crowd.claimed += keys
        return len(keys) == 1


def stream_read(connection, row):
    response = connection.head()
    deadline_s = time.monotonic() + ANSWER_DEADLINE_S
    if response.status != 200:
        connection.body(response, row.method, deadline_s)
        return response
    while b"\ndata: " not in response.body:
        part = connection.chunk(deadline_s)
        if not part:
            raise Closed(response.body, False)
        response.body += part
    assert b'"type":"reset"' not in response.body, response.body
    return response


def socket_read(connection, row, command):
    """The command's result as the answer."""
    response = connection.answer(row.method, row.target)
    if response.status != 101:
        return response
    connection.send(command)
    deadline_s = time.monotonic() + ANSWER_DEADLINE_S
    result, events = None, 0
    while result is None or not events:
        opcode, payload = websocket.server_frame(connection, deadline_s)
        if opcode == websocket.CLOSE:
            raise Closed(payload, False)
        message = json.loads(payload) if opcode == websocket.TEXT else {"type": "ping"}
        result = message if message["type"] == "result" else result
        events += message["type"] == "message"
    told = Response(result["status"], "", "HTTP/1.1", [])
    told.body = json.dumps(result["body"]).encode()
    return told


def try_row(server, row, crowd):
    """One request on a connection of its own: its status, 0 for an end without an answer."""
    try:
        response = row.ask(server.port)
    except (Closed, Malformed, OSError):
        return 0
    row.first = response
    if response.status >= 500:
        code = response.code
        crowd.refused[code] = crowd.refused.get(code, 0) + 1
        assert row.target == "/readyz" or code is None or code in REFUSALS, response.describe()
    else:
        assert response.status == row.right, f"not {row.right} for want of memory\n{response.describe()}"
        assert row.holds is None or row.holds(response.json()), f"it does not hold\n{response.describe()}"
    return response.status


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
    count = len(requests.rows)
    succeeded = set()
    for place, make in enumerate(requests.rows):
        number = 1 + chance.randrange(step)
        while number < TRIES_MAX:
            row = make()
            allocations.fail(number)
            status = try_row(server, row, crowd)
            met = allocations.failed > 0
            allocations.fail(0)
            # The next request is served, and says what has become of this one.
            if not repeat(server, row):
                by_documents = ends_as_documented(server)
                aborted += by_documents
                by_libraries += not by_documents
                server.start()
                assert repeat(server, row)
            elif met:
                refused += status >= 500
                closed += status == 0
                served += 0 < status < 500
                survived.append((place, number))
            if not met:
                assert status == row.right, f"{row.operation} is answered {status} with all memory there is"
                succeeded |= {row.operation} if status < 400 else set()
                break
            number += step
        assert number < TRIES_MAX, f"{row.operation} allocates without end"
    operations = {(method, path) for method, path, *_ in contract.operations()}
    assert succeeded == operations, f"never tried, or never done: {operations ^ succeeded}"
    crowd.judge()
    server.stop()
    checked = run("verify", server.database)
    assert checked.returncode == 0, checked.stderr
    assert aborted + refused + closed > 0
    codes = dict(crowd.refused)
    # The same once more in one life each, without and with the faults: as much is left at the end.
    left_without = left_at_exit(server, allocations, crowd, [(place, 0) for place, _ in survived])
    left = left_at_exit(server, allocations, crowd, survived)
    tell(f"{count} requests, {len(succeeded)} operations: "
         f"of {aborted + refused + closed + served} allocations that failed {aborted} aborted as documented, "
         f"{by_libraries} in libuv, {refused} were answered 503 {codes}, {closed} closed the connection, "
         f"{served} were not needed; {left} blocks left at the exit, without faults {left_without}")
    assert by_libraries <= count  # the one for a descriptor, at some of them
    assert left <= left_without + LEFT_MORE_MAX, "a request that found no memory leaks"


def left_at_exit(server, allocations, crowd, faults):
    """Blocks of memory that the process has when it has ended orderly, behind these requests."""
    server.start()
    requests = Requests(crowd)
    for place, number in faults:
        row = requests.rows[place]()
        allocations.fail(number)
        try_row(server, row, crowd)
        allocations.fail(0)
        if not repeat(server, row):
            # Another allocation than before was the one: without it.
            ends_as_documented(server)
            return left_at_exit(server, allocations, crowd, [each for each in faults if each != (place, number)])
    server.stop()
    return allocations.alive


def repeat(server, row):
    """The request once more, with memory: as it should be. False when the process is gone or going."""
    try:
        response = row.ask(server.port)
    except (Closed, OSError):
        return False
    assert response.status in row.right_again(), f"not {row.right_again()}\n{response.describe()}"
    if row.sent is not None:
        row.sent.message_id = response.json()["message_id"]
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
