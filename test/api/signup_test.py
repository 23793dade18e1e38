"""Who may sign up, invites, and accounts that the operator has disabled."""

import concurrent.futures
import http.client
import json
import socket

import pytest

from support import seen
from support.api import new_name
from support.events import EventStream, now, poll_raw
from support.server import Server
from tokens_test import IDS, ROUTES, ask

UNKNOWN = "A" * 20


class AdminConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def operator(running, method, path, body=None):
    """Status and decoded body of one request to the admin socket."""
    connection = AdminConnection(running.admin_socket)
    try:
        fields = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), fields)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    answer = json.loads(text) if text else {}
    seen.note_answer(method, path, response.status, isinstance(answer, dict) and answer.get("code"))
    return response.status, answer


def invite(running, **members):
    status, answer = operator(running, "POST", "/invites", members)
    assert status == 200, answer
    seen.note_password(answer["code"])  # in no log and in no file
    return answer


def listed(running):
    rows, after = [], 0
    while True:
        status, answer = operator(running, "GET", f"/invites?after={after}")
        assert status == 200
        if not answer:
            return rows
        rows += answer
        after = rows[-1]["id"]


def sign_up(api, code=None, name=None):
    more = {} if code is None else {"invite": code}
    return api.create_raw(name or new_name(), seen.new_password(), **more)


@pytest.fixture(scope="module")
def invited(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("invited"), flags=["--signup", "invite"]) as started:
        yield started


def test_closed_takes_nobody(start):
    running = start(flags=["--signup", "closed"])
    sign_up(running.api).expect(403, "signup_closed")
    sign_up(running.api, invite(running)["code"]).expect(403, "signup_closed")


def test_open_looks_at_no_invite(server):
    sign_up(server.api, UNKNOWN).expect(200)
    made = invite(server)
    sign_up(server.api, made["code"]).expect(200)
    assert [row["uses_left"] for row in listed(server) if row["id"] == made["id"]] == [1]


def test_an_invite_is_for_as_many_as_it_says(invited):
    made = invite(invited, uses=2)
    assert len(made["code"]) == 20 and made["code"].isalnum()
    sign_up(invited.api, made["code"]).expect(200)
    sign_up(invited.api, made["code"]).expect(200)
    sign_up(invited.api, made["code"]).expect(403, "invite_invalid")
    row, = [row for row in listed(invited) if row["id"] == made["id"]]
    assert (row["uses_left"], row["state"]) == (0, "used up")
    assert "code" not in row


def test_a_refusal_does_not_tell_why(invited):
    used, revoked = invite(invited), invite(invited)
    expired = invite(invited, lasts_seconds=1)
    sign_up(invited.api, used["code"]).expect(200)
    assert operator(invited, "DELETE", f"/invites/{revoked['id']}")[0] == 200
    taken = invited.api.create_raw(new_name(), seen.new_password(),
                                   invite=invite(invited)["code"]).expect(200).json()["username"]
    while any(row["state"] == "valid" for row in listed(invited) if row["id"] == expired["id"]):
        pass
    bodies = set()
    for code in (None, "", UNKNOWN, used["code"], revoked["code"], expired["code"],
                 used["code"].swapcase()):
        for name in (None, taken):  # names are not to be probed either
            answer = sign_up(invited.api, code, name).expect(403, "invite_invalid").json()
            bodies.add((answer["error"], answer["code"], answer["status"]))
    assert len(bodies) == 1


def test_an_invite_outlives_a_name_that_is_taken(invited):
    code = invite(invited, uses=2)["code"]
    name = sign_up(invited.api, code).expect(200).json()["username"]
    sign_up(invited.api, code, name).expect(409, "username_taken")
    sign_up(invited.api, code).expect(200)


def test_many_at_once_use_it_once_each(invited):
    made = invite(invited, uses=5)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: sign_up(invited.api, made["code"]).status, range(20)))
    assert sorted(answers) == [200] * 5 + [403] * 15
    assert [row["uses_left"] for row in listed(invited) if row["id"] == made["id"]] == [0]


def test_invites_outlive_a_restart_and_keep_their_ids(start):
    running = start(flags=["--signup", "invite"])
    first = invite(running)
    running.restart()
    sign_up(running.api, first["code"]).expect(200)
    assert operator(running, "DELETE", f"/invites/{first['id']}")[0] == 200
    running.restart()
    assert invite(running)["id"] == first["id"] + 1


def test_a_long_list_comes_in_pages(start):
    running = start()
    ids = [invite(running)["id"] for _ in range(201)]
    status, answer = operator(running, "GET", "/invites")
    assert status == 200 and len(answer) == 100
    assert [row["id"] for row in listed(running)] == ids
    assert operator(running, "GET", "/invites?after=x")[1]["code"] == "query_malformed"


@pytest.mark.parametrize("body", [{"uses": 0}, {"uses": 100001}, {"lasts_seconds": 0},
                                  {"lasts_seconds": 3650 * 86400 + 1}, {"uses": -1}])
def test_an_invite_beyond_its_limits(invited, body):
    assert operator(invited, "POST", "/invites", body)[1]["code"] == "invite_not_allowed"


def test_an_invite_at_its_limits(invited):
    assert invite(invited, uses=100000, lasts_seconds=3650 * 86400)["uses_left"] == 100000


