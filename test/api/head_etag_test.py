"""HEAD wherever GET; ETag and 304."""

import re

import pytest

from support.api import new_name
from support.http import Connection, request_bytes

LISTS = ("/api/messages", "/api/messages?limit=2", "/api/messages/filtered",
         "/api/messages/filtered?with_user={other}", "/api/conversations")
OTHERS = ("/health", "/livez", "/readyz", "/api/account", "/api/sessions", "/api/keys",
          "/api/keys/{other}", "/openapi.json", "/docs")
# Fields that say when, not what.
VARYING = {"date", "x-request-id"}


@pytest.fixture
def pair(api):
    """Two accounts with three messages between them."""
    one, two = api.create(), api.create()
    for _ in range(2):
        one.send(two)
    two.send(one)
    return one, two


def fields_of(response):
    return sorted((name.lower(), value) for name, value in response.fields
                  if name.lower() not in VARYING)


@pytest.mark.parametrize("path", LISTS + OTHERS)
def test_head_has_the_fields_of_get_and_no_body(api, pair, path):
    one, two = pair
    target = path.format(other=two.username)
    if path == "/api/keys/{other}":
        # Only here: contacts are told of new keys shortly after, and that changes tags.
        two.upload()
    with Connection(api.port) as connection:
        answers = {}
        for method in ("GET", "HEAD", "GET"):
            connection.send(request_bytes(
                method, target, [("Authorization", f"Bearer {one.token}")]))
            answers[method] = connection.answer(method, target).expect(200)
        assert not connection.received
    assert answers["GET"].body and not answers["HEAD"].body
    assert fields_of(answers["HEAD"]) == fields_of(answers["GET"])


def test_head_of_errors(api):
    for target, status in (("/nothing", 404), ("/api/messages", 401), ("/api/messages/send", 405),
                           (f"/api/keys/{new_name()}", 404)):
        assert api.request("HEAD", target).expect(status).body == b""


def etag_of(account, target):
    tag = account.get(target).expect(200).field("etag", "")
    assert re.fullmatch(r'"[!#-~]+"', tag), f"{target}: {tag!r} is no strong tag"
    return tag


@pytest.mark.parametrize("path", LISTS)
def test_an_unchanged_list_is_304(pair, path):
    one, two = pair
    target = path.format(other=two.username)
    tag = etag_of(one, target)
    for condition in (tag, f"W/{tag}", f'"other", {tag}', f"{tag} , \"x\"", "*"):
        response = one.get(target, fields=[("If-None-Match", condition)]).expect(304)
        assert response.body == b"" and response.field("etag") == tag, response.describe()
    for condition in ('"other"', tag[:-2] + '"', tag.strip('"'), '""'):
        response = one.get(target, fields=[("If-None-Match", condition)]).expect(200)
        assert response.body
    response = one.api.request("HEAD", target, one.token, fields=[("If-None-Match", tag)])
    response.expect(304)


@pytest.mark.parametrize("path", LISTS)
def test_the_tag_changes_with_what_is_shown(pair, path):
    one, two = pair
    name = two.username
    tags = [etag_of(one, path.format(other=name))]
    changes = (lambda: one.send(two), lambda: two.send(one),
               lambda: one.mark_read(two.username), lambda: two.rename(new_name()))
    for change in changes:
        change()
        target = path.format(other=two.username)
        tags.append(etag_of(one, target))
        one.get(target, fields=[("If-None-Match", tags[-2])]).expect(200)
    assert len(set(tags)) == len(tags), tags
    two.delete_raw(two.password).expect(204)
    target = path.format(other=f"deleted-{two.user_id}")
    one.get(target, fields=[("If-None-Match", tags[-1])]).expect(200)


@pytest.mark.parametrize("path", LISTS[:3] + LISTS[4:])
def test_no_two_accounts_have_the_same_tag(api, path):
    accounts = [api.create() for _ in range(6)]
    tags = [etag_of(account, path) for account in accounts]
    assert len(set(tags)) == len(tags)
    accounts[0].send(accounts[1])
    accounts[2].send(accounts[3])
    tags = [etag_of(account, path) for account in accounts]
    assert len(set(tags)) == len(tags)
    # Somebody else's tag is no reason for 304.
    accounts[0].get(path, fields=[("If-None-Match", tags[1])]).expect(200)


def test_a_tag_outlives_a_restart(start):
    server = start()
    one, two = server.api.create(), server.api.create()
    one.send(two)
    tag = etag_of(one, "/api/messages")
    server.restart()
    one.api = server.api
    one.get("/api/messages", fields=[("If-None-Match", tag)]).expect(304)


def test_errors_go_before_the_condition(api, pair):
    one, _ = pair
    tag = etag_of(one, "/api/messages")
    for target, token, status in (
            ("/api/messages", None, 401), ("/api/messages?limit=0", one.token, 400),
            ("/api/messages/filtered?with_user=nobody-here", one.token, 404)):
        api.get(target, token, fields=[("If-None-Match", tag)]).expect(status)
        api.get(target, token, fields=[("If-None-Match", "*")]).expect(status)
