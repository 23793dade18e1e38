"""A database of the Rust server, adopted in place: everything in it keeps working."""

import itertools
import os
import pathlib
import random
import sqlite3
import stat
from urllib.parse import quote

import pytest

from support import seen
from support.api import Account
from support.rust_database import (CURRENT, GENERATIONS, RustDatabase, dump, password_hash)
from support.server import Server

TIMES = {
    "2025-11-03T12:00:00.123456789+00:00": "2025-11-03T12:00:00.123Z",
    "2025-11-03T12:00:00.123456789Z": "2025-11-03T12:00:00.123Z",
    "2025-11-03T12:00:00+00:00": "2025-11-03T12:00:00.000Z",
    "2025-11-03T12:00:00.5+00:00": "2025-11-03T12:00:00.500Z",
    "2025-11-03T12:00:00.999999+00:00": "2025-11-03T12:00:00.999Z",
    "2025-11-03T14:30:00.250+02:30": "2025-11-03T12:00:00.250Z",
    "2025-11-03 12:00:00": "2025-11-03T12:00:00.000Z",
    "2024-02-29T23:59:59.001Z": "2024-02-29T23:59:59.001Z",
}
CONTENTS = ["plain", "\"quotes\" and \\ and /", "lines\r\nof\ttext", "😀 emoji 𝄞", "nul \0 inside",
            "\x01\x1f\x7f controls", "x" * 100_000, "é" * 40_000, "\u2028", "<b>&amp;</b>", " "]
LONG_PASSWORD = seen.PASSWORD_MARK + "long" * 21  # 89 bytes
# name -> id; names today's rules would refuse among them.
PEOPLE = {
    "anna": 3, "Bert": 7, "Zoë Ünï": 8, " outer spaces ": 11, "a/b": 12, "per%cent&plus+": 13,
    "h" * 100: 14, "Case": 21, "case": 22, "CASE": 25, "control\u0007": 30, "claim": 31,
}
SEQUENCE_OF_USERS, SEQUENCE_OF_MESSAGES = 900, 50_000
SEED = 20251103


class Adopted:
    """What was put into a file, to compare with what the server says of it."""

    def __init__(self, path, generation=CURRENT, count=400):
        self.path = str(path)
        self.generation = generation
        self.rows = []      # (id, sender name, recipient name, content, time as answered)
        self.tokens = {}    # name -> tokens
        self.passwords = {}
        rust = RustDatabase(path, generation)
        choose = random.Random(SEED)
        rust.database.execute("BEGIN")
        self._add_people(rust, choose)
        self._add_messages(rust, choose, count)
        self.prekeys = {}
        if rust.has_prekeys:
            self.prekeys = {"anna": [("anna used", True), ("anna 1", False), ("anna 2", False)],
                            "a/b": [("ab used", True)], "Case": []}
            for name, keys in self.prekeys.items():
                rust.add_keys(PEOPLE[name], f"identity of {name}", keys)
        rust.database.execute("COMMIT")
        rust.set_sequence("users", SEQUENCE_OF_USERS)
        rust.set_sequence("messages", SEQUENCE_OF_MESSAGES)
        self.unread = {name: rust.unread(user_id) for name, user_id in PEOPLE.items()}
        rust.close()
        self.before = dump(path)

    def _add_people(self, rust, choose):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        for place, (name, user_id) in enumerate(PEOPLE.items()):
            password = LONG_PASSWORD if name == "Bert" else seen.new_password()
            cost = 12 if name == "anna" else 4
            rust.add_user(user_id, name, password_hash(password, cost),
                          list(TIMES)[place % len(TIMES)])
            self.passwords[name] = password
            self.tokens[name] = []
            for _ in range(2):
                token = "".join(choose.choice(letters) for _ in range(32))
                rust.add_session(user_id, token)
                self.tokens[name].append(token)
                seen.note_token(token)

    def _add_messages(self, rust, choose, count):
        """Both directions, to oneself, read and unread mixed, ids with gaps, times in no order."""
        names, message_id = list(PEOPLE), 10
        for number in range(count):
            message_id += choose.choice((1, 1, 1, 2, 50))
            sender = names[choose.randrange(6)]
            recipient = choose.choice(names[:6] if number % 3 else names)
            content = CONTENTS[number % len(CONTENTS)] if number < 200 else f"text {number}"
            written = choose.choice(list(TIMES))
            read_at = choose.choice((None, "2025-11-04T08:00:00.5+00:00"))
            rust.add_message(message_id, PEOPLE[sender], PEOPLE[recipient], content, written,
                             read_at)
            self.rows.append((message_id, sender, recipient, content, TIMES[written]))

    def log_of(self, name):
        """The entries of a name's list, newest first, without seq."""
        return [{"id": row[0], "from_username": row[1], "to_username": row[2], "content": row[3],
                 "created_at": row[4]} for row in reversed(self.rows) if name in row[1:3]]

    def account(self, api, name, session=0):
        return Account(api, name, self.passwords[name], self.tokens[name][session], PEOPLE[name])


