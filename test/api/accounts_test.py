"""Accounts: create, login, logout, the account itself, password change, deletion."""

import time

import pytest

from support import seen
from support.api import TIME_FORM, TOKEN_FORM, new_name

CREATE, LOGIN = "/api/account/create", "/api/account/login"

NAMES_REFUSED = {
    "65 characters": "n" * 65, "65 characters of two bytes": "ü" * 65,
    "slash": "a/b", "backslash": "a\\b", "question mark": "a?b", "hash": "a#b",
    "percent": "a%b", "ampersand": "a&b", "plus": "a+b",
    "space before": " ab", "space behind": "ab ", "only a space": " ",
    "no-break space behind": "ab\u00a0", "ideographic space before": "\u3000ab",
    "line separator behind": "ab\u2028",
    "control": "a\u0001b", "line feed": "a\nb", "tab": "a\tb", "DEL": "a\u007fb", "NEL": "a\u0085b",
    "zero width space": "a\u200bb", "right-to-left override": "a\u202eb",
    "byte order mark": "a\ufeffb", "soft hyphen": "a\u00adb", "tag character": "a\U000e0041b",
}
NAMES_TAKEN_AS_THEY_ARE = {
    "64 characters": "n" * 64, "64 characters of four bytes": "😀" * 64, "one character": "q",
    "inner spaces": "a b c", "umlauts": "Zoë Ünï", "quotes": "o'neil \"the\" <b>",
    "punctuation": ".:,;!$@()[]{}*=~^`|-_", "combining": "e\u0301tude",
}


def test_create_answers_token_id_and_name(api):
    name = new_name()
    answer = api.create_raw(name, seen.new_password()).expect(200).json()
    assert set(answer) == {"token", "user_id", "username"}
    assert TOKEN_FORM.fullmatch(answer["token"])
    assert type(answer["user_id"]) is int and 0 < answer["user_id"] < 2 ** 53
    assert answer["username"] == name


def test_every_account_has_its_own_token_and_id(api):
    accounts = [api.create() for _ in range(20)]
    assert len({account.token for account in accounts}) == 20
    assert len({account.user_id for account in accounts}) == 20


def test_unknown_members_are_ignored(api):
    api.create_raw(new_name(), seen.new_password(), is_admin=True, x={"y": [1]}).expect(200)


@pytest.mark.parametrize("name", NAMES_REFUSED.values(), ids=NAMES_REFUSED)
def test_names_that_are_not_allowed(api, alice, name):
    api.create_raw(name, seen.new_password()).expect(400, "username_not_allowed")
    alice.rename_raw(name).expect(400, "username_not_allowed")


@pytest.mark.parametrize("name", NAMES_TAKEN_AS_THEY_ARE.values(), ids=NAMES_TAKEN_AS_THEY_ARE)
def test_names_that_are_allowed(api, name):
    account = api.create(name)
    assert account.username == name
    assert account.get("/api/account").expect(200).json()["username"] == name
    assert api.login(name, account.password).user_id == account.user_id


def test_an_empty_name(api, alice):
    api.create_raw("", seen.new_password()).expect(400, "username_empty")
    alice.rename_raw("").expect(400, "username_empty")


@pytest.mark.parametrize("name", ("deleted-1", "deleted-987654", "Deleted-2"))
def test_the_form_of_deleted_names_is_refused(api, alice, name):
    refused = ("username_not_allowed", "username_taken")
    api.create_raw(name, seen.new_password()).expect((400, 409), refused)
    alice.rename_raw(name).expect((400, 409), refused)


@pytest.mark.parametrize("password,code", [
    ("", "password_empty"), ("p" * 73, "password_too_long"), ("ö" * 37, "password_too_long"),
    ("p" * 512, "password_too_long")], ids=("empty", "73", "74 in 37", "512"))
def test_passwords_that_are_refused(api, alice, password, code):
    api.create_raw(new_name(), password).expect(400, code)
    alice.password_raw(alice.password, password).expect(400, code)