@pytest.mark.parametrize("which", ["999999999", "x", "0"])
def test_revoking_what_is_not_there(invited, which):
    assert operator(invited, "DELETE", f"/invites/{which}")[1]["code"] == "invite_not_found"


# -- disabled accounts -----------------------------------------------------------------------------

def disable(running, account):
    assert operator(running, "POST", f"/accounts/{account.username}/disable")[0] == 200


def enable(running, account):
    assert operator(running, "POST", f"/accounts/{account.username}/enable")[0] == 200


@pytest.fixture(scope="module")
def disabled(server):
    account = server.api.create()
    disable(server, account)
    return account


ALL_ROUTES = ROUTES + [("GET", "/api/events", None), ("GET", "/api/events/stream", None)]


@pytest.mark.parametrize("route", ALL_ROUTES, ids=IDS + ["events", "stream"])
def test_a_disabled_accounts_token_is_refused_everywhere(api, disabled, route):
    ask(api, route, disabled.token).expect(403, "account_disabled")


def test_only_who_knows_the_password_is_told_that_it_is_disabled(api, disabled):
    api.login_raw(disabled.username, "wrong").expect(401, "credentials_wrong")
    api.login_raw(disabled.username, disabled.password).expect(403, "account_disabled")


def test_enabling_gives_everything_back(start):
    server = start()
    alice, bob = server.api.create(), server.api.create()
    bob.send(alice, "before")
    alice.messages()
    alice.messages()  # the second comes from what is kept
    disable(server, alice)
    disable(server, alice)
    alice.get("/api/messages").expect(403, "account_disabled")
    bob.send(alice, "meanwhile")
    server.restart()
    alice.api = server.api
    alice.get("/api/messages").expect(403, "account_disabled")
    enable(server, alice)
    enable(server, alice)
    assert [message["content"] for message in alice.messages()] == ["meanwhile", "before"]
    server.api.login(alice.username, alice.password)


def test_a_disabled_accounts_streams_end(server, alice, bob):
    with EventStream(server.port, alice.token) as following:
        bob.send(alice, "last")
        assert following.event()["message"]["content"] == "last"
        disable(server, alice)
        assert following.event() is None and following.has_ended


def test_a_disabled_accounts_stream_ends_amid_its_messages(server, alice, bob):
    with EventStream(server.port, alice.token) as following:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sending = pool.submit(lambda: [bob.send(alice, "more") for _ in range(200)])
            while following.event()["type"] != "message":
                pass
            disable(server, alice)
            following.rest()
            sending.result()  # messages to it are taken all the same
        assert following.has_ended
    enable(server, alice)
    assert len(alice.messages()) == 200


def test_a_waiting_poll_is_told(server, alice):
    cursor = now(alice)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll_raw, alice, cursor, 20)
        disable(server, alice)
        waiting.result().expect(403, "account_disabled")


def test_nobody_is_disabled_who_is_not_there(server):
    for what in ("disable", "enable"):
        assert operator(server, "POST", f"/accounts/nobody/{what}")[1]["code"] == "account_not_found"


# -- the commands ----------------------------------------------------------------------------------

def ran(running, *words, status=0):
    done = running.command(*words)
    assert done.returncode == status, (words, done.stdout, done.stderr)
    assert (done.stderr == "") == (status == 0) and (done.stdout == "") == (status != 0)
    return done.stdout + done.stderr


def test_an_invite_by_its_commands(invited):
    made = json.loads(ran(invited, "invite", "create", "2", "30", "--json"))
    seen.note_password(made["code"])
    sign_up(invited.api, made["code"]).expect(200)
    rows = json.loads(ran(invited, "invite", "list", "--json"))
    assert rows == listed(invited)
    line, = [line for line in ran(invited, "invite", "list").splitlines()
             if line.split()[0] == str(made["id"])]
    assert line.split()[1:3] == ["valid", "1"] and made["code"] not in line
    ran(invited, "invite", "revoke", made["id"])
    sign_up(invited.api, made["code"]).expect(403, "invite_invalid")
    assert "no such invite" in ran(invited, "invite", "revoke", made["id"], status=1)
    assert "whole number" in ran(invited, "invite", "revoke", "x", status=1)
    assert "whole number" in ran(invited, "invite", "create", "one", "1", status=1)
    assert "3650 days" in ran(invited, "invite", "create", "1", "3651", status=1)
    code, = [line.split()[1] for line in ran(invited, "invite", "create", "1", "1").splitlines()
             if line.startswith("code")]
    seen.note_password(code)
    sign_up(invited.api, code).expect(200)


def test_no_invite_is_listed_as_none(start):
    running = start()
    assert json.loads(ran(running, "invite", "list", "--json")) == []
    assert len(ran(running, "invite", "list").splitlines()) == 1


def test_an_account_is_disabled_by_its_command(server, alice):
    ran(server, "user", "disable", alice.username)
    alice.get("/api/account").expect(403, "account_disabled")
    assert "disabled" in ran(server, "user", "show", alice.username)
    assert json.loads(ran(server, "user", "show", alice.username, "--json"))["disabled_at"]
    ran(server, "user", "enable", alice.username)
    alice.get("/api/account").expect(200)
    assert json.loads(ran(server, "user", "show", alice.username, "--json"))["disabled_at"] is None
    assert "No account" in ran(server, "user", "disable", new_name(), status=1)
