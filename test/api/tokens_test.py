"""Every route that needs a token, asked with none, a wrong one, an ended one and another's."""

import pytest

from support import seen
from support.api import new_name

# (method, path, body): a request that is right but for its token.
ROUTES = [
    ("POST", "/api/account/logout", None),
    ("GET", "/api/account", None),
    ("POST", "/api/account/update-username", {"new_username": "x"}),
    ("POST", "/api/account/password", {"current_password": "x", "new_password": "y"}),
    ("POST", "/api/account/delete", {"password": "x"}),
    ("GET", "/api/sessions", None),
    ("DELETE", "/api/sessions/1", None),
    ("POST", "/api/messages/send", {"to_username": "x", "content": "y"}),
    ("GET", "/api/messages", None),
    ("GET", "/api/messages?limit=5", None),
    ("GET", "/api/messages/filtered?with_user=x", None),
    ("POST", "/api/messages/mark-read?with_user=x", None),
    ("GET", "/api/conversations", None),
    ("POST", "/api/keys/upload", {"key_bundle": {
        "identity_key": "i", "signed_prekey": "s", "signed_prekey_signature": "g",
        "one_time_prekeys": []}}),
    ("POST", "/api/keys/claim", {"username": "x"}),
    ("GET", "/api/keys", None),
    ("GET", "/api/blocks", None),
    ("PUT", "/api/blocks/x", None),
    ("DELETE", "/api/blocks/x", None),
]
IDS = [f"{method} {path}" for method, path, _ in ROUTES]


def ask(api, route, token, fields=()):
    method, path, body = route
    more = {} if body is None else {"json_body": body}
    return api.request(method, path, token, fields=fields, **more)


@pytest.fixture(scope="module")
def ended(api):
    account = api.create()
    account.post("/api/account/logout").expect(204)
    return account


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_no_token(api, route):
    ask(api, route, None).expect(401, "token_missing")


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_a_wrong_token(api, route):
    ask(api, route, "A" * 32).expect(401, "token_invalid")


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_a_token_of_the_wrong_form(api, route):
    for token in ("A" * 31, "A" * 33, "A" * 31 + "-", "x", "%"):
        ask(api, route, token).expect(401, "token_invalid")


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_an_ended_sessions_token(api, route, ended):
    ask(api, route, ended.token).expect(401, "token_invalid")


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_another_scheme_is_no_token(api, route):
    ask(api, route, None, [("Authorization", "Basic YTpi")]).expect(401)


def test_the_schemes_case_does_not_count(api, alice):
    for scheme in ("bearer", "BEARER", "Bearer"):
        api.get("/api/account", fields=[("Authorization", f"{scheme} {alice.token}")]).expect(200)


def test_the_tokens_case_counts(api, alice):
    api.get("/api/account", alice.token.swapcase()).expect(401, "token_invalid")


def test_another_accounts_token_reaches_only_its_own(api, alice, bob):
    """What each route gives to somebody else: their own things, never alice's."""
    carol = api.create()
    content = alice.send(bob)["content"]
    alice.upload(["only one"])
    (session,) = alice.sessions()
    assert carol.get("/api/account").json()["user_id"] == carol.user_id
    assert carol.messages() == [] and carol.conversations() == []
    assert carol.filtered(alice.username) == [] and carol.filtered() == []
    assert carol.mark_read(alice.username) == 0 and carol.mark_read(bob.username) == 0
    assert carol.get("/api/keys").json() == {"one_time_prekeys": 0}
    assert session["id"] not in {row["id"] for row in carol.sessions()}
    api.request("DELETE", f"/api/sessions/{session['id']}", carol.token).expect(404)
    carol.delete_raw(alice.password).expect(401)
    carol.password_raw(alice.password, seen.new_password()).expect(401)
    name = new_name()
    carol.rename(name)
    carol.upload(["a", "b"])
    carol.send(bob)
    carol.post("/api/account/logout").expect(204)
    # Nothing of it touched alice or bob's view of her.
    assert alice.get("/api/account").json()["username"] == alice.username
    assert alice.get("/api/keys").json() == {"one_time_prekeys": 1}
    assert [entry["content"] for entry in bob.filtered(alice.username)] == [content]
    assert bob.unread() == {alice.username: 1, name: 1}


@pytest.mark.parametrize("path", ("/api/account/create", "/api/account/login"))
def test_routes_without_a_token_do_not_judge_one(api, path, alice):
    body = {"username": new_name(), "password": seen.new_password()}
    wanted = 200 if path.endswith("create") else 401
    for token in ("A" * 32, "no token", alice.token):
        body["username"] = new_name()
        response = api.post(path, token, body).expect(wanted)
        if wanted == 200:
            seen.note_token(response.json()["token"])
        else:
            assert response.code == "credentials_wrong"
