"""Key bundles: upload, fetch, claim, count. A one-time key leaves the server exactly once."""

import concurrent.futures
from urllib.parse import quote

import pytest

from support import seen
from support.api import new_name

UPLOAD, CLAIM = "/api/keys/upload", "/api/keys/claim"
BUNDLE = {"identity_key": "identity", "signed_prekey": "prekey",
          "signed_prekey_signature": "signature", "one_time_prekeys": []}


def left(account):
    answer = account.get("/api/keys").expect(200).json()
    assert set(answer) == {"one_time_prekeys"}
    return answer["one_time_prekeys"]


def test_upload_and_fetch(api, alice, bob):
    bundle = alice.upload(["one", "two"], identity_key="I+/=", signed_prekey="é😀\"\\")
    assert alice.upload_raw(bundle).expect(200).json() == {"success": True}
    for token in (None, bob.token, alice.token, "A" * 32):
        answer = api.get(f"/api/keys/{alice.username}", token).expect(200).json()
        assert answer == {"key_bundle": {**bundle, "one_time_prekeys": []}}
    assert left(alice) == 2


def test_a_name_is_found_in_another_case(api, alice):
    alice.upload()
    api.get(f"/api/keys/{alice.username.upper()}").expect(200)


@pytest.mark.parametrize("name", ("Zoë Ünï keys", "a b keys", "100 € ~;,:@=", "claim", "upload"))
def test_names_in_the_path(api, name):
    """GET /api/keys/claim and /api/keys/upload are the accounts of that name."""
    account = api.create(name)
    api.get(f"/api/keys/{quote(name, safe='')}").expect(404, "keys_not_found")
    bundle = account.upload(["one"], identity_key=f"of {name}")
    answer = api.get(f"/api/keys/{quote(name, safe='')}").expect(200).json()
    assert answer["key_bundle"]["identity_key"] == bundle["identity_key"]
    assert account.claim(name) == ["one"]


def test_a_segment_is_decoded_after_splitting(api):
    api.get("/api/keys/a%2Fb").expect(404, "account_not_found")
    api.get("/api/keys/a/b").expect(404, "route_not_found")
    api.get("/api/keys/").expect(404)


def test_plus_in_a_path_is_a_plus(api):
    account = api.create("p l u s")
    account.upload()
    api.get("/api/keys/p%20l%20u%20s").expect(200)
    api.get("/api/keys/p+l+u+s").expect(404, "account_not_found")


@pytest.mark.parametrize("segment", ("%", "%4", "%zz", "%ff", "%c3", "%ed%a0%80", "a%00b"))
def test_segments_that_do_not_decode(api, segment):
    api.get(f"/api/keys/{segment}").expect(400, "target_malformed")


def test_no_account_and_no_keys(api, alice, bob):
    api.get(f"/api/keys/{new_name()}").expect(404, "account_not_found")
    api.get(f"/api/keys/{alice.username}").expect(404, "keys_not_found")
    bob.post(CLAIM, {"username": new_name()}).expect(404, "account_not_found")
    bob.post(CLAIM, {"username": alice.username}).expect(404, "keys_not_found")
    assert left(alice) == 0


def test_each_one_time_key_is_claimed_once_then_none(alice, bob):
    bundle = alice.upload(["one", "two", "three"])
    got = []
    for remaining in (2, 1, 0):
        answer = bob.post(CLAIM, {"username": alice.username}).expect(200).json()
        keys = answer["key_bundle"].pop("one_time_prekeys")
        assert len(keys) == 1
        got += keys
        assert answer["key_bundle"] == {k: v for k, v in bundle.items() if k != "one_time_prekeys"}
        assert left(alice) == remaining
    assert sorted(got) == ["one", "three", "two"]
    assert bob.claim(alice.username) == [] == alice.claim(alice.username)


def test_a_claimed_key_is_never_handed_out_again(alice, bob):
    alice.upload(["one", "two"])
    (claimed,) = bob.claim(alice.username)
    alice.upload(["one", "two", "three"])
    assert left(alice) == 2
    rest = {"one", "two", "three"} - {claimed}
    assert {bob.claim(alice.username)[0] for _ in range(2)} == rest
    alice.upload(["one", "two", "three"])
    assert left(alice) == 0 and bob.claim(alice.username) == []