def test_a_password_with_nul_is_refused_not_cut(api):
    name = new_name()
    api.create_raw(name, "before\u0000after").expect(400)
    api.login_raw(name, "before").expect(401, "credentials_wrong")


@pytest.mark.parametrize("password", ("x", "p" * 72, "ö" * 36, "pässwörd 😀 \"\\"),
                         ids=("1", "72", "72 in 36", "odd"))
def test_passwords_that_are_taken_as_they_are(api, password):
    account = api.create(None, password)
    assert api.login(account.username, password).user_id == account.user_id
    api.login_raw(account.username, password[:-1] + "-").expect(401, "credentials_wrong")


def test_a_taken_name_without_regard_to_ascii_case(api):
    name = new_name("Mixed")
    api.create(name)
    for variant in (name, name.lower(), name.upper()):
        api.create_raw(variant, seen.new_password()).expect(409, "username_taken")


def test_case_beyond_ascii_makes_another_name(api):
    name = new_name()
    assert api.create(name + "ä").user_id != api.create(name + "Ä").user_id


BODIES_OF_WRONG_SHAPE = {
    "array": [], "text": "x", "null": None, "number": 1, "nothing in it": {},
    "password missing": {"username": "x"}, "name missing": {"password": "x"},
    "name null": {"username": None, "password": "x"},
    "name number": {"username": 1, "password": "x"},
    "password array": {"username": "x", "password": []},
    "password bool": {"username": "x", "password": True},
}


@pytest.mark.parametrize("body", BODIES_OF_WRONG_SHAPE.values(), ids=BODIES_OF_WRONG_SHAPE)
def test_bodies_of_the_wrong_shape_are_422(api, body):
    api.post(CREATE, json_body=body).expect(422, "body_shape")
    api.post(LOGIN, json_body=body).expect(422, "body_shape")


def test_no_body_where_one_is_needed(api, alice):
    for path in (CREATE, LOGIN):
        api.post(path).expect(400)
    for path in ("/api/account/update-username", "/api/account/password", "/api/account/delete"):
        alice.post(path).expect(400)


def test_login_gives_another_token_of_the_same_account(api, alice):
    answer = api.login_raw(alice.username, alice.password).expect(200).json()
    assert set(answer) == {"token", "user_id", "username"}
    assert answer["user_id"] == alice.user_id and answer["username"] == alice.username
    assert answer["token"] != alice.token
    assert api.get("/api/account", answer["token"]).expect(200).json()["user_id"] == alice.user_id
    alice.get("/api/account").expect(200)


def test_login_by_another_case_of_the_name(api):
    account = api.create(new_name("Case"))
    assert api.login(account.username.upper(), account.password).username == account.username


def test_unknown_name_and_wrong_password_cannot_be_told_apart(api, alice):
    wrong = api.login_raw(alice.username, seen.new_password()).expect(401, "credentials_wrong")
    unknown = api.login_raw(new_name(), seen.new_password()).expect(401, "credentials_wrong")
    shapes = [{name: value for name, value in answer.json().items() if name != "request_id"}
              for answer in (wrong, unknown)]
    assert shapes[0] == shapes[1]
    differing = {"date", "x-request-id"}
    fields = [[(name, value) for name, value in answer.fields if name.lower() not in differing]
              for answer in (wrong, unknown)]
    assert fields[0] == fields[1]


def test_unknown_name_and_wrong_password_take_the_same_time(start):
    """At cost 10 a hash takes tens of milliseconds, all the rest below one. The least of several
    is compared, which load on the machine does not shorten; beside much of it it takes more of them."""
    api = start(MIGCHAT_PASSWORD_COST=10).api
    account = api.create()
    least = {"wrong": 1e9, "unknown": 1e9}
    for number in range(40):
        if number >= 8 and 0.6 < least["unknown"] / least["wrong"] < 1.6:
            return
        for kind, name in (("wrong", account.username), ("unknown", new_name())):
            begun = time.monotonic()
            api.login_raw(name, seen.new_password()).expect(401)
            least[kind] = min(least[kind], time.monotonic() - begun)
    raise AssertionError(f"after 40 of each the least are {least}")