def copy_beside(server):
    """The copy adoption made: the one file beside the database that is no sidecar of it."""
    database = pathlib.Path(server.database)
    own = {database.name + suffix for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".sock")}
    others = [path for path in database.parent.iterdir()
              if path.name not in own | {"server.log"}]
    for path in others:
        seen.note_adopted_copy(path)
    return others


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("adopted")
    (directory / "own").mkdir()
    return Adopted(directory / "own" / "migchat.db")


@pytest.fixture(scope="module")
def server(adopted):
    with Server(pathlib.Path(adopted.path).parent, MIGCHAT_PASSWORD_COST=5) as started:
        yield started


@pytest.fixture(scope="module")
def api(server):
    return server.api


# The order of the tests in this file matters: reading first, then changing.

def test_the_copy_is_made_first(server, adopted):
    (copy,) = copy_beside(server)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert dump(copy) == adopted.before
    assert any(copy.name in str(event) for event in server.events()), server.log()


@pytest.mark.parametrize("name", PEOPLE)
def test_old_tokens_work_and_ids_stay(adopted, api, name):
    for session in (0, 1):
        answer = adopted.account(api, name, session).get("/api/account").expect(200).json()
        assert (answer["user_id"], answer["username"]) == (PEOPLE[name], name)
        assert answer["created_at"] in TIMES.values()


@pytest.mark.parametrize("name", PEOPLE)
def test_the_whole_list_is_there_in_order_of_ids(adopted, api, name):
    entries = adopted.account(api, name).messages()
    assert [e.pop("seq") for e in entries] == list(range(len(entries), 0, -1))
    wanted = adopted.log_of(name)
    assert len(entries) == len(wanted)
    for got, want in zip(entries, wanted):
        assert got == want, f"message {want['id']}"


@pytest.mark.parametrize("name", PEOPLE)
def test_unread_counts_are_those_of_the_rust_server(adopted, api, name):
    assert adopted.account(api, name).unread() == adopted.unread[name]


@pytest.mark.parametrize("name", PEOPLE)
def test_conversations_show_the_last_message(adopted, api, name):
    rows = adopted.account(api, name).conversations()
    latest = {}
    for entry in adopted.log_of(name):
        other = entry["to_username"] if entry["from_username"] == name else entry["from_username"]
        latest.setdefault(other, (entry["content"], entry["created_at"]))
    assert [(row["username"], (row["last_message"], row["last_message_time"])) for row in rows] \
        == list(latest.items())


def test_filtered_and_pages(adopted, api):
    anna = adopted.account(api, "anna")
    for other in PEOPLE:
        wanted = [e["id"] for e in adopted.log_of("anna")
                  if {e["from_username"], e["to_username"]} == {"anna", other}]
        assert [e["id"] for e in anna.filtered(other)] == wanted, other
        walked, _ = anna.walk(f"/api/messages/filtered?with_user={quote(other, safe='')}&limit=3")
        assert [e["id"] for e in walked] == wanted, other


@pytest.mark.parametrize("name", PEOPLE)
def test_old_passwords_work(adopted, api, name):
    account = api.login(name, adopted.passwords[name])
    assert account.user_id == PEOPLE[name] and account.username == name
    api.login_raw(name, seen.new_password()).expect(401, "credentials_wrong")


def test_a_long_password_is_verified_as_the_rust_server_did(adopted, api):
    """It cut at 72 bytes: the whole one works, less than 72 bytes do not."""
    assert len(LONG_PASSWORD) > 72
    api.login_raw("Bert", LONG_PASSWORD[:72]).expect(200)
    api.login_raw("Bert", LONG_PASSWORD[:71]).expect(401, "credentials_wrong")


def test_names_that_differ_in_case_only(adopted, api):
    """The exact name is meant; a form that fits several is nobody."""
    anna = adopted.account(api, "anna")
    for name in ("Case", "case", "CASE"):
        assert api.login(name, adopted.passwords[name]).user_id == PEOPLE[name]
        anna.get(f"/api/messages/filtered?with_user={name}").expect(200)
    anna.get("/api/messages/filtered?with_user=cASE").expect(404, "account_not_found")
    anna.get("/api/messages/filtered?with_user=BERT").expect(200)
    for name in ("cAsE", "case"):
        api.create_raw(name, seen.new_password()).expect(409, "username_taken")


