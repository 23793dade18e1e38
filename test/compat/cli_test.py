"""The published command-line client, request by request.

What migchat/cli e89bbfa sends is taken from its src/api/client.rs and from what its libraries do
to it (reqwest 0.12.24 blocking, hyper 1.7.0, url 2.5.7, serde_json): order and case of the
fields, `accept: */*`, compact JSON in the order of the structs, targets encoded by the url crate.
Answers are decoded under its src/api/models.rs: required members and types; what it does not know
it ignores.
"""

import datetime
import json
import re
import threading

import pytest

from support import seen
from support.http import Connection

# url 2.5.7: what it percent-encodes besides control and non-ASCII bytes.
PATH_ENCODED = ' "#<>?^`{}'
QUERY_ENCODED = ' "#<>\''
# What chrono's DateTime<Utc> takes: RFC 3339.
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# A message of today's client: JSON text of this length, quotes and all, as content.
CIPHERTEXT_CHARACTERS = 468


def url_encoded(text, encoded):
    """As the url crate writes a component that was put into a URL as it is."""
    return "".join(f"%{byte:02X}" if byte <= 0x1f or byte >= 0x7f or chr(byte) in encoded
                   else chr(byte) for byte in text.encode())


def is_i64(value):
    return type(value) is int and -2 ** 63 <= value < 2 ** 63


def is_time(value):
    if type(value) is not str or not RFC_3339.fullmatch(value):
        return False
    datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return True


def is_text(value):
    return type(value) is str


MODELS = {
    "CreateAccountResponse": {"token": is_text, "user_id": is_i64, "username": is_text},
    "SendMessageResponse": {"message_id": is_i64, "created_at": is_time},
    "MessageResponse": {"id": is_i64, "from_username": is_text, "to_username": is_text,
                        "content": is_text, "created_at": is_time},
    "ConversationResponse": {"username": is_text, "last_message": is_text,
                             "last_message_time": is_time, "unread_count": is_i64},
    "ErrorResponse": {"error": is_text},
    "UpdateUsernameResponse": {"username": is_text, "updated_at": is_time},
    "KeyBundle": {"identity_key": is_text, "signed_prekey": is_text,
                  "signed_prekey_signature": is_text,
                  "one_time_prekeys": lambda v: type(v) is list and all(map(is_text, v))},
    "UploadKeysResponse": {"success": lambda v: type(v) is bool},
}


def decoded(response, model):
    """The answer's body as serde would read it into the client's struct."""
    value = response.json()
    for item in value if type(value) is list else [value]:
        for name, fits in MODELS[model].items():
            assert type(item) is dict and name in item and fits(item[name]), \
                f"{model}.{name}: {item!r:.300}\n{response.describe()}"
    return value