def test_the_account_describes_itself(alice):
    answer = alice.get("/api/account").expect(200).json()
    assert set(answer) == {"user_id", "username", "created_at"}
    assert (answer["user_id"], answer["username"]) == (alice.user_id, alice.username)
    assert TIME_FORM.fullmatch(answer["created_at"])


def test_logout_ends_this_token_only(api, alice):
    other = api.login(alice.username, alice.password)
    response = other.post("/api/account/logout").expect(204)
    assert response.body == b""
    other.get("/api/account").expect(401, "token_invalid")
    other.post("/api/account/logout").expect(401, "token_invalid")
    alice.get("/api/account").expect(200)


def test_password_change_ends_every_other_session(api, alice):
    others = [api.login(alice.username, alice.password) for _ in range(3)]
    new = seen.new_password()
    alice.password_raw(alice.password, new).expect(204)
    for other in others:
        other.get("/api/account").expect(401, "token_invalid")
    alice.get("/api/account").expect(200)
    assert [session["current"] for session in alice.sessions()] == [True]
    api.login_raw(alice.username, alice.password).expect(401, "credentials_wrong")
    api.login_raw(alice.username, new).expect(200)


def test_password_change_wants_the_current_one(api, alice):
    other = api.login(alice.username, alice.password)
    alice.password_raw(seen.new_password(), seen.new_password()) \
        .expect(401, ("password_wrong", "credentials_wrong"))
    other.get("/api/account").expect(200)
    api.login_raw(alice.username, alice.password).expect(200)
    alice.post("/api/account/password", {"new_password": "x"}).expect(422, "body_shape")


def test_deletion_wants_the_password(alice, bob):
    alice.delete_raw(seen.new_password()).expect(401, ("password_wrong", "credentials_wrong"))
    alice.post("/api/account/delete", {}).expect(422, "body_shape")
    alice.get("/api/account").expect(200)
    bob.send(alice)


def test_deletion_ends_sessions_name_and_keys(api, alice, bob):
    other = api.login(alice.username, alice.password)
    alice.upload(["one"])
    alice.delete_raw(alice.password).expect(204)
    for account in (alice, other):
        account.get("/api/account").expect(401, "token_invalid")
    api.login_raw(alice.username, alice.password).expect(401, "credentials_wrong")
    for variant in (alice.username, alice.username.upper()):
        api.create_raw(variant, seen.new_password()).expect(409, "username_taken")
    bob.rename_raw(alice.username).expect(409, "username_taken")
    bob.send_raw(alice.username, seen.new_content()).expect(404, "recipient_not_found")
    api.get(f"/api/keys/{alice.username}").expect(404, "account_not_found")
    bob.post("/api/keys/claim", {"username": alice.username}).expect(404, "account_not_found")


def test_others_keep_what_a_deleted_account_wrote(api, alice, bob):
    first = alice.send(bob)
    second = bob.send(alice)
    third = alice.send(bob)
    before = bob.messages()
    alice.delete_raw(alice.password).expect(204)
    shown = f"deleted-{alice.user_id}"
    after = bob.messages()
    assert [entry["content"] for entry in after] == [m["content"] for m in (third, second, first)]
    assert [entry["seq"] for entry in after] == [entry["seq"] for entry in before]
    assert [(entry["from_username"], entry["to_username"]) for entry in after] \
        == [(shown, bob.username), (bob.username, shown), (shown, bob.username)]
    assert bob.unread() == {shown: 2}
    assert bob.filtered(shown) == after
    bob.get(f"/api/messages/filtered?with_user={alice.username}").expect(404, "account_not_found")
    bob.send_raw(shown, seen.new_content()).expect(404, "recipient_not_found")
    api.get(f"/api/keys/{shown}").expect(404)
    assert bob.mark_read(shown) == 2
    assert bob.unread() == {shown: 0}
    api.create_raw(shown, seen.new_password()).expect((400, 409))
