"""GET /health, /livez, /readyz: no token, whatever else the request carries."""

import pytest

ROUTES = ("/health", "/livez", "/readyz")


@pytest.mark.parametrize("path", ROUTES)
def test_a_serving_server_says_so(api, path):
    api.get(path).expect(200)


def test_health_is_the_two_letters_in_plain_text(api):
    response = api.get("/health").expect(200)
    assert response.body == b"OK"
    assert response.field("content-type").split(";")[0] == "text/plain"


@pytest.mark.parametrize("path", ROUTES)
def test_a_query_and_any_token_change_nothing(api, path, alice):
    api.get(path + "?a=b").expect(200)
    api.get(path, token="A" * 32).expect(200)
    api.get(path, token="no token").expect(200)
    alice.get(path).expect(200)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ("POST", "PUT", "DELETE", "PATCH"))
def test_other_methods_are_405(api, path, method):
    response = api.request(method, path).expect(405, "method_not_allowed")
    allowed = {word.strip() for word in response.field("allow").split(",")}
    assert {"GET", "HEAD", "OPTIONS"} == allowed, response.describe()


def test_every_answer_has_a_date(api):
    for path in ROUTES + ("/nothing-here",):
        assert api.get(path).field("date", "").endswith("GMT")


def test_a_query_is_judged_also_where_nobody_reads_it(api, alice):
    for query, code in (("a=%zz", "query_malformed"), ("a=%00", "query_malformed"),
                        ("a=%ff", "query_malformed"), ("a=1&a=2", "parameter_doubled")):
        api.get(f"/health?{query}").expect(400, code)
        alice.get(f"/api/account?{query}").expect(400, code)
        api.get(f"/api/account?{query}").expect(401, "token_missing")
    api.get("/health?a=%20&b=+").expect(200)