class Cli:
    """One client: a blocking reqwest client keeps its connection."""

    def __init__(self, port):
        self.port = port
        self.connection = Connection(port)

    def send(self, method, target, fields=(), body=None, length_of_none=None):
        lines = [f"{method} {target} HTTP/1.1", *fields, "accept: */*",
                 f"host: 127.0.0.1:{self.port}"]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        elif length_of_none is not None:
            lines.append(f"content-length: {length_of_none}")
        self.connection.send("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + (body or b""))
        response = self.connection.answer(method, target)
        assert not response.ends_connection, f"the connection is lost\n{response.describe()}"
        return response

    @staticmethod
    def json_body(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def authorized(self, token, typed=True):
        fields = ["content-type: application/json"] if typed else []
        return [*fields, f"authorization: Bearer {token}"]

    def create_account(self, username, password):
        seen.note_password(password)
        response = self.send("POST", "/api/account/create", ["content-type: application/json"],
                             self.json_body({"username": username, "password": password}))
        if response.status != 200:
            return response
        answer = decoded(response, "CreateAccountResponse")
        seen.note_token(answer["token"])
        return answer

    def send_message(self, token, to_username, content):
        return self.send("POST", "/api/messages/send", self.authorized(token),
                         self.json_body({"to_username": to_username, "content": content}))

    def get_messages(self, token):
        return self.send("GET", "/api/messages", self.authorized(token, typed=False))

    def get_conversations(self, token):
        return self.send("GET", "/api/conversations", self.authorized(token, typed=False))

    def health_check(self):
        return self.send("GET", "/health")

    def update_username(self, token, new_username):
        return self.send("POST", "/api/account/update-username", self.authorized(token),
                         self.json_body({"new_username": new_username}))

    def mark_messages_read(self, token, with_user, length_of_none=None):
        query = url_encoded(with_user, QUERY_ENCODED)
        return self.send("POST", f"/api/messages/mark-read?with_user={query}",
                         self.authorized(token), length_of_none=length_of_none)

    def get_filtered_messages(self, token, with_user):
        query = url_encoded(with_user, QUERY_ENCODED)
        return self.send("GET", f"/api/messages/filtered?with_user={query}",
                         self.authorized(token, typed=False))

    def upload_keys(self, token, bundle):
        return self.send("POST", "/api/keys/upload", self.authorized(token),
                         self.json_body({"key_bundle": bundle}))

    def get_keys(self, token, username):
        return self.send("GET", f"/api/keys/{url_encoded(username, PATH_ENCODED)}",
                         self.authorized(token, typed=False))


@pytest.fixture
def cli(server):
    client = Cli(server.port)
    yield client
    client.connection.close()


def bundle_of(number):
    """Ten one-time prekeys are as many as the client uploads."""
    key = "M" * 42 + f"{number % 10}="
    return {"identity_key": key, "signed_prekey": key, "signed_prekey_signature": "S" * 86 + "==",
            "one_time_prekeys": [f"{number}/{n}+".rjust(43, "K") + "=" for n in range(10)]}


def ciphertext():
    """Content of today's client: an EncryptedMessage as JSON text."""
    text = json.dumps({"version": 2, "header": {"ephemeral": "E" * 43 + "=", "number": 7},
                       "nonce": "n" * 16, "ciphertext": seen.new_content() + "+/"},
                      separators=(",", ":"))
    return text[:-2] + "c" * (CIPHERTEXT_CHARACTERS - len(text)) + text[-2:]


# Names the client's users have: put into URLs as they are.
PAIRS = {
    "plain": ("anna", "bert"), "spaces": ("a b", "c  d e"), "non-ASCII": ("Zoë Ünï", "Łukasz Żó"),
    "punctuation": ("o'neil", "\"q\" <x> {y} ^|`~"), "other scripts": ("李 雷", "Ольга 😀"),
    "reserved": ("a=b;c,d", "x:y@z!$*()[]"),
}


@pytest.mark.parametrize("names", PAIRS.values(), ids=PAIRS)
def test_a_whole_session(server, cli, names):
    ours, theirs = names
    assert cli.health_check().status == 200
    me = cli.create_account(ours, seen.new_password())
    them = cli.create_account(theirs, seen.new_password())
    assert (me["username"], them["username"]) == (ours, theirs)

    for number, account in enumerate((me, them)):
        answer = decoded(cli.upload_keys(account["token"], bundle_of(number)),
                         "UploadKeysResponse")
        assert answer["success"] is True

    # It fetches the keys on every send, and its receiver cannot use a one-time key.
    sent = []
    for _ in range(3):
        answer = cli.get_keys(me["token"], theirs).expect(200).json()
        assert set(answer) == {"key_bundle"}
        for name, fits in MODELS["KeyBundle"].items():
            assert fits(answer["key_bundle"][name])
        assert answer["key_bundle"] == {**bundle_of(1), "one_time_prekeys": []}
        content = ciphertext()
        assert len(content) == CIPHERTEXT_CHARACTERS
        message = decoded(cli.send_message(me["token"], theirs, content).expect(200),
                          "SendMessageResponse")
        sent.append((message["message_id"], content))
    reply = ciphertext()
    message = decoded(cli.send_message(them["token"], ours, reply).expect(200),
                      "SendMessageResponse")
    sent.append((message["message_id"], reply))

    for account, other in ((me, theirs), (them, ours)):
        polled = decoded(cli.get_messages(account["token"]).expect(200), "MessageResponse")
        assert [(m["id"], m["content"]) for m in polled] == list(reversed(sent))
        filtered = decoded(cli.get_filtered_messages(account["token"], other).expect(200),
                           "MessageResponse")
        assert filtered == polled
        (row,) = decoded(cli.get_conversations(account["token"]).expect(200),
                         "ConversationResponse")
        assert (row["username"], row["last_message"]) == (other, reply)
        assert row["unread_count"] == (1 if account is me else 3)

    # The type, but no body; with and without a length of it.
    response = cli.mark_messages_read(them["token"], ours).expect(200)
    assert response.json()["marked_read"] == 3
    assert cli.mark_messages_read(them["token"], ours, 0).expect(200).json()["marked_read"] == 0
    assert cli.mark_messages_read(me["token"], theirs, 0).expect(200).json()["marked_read"] == 1

    answer = decoded(cli.update_username(me["token"], f"{ours}2").expect(200),
                     "UpdateUsernameResponse")
    assert answer["username"] == f"{ours}2"
    polled = decoded(cli.get_messages(them["token"]).expect(200), "MessageResponse")
    assert {m["from_username"] for m in polled} == {f"{ours}2", theirs}


def test_its_errors_are_texts_for_people(cli):
    """It prints `error` of whatever status is no success."""
    password = seen.new_password()
    token = cli.create_account("errors", password)["token"]
    for response, status in (
            (cli.create_account("errors", password), 409),
            (cli.create_account("", password), 400),
            (cli.create_account("someone", ""), 400),
            (cli.send_message(token, "nobody here", "x"), 404),
            (cli.send_message(token, "errors", ""), 400),
            (cli.get_messages("A" * 32), 401),
            (cli.get_filtered_messages(token, "nobody here"), 404),
            (cli.mark_messages_read(token, "nobody here"), 404),
            (cli.update_username(token, ""), 400),
            (cli.get_keys(token, "nobody here"), 404),
            (cli.get_keys(token, "errors"), 404)):
        response.expect(status)
        assert decoded(response, "ErrorResponse")["error"].strip()


def test_names_in_urls_that_the_url_crate_leaves_alone(cli):
    """`'` comes as %27 in a query and as it is in a path; `^` and `|` may come either way."""
    me = cli.create_account("quo'te|^", seen.new_password())
    token = me["token"]
    cli.upload_keys(token, bundle_of(5)).expect(200)
    cli.send_message(token, "quo'te|^", ciphertext()).expect(200)
    for target in ("/api/keys/quo'te|%5E", "/api/keys/quo%27te%7C%5E"):
        cli.send("GET", target, cli.authorized(token, typed=False)).expect(200)
    for query in ("quo%27te|^", "quo'te%7C%5E"):
        response = cli.send("GET", f"/api/messages/filtered?with_user={query}",
                            cli.authorized(token, typed=False))
        assert len(response.expect(200).json()) == 1


def test_polling_and_sending_on_two_connections(server):
    """The client polls from a thread of its own while its user writes."""
    user = Cli(server.port)
    me = user.create_account("poller", seen.new_password())
    them = user.create_account("polled", seen.new_password())
    faults, done = [], threading.Event()

    def poll():
        poller, last = Cli(server.port), 0
        try:
            while not done.is_set():
                count = len(decoded(poller.get_messages(me["token"]).expect(200),
                                    "MessageResponse"))
                assert count >= last
                last = count
        except BaseException as fault:  # told by the test's own thread
            faults.append(fault)

    thread = threading.Thread(target=poll)
    thread.start()
    for _ in range(50):
        user.send_message(them["token"], "poller", ciphertext()).expect(200)
    done.set()
    thread.join()
    assert not faults, faults
    assert len(user.get_messages(me["token"]).json()) == 50
