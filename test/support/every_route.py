"""A request to every route, made once and once more: what a fault in between may leave behind is judged by both.

Routes of the admin socket are among them; not the two of backups, which are written by a thread of their own and have
tests of their own (unit/store/sqlite/backup_test.c, api/backup_test.py)."""

import dataclasses
import json
import pathlib
import re
import time
import typing

from support import contract, seen, torture, websocket
from support.api import new_name, with_query
from support.http import ANSWER_DEADLINE_S, Closed, Connection, Malformed, Response, request_bytes
from support.ledger import Send

PREKEYS = 200  # as many as there may be; each try claims two
ADMIN = "admin "  # before the pattern of a route of the admin socket


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
    admin_route: str = ""          # its pattern, when it is one of the admin socket

    @property
    def operation(self):
        return (self.method, ADMIN + self.admin_route) if self.admin_route else contract.route_of(self.method,
                                                                                                  self.target)

    def ask(self, server):
        with Connection(server.port, path=server.admin_socket if self.admin_route else None) as connection:
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
        self.upload(self.bob.account.token, PREKEYS).ask(crowd.server).expect(200)
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
            lambda: self.admin("GET", "/accounts", holds=bool),
            lambda: self.admin("GET", "/accounts/{username}", self.bob.account.username),
            lambda: self.admin("GET", "/accounts/{username}/sessions", self.bob.account.username, holds=bool),
            lambda: self.admin("GET", "/stats"),
            lambda: self.admin("GET", "/invites"),
            lambda: self.admin("POST", "/accounts", body={"username": new_name("mem")}, again=409),
            lambda: self.admin("DELETE", "/accounts/{username}", self.new_account().username, again=404),
            lambda: self.admin("POST", "/accounts/{username}/password", self.new_account().username),
            lambda: self.admin("POST", "/accounts/{username}/sessions/end", self.new_account().username),
            lambda: self.admin("POST", "/accounts/{username}/disable", self.new_account().username),
            self.enable,
            lambda: self.admin("POST", "/invites"),
            lambda: self.admin("DELETE", "/invites/{id}", self.new_invite()["id"], again=404),
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

    def admin(self, method, pattern, name="", body=None, **more):
        fields = [("Content-Type", "application/json")] if body is not None else []
        target = re.sub(r"\{.*\}", str(name), pattern)
        data = None if body is None else json.dumps(body).encode()
        return Row(method, target, request_bytes(method, target, fields, data), 200, admin_route=pattern, **more)

    # -- what they use up ----------------------------------------------------------------------------

    def done(self, method, target, token=None, status=204):
        answer = self.crowd.server.api.request(method, target, token or self.alice.account.token)
        return answer.expect(status)

    def new_account(self):
        return self.crowd.server.api.create()

    def new_session(self):
        return self.crowd.server.api.login(self.alice.account.username, self.alice.account.password).token

    def admin_done(self, *of, **more):
        return self.admin(*of, **more).ask(self.crowd.server).expect(200).json()

    def new_invite(self):
        return self.admin_done("POST", "/invites")

    def enable(self):
        name = self.new_account().username
        self.admin_done("POST", "/accounts/{username}/disable", name)
        return self.admin("POST", "/accounts/{username}/enable", name)

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


def operations():
    """All that has to be tried: those of the contract, and of the table of the admin socket but for backups."""
    table = (pathlib.Path(__file__).resolve().parents[2] / "src/api/admin_routes.c").read_text()
    admin = {(method, ADMIN + pattern) for method, pattern in re.findall(r'METHOD_(\w+),\s+"(/[^"]*)"', table)
             if pattern not in ("/readyz", "/backups")}
    assert len(admin) > 10
    return {(method, path) for method, path, *_ in contract.operations()} | admin


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
    """The command's result as the answer; what was sent is told, too."""
    response = connection.answer(row.method, row.target)
    if response.status != 101:
        return response
    connection.send(command)
    deadline_s = time.monotonic() + ANSWER_DEADLINE_S
    result, events = None, 0
    while result is None or (result["status"] == 200 and not events):
        opcode, payload = websocket.server_frame(connection, deadline_s)
        if opcode == websocket.CLOSE:
            raise Closed(payload, False)
        message = json.loads(payload) if opcode == websocket.TEXT else {"type": "ping"}
        result = message if message["type"] == "result" else result
        events += message["type"] == "message"
    told = Response(result["status"], "", "HTTP/1.1", [])
    told.body = json.dumps(result["body"]).encode()
    return told


def try_row(server, row, crowd, refusals):
    """One request on a connection of its own: its status, 0 for an end without an answer. It may be refused with the
    codes that are among the refusals."""
    try:
        response = row.ask(server)
    except (Closed, Malformed, OSError):
        return 0
    row.first = response
    if response.status >= 500:
        code = response.code
        crowd.refused[code] = crowd.refused.get(code, 0) + 1
        assert response.status == 503, response.describe()
        assert row.target == "/readyz" or code is None or code in refusals, response.describe()
    else:
        assert response.status == row.right, f"not {row.right}\n{response.describe()}"
        assert row.holds is None or row.holds(response.json()), f"it does not hold\n{response.describe()}"
    return response.status


def repeat(server, row):
    """The request once more, without a fault: as it should be. False when the process is gone or going."""
    try:
        response = row.ask(server)
    except (Closed, OSError):
        return False
    assert response.status in row.right_again(), f"not {row.right_again()}\n{response.describe()}"
    if row.method == "GET" and row.holds is not None:
        assert row.holds(response.json()), f"it does not hold\n{response.describe()}"
    if row.sent is not None:
        row.sent.message_id = response.json()["message_id"]
    return True