def test_keys_and_used_prekeys(adopted, api):
    anna = adopted.account(api, "anna")
    answer = api.get("/api/keys/anna").expect(200).json()["key_bundle"]
    assert answer == {"identity_key": "identity of anna",
                      "signed_prekey": "signed identity of anna",
                      "signed_prekey_signature": "signature identity of anna",
                      "one_time_prekeys": []}
    api.get(f"/api/keys/{quote('a/b', safe='')}").expect(200)
    api.get("/api/keys/Bert").expect(404, "keys_not_found")
    assert anna.get("/api/keys").json() == {"one_time_prekeys": 2}
    bert = adopted.account(api, "Bert")
    assert sorted(bert.claim("anna") + bert.claim("anna")) == ["anna 1", "anna 2"]
    assert bert.claim("anna") == [] == bert.claim("a/b") == bert.claim("Case")
    anna.upload(["anna used", "anna 1", "anna new"])
    assert bert.claim("anna") == ["anna new"] and bert.claim("anna") == []


def test_all_ten_old_routes(adopted, api):
    """One after the other, as the published client asks them, by an adopted account."""
    anna, zoe = adopted.account(api, "anna"), adopted.account(api, "Zoë Ünï")
    api.get("/health").expect(200)
    fresh = api.create()
    assert fresh.user_id > SEQUENCE_OF_USERS
    sent = anna.send(zoe)
    assert sent["message_id"] > SEQUENCE_OF_MESSAGES
    assert zoe.messages()[0]["id"] == sent["message_id"]
    assert zoe.filtered("anna")[0]["id"] == sent["message_id"]
    assert zoe.conversations()[0]["username"] == "anna"
    unread = zoe.unread()["anna"]
    assert unread == adopted.unread["Zoë Ünï"].get("anna", 0) + 1
    assert zoe.mark_read("anna") == unread
    assert zoe.unread()["anna"] == 0
    zoe.upload(["z"])
    api.get(f"/api/keys/{quote('Zoë Ünï', safe='')}").expect(200)
    outer = adopted.account(api, " outer spaces ")
    outer.rename("no outer spaces")
    assert outer.get("/api/account").json()["username"] == "no outer spaces"


@pytest.mark.parametrize("name", ("a/b", "h" * 100, "per%cent&plus+", "control\u0007"))
def test_names_beyond_todays_rules_still_work(adopted, api, name):
    anna, other = adopted.account(api, "anna"), adopted.account(api, name)
    sent = anna.send(name)
    assert other.messages()[0]["id"] == sent["message_id"]
    assert other.mark_read("anna") >= 1
    assert anna.filtered(name)[0]["id"] == sent["message_id"]


def test_marking_everything_counts_what_was_unread(adopted, api):
    bert = adopted.account(api, "Bert")
    for name, unread in bert.unread().items():
        assert bert.mark_read(name) == unread
    assert set(bert.unread().values()) == {0}


def test_start_warns_while_the_copy_exists(server):
    (copy,) = copy_beside(server)
    server.restart()
    warnings = [e for e in server.events() if copy.name in str(e) and e["level"] == "warn"]
    assert warnings, server.log()
    kept = copy.rename(copy.parent.parent / copy.name)
    seen.note_adopted_copy(kept)
    server.restart()
    assert not [e for e in server.events() if copy.name in str(e)], server.log()
    server.api.get("/health").expect(200)


def test_no_token_and_no_old_hash_stays_in_clear(server, adopted):
    """Tokens are only hashed at rest, in free pages too; a cheaper hash is raised at log-in."""
    server.stop()
    content = b"".join(path.read_bytes() for path in pathlib.Path(adopted.path).parent.iterdir())
    for token in itertools.chain.from_iterable(adopted.tokens.values()):
        assert token.encode() not in content, "a token in clear"
    for password in adopted.passwords.values():
        assert password.encode() not in content, "a password in clear"
    with sqlite3.connect(f"file:{adopted.path}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    assert content.count(b"$2b$05$") >= len(PEOPLE) - 1, "hashes of cost 4 were not raised to 5"
    assert b"$2b$12$" in content, "the hash of cost 12 was lowered"
    server.start()
    account = adopted.account(server.api, "anna")
    account.get("/api/account").expect(200)
    for name in ("Case", "a/b"):
        server.api.login(name, adopted.passwords[name])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_of_the_file(start, tmp_path, generation):
    (tmp_path / "own").mkdir()
    adopted = Adopted(tmp_path / "own" / "migchat.db", generation, count=150)
    server = start()
    for name in PEOPLE:
        account = adopted.account(server.api, name)
        assert [e["id"] for e in account.messages()] == [e["id"] for e in adopted.log_of(name)]
        assert account.unread() == adopted.unread[name], name
    anna = adopted.account(server.api, "anna")
    assert anna.get("/api/keys").json() \
        == {"one_time_prekeys": sum(not used for _, used in adopted.prekeys.get("anna", ()))}
    anna.upload(["x"])
    assert anna.claim("anna") == ["x"]
    (copy,) = copy_beside(server)
    assert dump(copy) == adopted.before
