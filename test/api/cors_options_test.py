"""OPTIONS, CORS preflights, and what a browser may read."""

import pytest

ALLOWED = {"authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id",
           "x-request-id"}
EXPOSED = {"etag", "link", "migchat-cursor", "idempotent-replay", "retry-after", "x-request-id"}
METHODS_OF = {
    "/health": {"GET", "HEAD", "OPTIONS"},
    "/livez": {"GET", "HEAD", "OPTIONS"},
    "/readyz": {"GET", "HEAD", "OPTIONS"},
    "/api/account/create": {"POST", "OPTIONS"},
    "/api/account/login": {"POST", "OPTIONS"},
    "/api/account/logout": {"POST", "OPTIONS"},
    "/api/account": {"GET", "HEAD", "OPTIONS"},
    "/api/account/update-username": {"POST", "OPTIONS"},
    "/api/account/password": {"POST", "OPTIONS"},
    "/api/account/delete": {"POST", "OPTIONS"},
    "/api/sessions": {"GET", "HEAD", "OPTIONS"},
    "/api/sessions/1": {"DELETE", "OPTIONS"},
    "/api/messages/send": {"POST", "OPTIONS"},
    "/api/messages": {"GET", "HEAD", "OPTIONS"},
    "/api/messages/filtered": {"GET", "HEAD", "OPTIONS"},
    "/api/messages/mark-read": {"POST", "OPTIONS"},
    "/api/conversations": {"GET", "HEAD", "OPTIONS"},
    "/api/keys": {"GET", "HEAD", "OPTIONS"},
    "/api/keys/anna": {"GET", "HEAD", "OPTIONS"},
    "/api/keys/upload": {"POST", "GET", "HEAD", "OPTIONS"},
    "/api/keys/claim": {"POST", "GET", "HEAD", "OPTIONS"},
    "/openapi.json": {"GET", "HEAD", "OPTIONS"},
    "/docs": {"GET", "HEAD", "OPTIONS"},
}


def words(value):
    return {word.strip() for word in (value or "").split(",") if word.strip()}


def preflight(api, path, origin, method="POST", headers="authorization,content-type"):
    return api.request("OPTIONS", path, fields=[
        ("Origin", origin), ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", headers)])


@pytest.mark.parametrize("path", METHODS_OF)
def test_options_tells_the_methods(api, path):
    response = api.request("OPTIONS", path).expect((200, 204))
    assert words(response.field("allow")) == METHODS_OF[path], response.describe()
    assert response.body == b""


@pytest.mark.parametrize("path", METHODS_OF)
def test_a_method_of_no_use_is_405_with_the_same_list(api, path):
    response = api.request("PATCH", path).expect(405, "method_not_allowed")
    assert words(response.field("allow")) == METHODS_OF[path], response.describe()


def test_options_of_the_whole_server(api):
    api.request("OPTIONS", "*").expect((200, 204))


def test_options_of_a_path_that_is_not(api):
    api.request("OPTIONS", "/api/nothing").expect(404, "route_not_found")


@pytest.mark.parametrize("path", ("/api/messages/send", "/api/account/create", "/api/keys/claim"))
def test_a_preflight_is_granted_to_everybody(api, path):
    response = preflight(api, path, "https://app.example").expect((200, 204))
    assert response.field("access-control-allow-origin") == "*", response.describe()
    assert "POST" in words(response.field("access-control-allow-methods"))
    assert {word.lower() for word in words(response.field("access-control-allow-headers"))} \
        == ALLOWED
    assert response.field("access-control-allow-credentials") is None


def test_answers_and_errors_can_be_read_by_everybody(api, alice):
    for response in (api.get("/health", fields=[("Origin", "https://app.example")]),
                     alice.get("/api/messages", fields=[("Origin", "https://app.example")]),
                     api.get("/api/messages", fields=[("Origin", "null")]),
                     api.get("/nothing", fields=[("Origin", "https://app.example")])):
        assert response.field("access-control-allow-origin") == "*", response.describe()
        exposed = {word.lower() for word in words(response.field("access-control-expose-headers"))}
        assert exposed == EXPOSED, response.describe()
        assert response.field("access-control-allow-credentials") is None


def test_narrowed_to_one_origin(start):
    api = start(flags=["--cors-origins", "https://app.example"]).api
    ours = preflight(api, "/api/messages/send", "https://app.example").expect((200, 204))
    assert ours.field("access-control-allow-origin") == "https://app.example"
    for origin in ("https://evil.example", "https://app.example.evil", "http://app.example",
                   "https://app.example:8443", "null", "*", "https://APP.example/"):
        foreign = preflight(api, "/api/messages/send", origin)
        assert foreign.field("access-control-allow-origin") is None, foreign.describe()
        answer = api.get("/health", fields=[("Origin", origin)]).expect(200)
        assert answer.field("access-control-allow-origin") is None, answer.describe()
    answer = api.get("/health", fields=[("Origin", "https://app.example")]).expect(200)
    assert answer.field("access-control-allow-origin") == "https://app.example"
    # A cache must not give one origin's answer to another.
    for response in (ours, answer, api.get("/health")):
        assert "origin" in {word.lower() for word in words(response.field("vary"))}


def test_narrowed_to_two_origins(start):
    both = ["https://a.example", "https://b.example:8443"]
    api = start(MIGCHAT_CORS_ORIGINS=",".join(both)).api
    for origin in both:
        answer = api.get("/health", fields=[("Origin", origin)]).expect(200)
        assert answer.field("access-control-allow-origin") == origin
    answer = api.get("/health", fields=[("Origin", ",".join(both))]).expect(200)
    assert answer.field("access-control-allow-origin") is None
