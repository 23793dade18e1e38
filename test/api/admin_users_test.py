"""Accounts and their sessions, managed by the operator: `user` and `session` over the admin socket."""
import contextlib
import json
import re
import shutil
import socket
import sqlite3
import tempfile
import threading

import pytest

from support import seen
from support import server as server_module
from support.api import new_name
from support.http import SANITIZED

PASSWORD_MADE = re.compile(r"[A-Za-z0-9]{20}")


def ran(running, *words, status=0, stdin=""):
    """A command that ends with this status: what it prints. One that fails says why in one line."""
    done = running.command(*words, stdin=stdin)
    assert done.returncode == status, (words, done.stdout, done.stderr)
    if status == 0:
        assert done.stderr == "", (words, done.stderr)
    else:
        assert done.stdout == "", (words, done.stdout)
        assert done.stderr.startswith("migchat-server: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stdout if status == 0 else done.stderr


def answer(running, *words, **options):
    return json.loads(ran(running, *words, "--json", **options))


def fields(text):
    """The lines of `user show` and the like, by label."""
    return {line[:20].strip(): line[20:] for line in text.splitlines()}


def test_an_account_with_a_password_made_up_can_log_in(server):
    name = new_name("made")
    made = answer(server, "user", "add", name)
    assert set(made) == {"user_id", "username", "password"} and made["username"] == name
    assert PASSWORD_MADE.fullmatch(made["password"])
    seen.note_password(made["password"])
    assert server.api.login(name, made["password"]).user_id == made["user_id"]
    assert answer(server, "user", "show", name)["sessions"] == 1, "adding one begins no session"
    assert "password" not in fields(ran(server, "user", "show", name))


def test_a_password_of_ones_own_comes_on_stdin_and_is_not_printed(server):
    name = new_name("given")
    printed = ran(server, "user", "add", name, "--password-stdin", stdin="correct horse\nrest")
    assert "correct" not in printed and "password" not in printed
    server.api.login(name, "correct horse")


@pytest.mark.parametrize("stdin, why", (
    ("", "no password on stdin"),
    ("\n", "no password on stdin"),
    ("a\0b\n", "NUL"),
    ("x" * 73 + "\n", "at most 72 bytes"),
    ("x" * 5000, "too long"),
))
def test_what_is_no_password_makes_no_account(server, stdin, why):
    name = new_name("none")
    assert why in ran(server, "user", "add", name, "--password-stdin", status=1, stdin=stdin)
    assert "No account has this name" in ran(server, "user", "show", name, status=1)


def test_names_are_judged_as_at_sign_up(server):
    name = new_name("taken")
    ran(server, "user", "add", name)
    assert "taken" in ran(server, "user", "add", name, status=1)
    assert "taken" in ran(server, "user", "add", name.upper(), status=1)
    assert "1 to 64 characters" in ran(server, "user", "add", "a/b", status=1)
    assert "at least one character" in ran(server, "user", "add", "", status=1)
    assert answer(server, "user", "show", name.upper())["username"] == name


@pytest.mark.parametrize("name", ("x" * 65, "x" * 2300, "x" * 100_000, "\udcff", "..", "%41", "a b", "\x1b[31m"))
def test_a_name_that_cannot_be_is_nobodys(server, name):
    assert re.search("No account has this name|in UTF-8|as long as this",
                     ran(server, "user", "show", name, status=1))
    assert re.search("No account has this name|in UTF-8|as long as this",
                     ran(server, "session", "list", name, status=1))


def test_show_tells_what_an_account_has(server):
    ada, bob = (server.api.create(new_name(name)) for name in ("ada", "bob"))
    for _ in range(3):
        bob.send(ada, "hello")
    ada.send(bob, "hello")
    server.api.login(ada.username, ada.password)
    shown = answer(server, "user", "show", ada.username)
    assert (shown["user_id"], shown["username"]) == (ada.user_id, ada.username)
    assert (shown["conversations"], shown["messages_received"], shown["log_entries"]) == (1, 3, 4)
    assert shown["sessions"] == 2 and shown["one_time_prekeys"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00.000Z", shown["last_used_at"])
    ada.upload(["one", "two"])
    bob.claim(ada.username)
    assert answer(server, "user", "show", ada.username)["one_time_prekeys"] == 1
    for_people = fields(ran(server, "user", "show", ada.username))
    assert for_people["name"] == ada.username and for_people["messages received"] == "3"
    assert for_people["one-time keys left"] == "1"


def test_a_new_password_ends_every_session(server):
    ada = server.api.create(new_name("ada"))
    server.api.login(ada.username, ada.password)
    done = answer(server, "user", "reset-password", ada.username)
    assert done["ended_sessions"] == 2 and PASSWORD_MADE.fullmatch(done["password"])
    assert ada.get("/api/account").status == 401
    assert server.api.login_raw(ada.username, ada.password).code == "credentials_wrong"
    server.api.login(ada.username, done["password"])
    ran(server, "user", "reset-password", ada.username, "--password-stdin", stdin="new one")
    server.api.login(ada.username, "new one")
    assert "No account" in ran(server, "user", "reset-password", new_name("no"), status=1)


def test_a_deletion_is_the_accounts_own(server):
    ada, bob = (server.api.create(new_name(name)) for name in ("ada", "bob"))
    ada.send(bob, "kept")
    assert answer(server, "user", "delete", ada.username) == {"user_id": ada.user_id, "username": ada.username}
    assert ada.get("/api/account").status == 401
    assert bob.messages()[0]["from_username"] == f"deleted-{ada.user_id}"
    assert server.api.create_raw(ada.username, seen.new_password()).code == "username_taken", "the name is held"
    assert "No account" in ran(server, "user", "delete", ada.username, status=1)
    assert "No account" in ran(server, "user", "delete", f"deleted-{ada.user_id}", status=1)
    assert ada.user_id not in [line["user_id"] for line in answer(server, "user", "list")]


def test_sessions_are_listed_and_ended_one_by_one_or_all(server):
    ada = server.api.create(new_name("ada"))
    second = server.api.login(ada.username, ada.password, label="tablet\x1b[2J")
    listed = answer(server, "session", "list", ada.username)
    assert [each["label"] for each in listed] == ["tablet\x1b[2J", None]
    assert not any(each["current"] for each in listed)
    shown = ran(server, "session", "list", ada.username)
    assert "\x1b" not in shown and "tablet\\u{1b}[2J" in shown
    first_id, second_id = listed[1]["id"], listed[0]["id"]
    assert answer(server, "session", "end", ada.username, second_id)["ended_sessions"] == 1
    assert second.get("/api/account").status == 401 and ada.get("/api/account").status == 200
    assert "no such session" in ran(server, "session", "end", ada.username, second_id, status=1)
    for word in ("0", "-1", "x", "", "9" * 30):
        if word != "-1":  # begins like a flag
            assert "`session list`" in ran(server, "session", "end", ada.username, word, status=1)
    assert answer(server, "session", "end", ada.username, "all")["ended_sessions"] == 1
    assert answer(server, "session", "end", ada.username, "all")["ended_sessions"] == 0
    assert ada.get("/api/account").status == 401
    assert first_id != second_id


def test_a_session_of_another_account_stays(server):
    ada, bob = (server.api.create(new_name(name)) for name in ("ada", "bob"))
    bobs = answer(server, "session", "list", bob.username)[0]["id"]
    assert "no such session" in ran(server, "session", "end", ada.username, bobs, status=1)
    assert bob.get("/api/account").status == 200


def test_what_names_do_to_a_terminal(start):
    """An adopted file may hold any name: here as if it had."""
    running = start()
    ran(running, "user", "add", "plain")
    running.stop()
    evil = "\x1b]0;owned\x07\x9b31m\u202etxt\U000e0001\n"
    with sqlite3.connect(running.database) as database:
        database.execute("UPDATE account SET name = ?", (evil,))
        database.execute("UPDATE name SET name = ?, folded = ?", (evil, evil))
    database.close()
    running.start()
    for words in (("user", "list"), ("user", "list", "--json"), ("user", "show", evil),
                  ("user", "show", evil, "--json"), ("session", "list", evil)):
        shown = ran(running, *words)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\U000e0001]", shown), (words, shown)
    assert answer(running, "user", "show", evil)["username"] == evil
    assert answer(running, "user", "list")[0]["username"] == evil
    assert answer(running, "user", "delete", evil)["username"] == evil


def test_a_long_list_is_whole_and_takes_no_memory(start):
    running = start()
    running.stop()
    count = 100_000
    with sqlite3.connect(running.database) as database:
        database.executemany("INSERT INTO account(id, name, password_hash, created_at_ms)"
                             " VALUES(?, ?, '$2b$04$none', 1000)",
                             ((place, f"account number {place}") for place in range(1, count + 1)))
        database.execute("UPDATE account SET deleted_at_ms = 2000 WHERE id % 1000 = 7")
        database.execute("UPDATE account SET name = ? WHERE id = 500", ("\x01" * 100_000,))
        database.execute("UPDATE meta SET value = ? WHERE key = 'next_account_id'", (str(count + 1),))
    database.close()
    running.start()
    listed = answer(running, "user", "list")
    ids = [line["user_id"] for line in listed]
    assert ids == [place for place in range(1, count + 1) if place % 1000 != 7]
    assert listed[499 - 1]["username"] == "\x01" * 100_000
    assert ran(running, "user", "list").count("\n") == len(ids) + 1
    before = running.own_bytes()  # caches are full
    assert len(raw(running, "GET /accounts")[1]) == len(ids)
    if not SANITIZED:  # sanitizers keep what was freed
        assert running.own_bytes() - before < 3 << 20


def test_the_list_is_taken_whole_or_in_pages(server):
    for name in ("p", "q", "r"):
        ran(server, "user", "add", new_name(name))
    whole = raw(server, "GET /accounts")[1]
    assert raw(server, f"GET /accounts?limit=2&after={whole[-4]['user_id']}")[1] == whole[-3:-1]
    assert raw(server, f"GET /accounts?after={whole[-1]['user_id']}") == (200, [])
    for query, code in (("limit=0", "limit_not_allowed"), ("after=-1", "query_malformed"),
                        ("after=x", "query_malformed"), ("after=1&after=2", "parameter_doubled")):
        assert raw(server, f"GET /accounts?{query}")[1]["code"] == code


def raw(running, question, body=""):
    """Status and JSON of an answer of the admin socket."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(running.admin_socket)
        admin.sendall(f"{question} HTTP/1.0\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        received = b"".join(iter(lambda: admin.recv(1 << 16), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest)


@pytest.mark.parametrize("question, body, status, code", (
    ("POST /accounts", "", 400, "body_missing"),
    ("POST /accounts", "{}", 422, "body_shape"),
    ("POST /accounts", '{"username":"x","password":1}', 422, "body_shape"),
    ("POST /accounts", '{"username":""}', 400, "username_empty"),
    ("POST /accounts", '{"username":"x","password":""}', 400, "password_empty"),
    ("GET /accounts/nobody", "", 404, "account_not_found"),
    ("DELETE /accounts/nobody", "", 404, "account_not_found"),
    ("POST /accounts/nobody/password", "", 404, "account_not_found"),
    ("GET /accounts/nobody/sessions", "", 404, "account_not_found"),
    ("POST /accounts/nobody/sessions/end", "", 404, "account_not_found"),
    ("PUT /accounts", "", 405, "method_not_allowed"),
    ("GET /accounts/%ff", "", 400, "target_malformed"),
))
def test_refusals_have_their_codes(server, question, body, status, code):
    got, refusal = raw(server, question, body)
    assert (got, refusal["code"]) == (status, code)


def test_many_at_once_make_one_account(server):
    name = new_name("race")
    done = []
    threads = [threading.Thread(target=lambda: done.append(server.command("user", "add", name).returncode))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1, 1, 1, 1, 1]


@pytest.fixture
def short_folder():
    """A path to a socket has at most 107 bytes, and pytest's folders may have more."""
    folder = tempfile.mkdtemp(prefix="migchat-")
    yield folder
    shutil.rmtree(folder)


def test_a_database_in_memory_has_its_operator_too(start, short_folder):
    path = f"{short_folder}/admin.sock"
    start(db=":memory:", MIGCHAT_ADMIN_SOCKET=path)
    done = server_module.run("user", "add", "ada", "--admin-socket", path)
    assert done.returncode == 0, done.stderr
    done = server_module.run("user", "list", "--json", "--admin-socket", path)
    assert [line["username"] for line in json.loads(done.stdout)] == ["ada"]
    done = server_module.run("stats", "--json", "--admin-socket", path)
    assert done.returncode == 0 and json.loads(done.stdout)["read_lane_depth"] == 0, done.stderr


def test_flags_of_other_commands_are_wrong_usage():
    for words, why in ((("config", "check", "--json"), "config check takes no --json"),
                       (("user", "list", "--password-stdin"), "user list takes no --password-stdin"),
                       (("--json",), "serve takes no --json"),
                       (("user", "list", "--json=yes"), "--json takes no value"),
                       (("user",), "user needs to know what"),
                       (("user", "show"), "user show needs NAME")):
        done = server_module.run(*words)
        assert done.returncode == 2 and why in done.stderr, (words, done.stderr)


def question_take(peer):
    """All of a request, or what there is of it: who closes with bytes unread breaks the connection off."""
    asked = b""
    while not (whole := re.match(rb"(?s:.*?)Content-Length: (\d+)\r\n\r\n", asked)) \
            or len(asked) < whole.end() + int(whole[1]):
        part = peer.recv(4096)
        if not part:
            break
        asked += part


def asked_of_another(short_folder, said, *words):
    """What a command makes of who says this at the admin socket; of None, of one who leaves what it asked."""
    path = f"{short_folder}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve():
            peer = listener.accept()[0]
            with peer, contextlib.suppress(OSError):  # it may have heard enough
                if said is None:
                    peer.recv(1)
                else:
                    question_take(peer)
                    peer.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        done = server_module.run(*words, "--admin-socket", path)
        thread.join()
    assert done.returncode == 1, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    return done.stderr


@pytest.mark.parametrize("said, why", (
    (None, "the server ended the connection: "),
    (b"", "without an answer"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "no MigChat server"),
    (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no MigChat server"),
    (b"HTTP/1.1 200 OK\r\n\r\n\x1b[31mhello", "no MigChat server"),
    (b'HTTP/1.1 200 OK\r\n\r\n[{"user_id":1,"username":"cut', "cut off"),
    (b'HTTP/1.1 200 OK\r\n\r\n[{"other":1}]', "not one of accounts"),
    (b'HTTP/1.1 418 No\r\n\r\n{"error":"\\u001b[31mred"}', "\\u{1b}[31mred"),
    (b"HTTP/1.1 500 No\r\n\r\n", "answered 500"),
))
def test_what_is_not_our_server_is_told_in_one_line(short_folder, said, why):
    """Who listens at the path may be anybody; nothing of it reaches the terminal raw."""
    assert why in asked_of_another(short_folder, said, "user", "list")


@pytest.mark.parametrize("words", (
    ("backup", "/copy.db"), ("invite", "create", "1", "1"), ("invite", "revoke", "1"), ("user", "show", "ada"),
    ("stats",)), ids=" ".join)
def test_an_answer_of_another_kind_is_told(short_folder, words):
    said = asked_of_another(short_folder, b'HTTP/1.1 200 OK\r\n\r\n{"other":1}', *words)
    assert said == "migchat-server: the server's answer is not what this command knows\n"


def test_an_answer_without_end_is_not_taken_into_memory(short_folder):
    endless = b"HTTP/1.1 200 OK\r\n\r\n[" + b" " * (64 * 1024 * 1024)
    told = asked_of_another(short_folder, endless, "user", "list")
    assert "the server ended the connection: Message too long" in told


def test_without_a_server_it_is_told_in_one_line(tmp_path):
    done = server_module.run("user", "list", "--db", "none.db", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "no server answers at none.db.sock" in done.stderr
    done = server_module.run("user", "list", "--db", ":memory:", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "a database in memory has no admin socket" in done.stderr