def test_an_upload_replaces_the_unclaimed_ones(alice, bob):
    alice.upload(["one", "two"])
    alice.upload(["three"], identity_key="new")
    assert left(alice) == 1
    assert bob.claim(alice.username) == ["three"]
    assert bob.claim(alice.username) == []


def test_a_key_twice_in_one_upload_is_one_key(alice, bob):
    alice.upload(["same", "same"])
    assert left(alice) == 1
    assert bob.claim(alice.username) == ["same"] and bob.claim(alice.username) == []


def test_two_accounts_may_have_the_same_key(api, alice, bob):
    alice.upload(["shared"])
    bob.upload(["shared"])
    assert alice.claim(bob.username) == ["shared"] == bob.claim(alice.username)


def test_the_signature_is_not_judged(alice):
    alice.upload(["not base64 !"], identity_key="?", signed_prekey="?",
                 signed_prekey_signature="?")


@pytest.mark.parametrize("member", ("identity_key", "signed_prekey", "signed_prekey_signature"))
def test_the_length_of_a_key(alice, member):
    for value in ("k", "k" * 1024, "ü" * 1024):
        alice.upload_raw({**BUNDLE, member: value}).expect(200)
    for value in ("", "k" * 1025):
        alice.upload_raw({**BUNDLE, member: value}).expect(400, "key_bundle_not_allowed")


def test_the_length_and_number_of_one_time_keys(alice):
    alice.upload([f"{n}" for n in range(200)])
    assert left(alice) == 200
    for keys in ([f"{n}" for n in range(201)], [""], ["k" * 1025]):
        alice.upload_raw({**BUNDLE, "one_time_prekeys": keys}).expect(400, "key_bundle_not_allowed")
    assert left(alice) == 200


@pytest.mark.parametrize("bundle", [
    None, [], "x", {}, *({k: v for k, v in BUNDLE.items() if k != gone} for gone in BUNDLE),
    *({**BUNDLE, name: 1} for name in BUNDLE), {**BUNDLE, "one_time_prekeys": [1]},
    {**BUNDLE, "one_time_prekeys": ["a", None]}], ids=str)
def test_bundles_of_the_wrong_shape(alice, bundle):
    alice.upload_raw(bundle).expect(422, "body_shape")


def test_bodies_of_the_wrong_shape(alice):
    alice.post(UPLOAD, {}).expect(422, "body_shape")
    alice.post(UPLOAD, BUNDLE).expect(422, "body_shape")
    for body in ({}, {"username": 1}, [], {"name": "x"}):
        alice.post(CLAIM, body).expect(422, "body_shape")


def test_other_methods_are_405(api, alice):
    response = alice.post(f"/api/keys/{alice.username}", {}).expect(405, "method_not_allowed")
    assert {word.strip() for word in response.field("allow").split(",")} \
        == {"GET", "HEAD", "OPTIONS"}
    response = api.request("DELETE", CLAIM).expect(405, "method_not_allowed")
    assert {"POST", "GET"} <= {word.strip() for word in response.field("allow").split(",")}


def test_many_claimers_at_once_get_different_keys(api, alice):
    keys = [f"key {n}" for n in range(200)]
    alice.upload(keys)
    claimers = [api.create() for _ in range(8)]

    def claim(number):
        return claimers[number % 8].claim(alice.username)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = list(pool.map(claim, range(210)))
    given = [key for answer in got for key in answer]
    assert sorted(given) == sorted(keys)
    assert got.count([]) == 10


def test_a_claim_outlives_a_crash(start):
    server = start()
    alice, bob = server.api.create(), server.api.create()
    alice.upload(["one", "two"])
    first = bob.claim(alice.username)
    server.kill()
    server.start()
    alice.api = bob.api = server.api
    second = bob.claim(alice.username)
    assert sorted(first + second) == ["one", "two"]
    assert bob.claim(alice.username) == []


def test_the_content_of_a_bundle_is_given_back_verbatim(api, alice):
    odd = seen.new_content("\"\\\u0001\u2028😀")
    alice.upload([odd], identity_key=odd)
    assert api.get(f"/api/keys/{alice.username}").json()["key_bundle"]["identity_key"] == odd
    assert alice.claim(alice.username) == [odd]
