"""Pages of the message lists: limit, before, after, Link."""

import pytest

from support.api import next_target, with_query

LISTS = ("/api/messages", "/api/messages/filtered")


@pytest.fixture(scope="module")
def crowd(api):
    """alice's log: 250 messages with bob and carol, mixed, both directions, and to herself."""
    alice, bob, carol = api.create(), api.create(), api.create()
    for number in range(250):
        other = (bob, carol, bob, alice)[number % 4]
        (other if number % 3 == 0 else alice).send(alice if number % 3 == 0 else other)
    return alice, bob, carol


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", (1, 7, 100, 249, 250, 251, 1000))
def test_the_walk_equals_the_full_list(crowd, path, limit):
    alice = crowd[0]
    full = alice.get(path).expect(200).json()
    assert len(full) == 250
    walked, pages = alice.walk(with_query(path, limit=limit))
    assert walked == full
    assert pages == -(-250 // limit)


@pytest.mark.parametrize("who", (0, 1, 2), ids=("self", "bob", "carol"))
@pytest.mark.parametrize("limit", (1, 13, 1000))
def test_the_walk_of_one_conversation(crowd, who, limit):
    alice, other = crowd[0], crowd[who]
    wanted = [entry for entry in alice.messages() if other is alice and
              entry["from_username"] == entry["to_username"] == alice.username
              or other is not alice and
              other.username in (entry["from_username"], entry["to_username"])]
    assert len(wanted) > 50
    walked, _ = alice.walk(with_query("/api/messages/filtered", with_user=other.username,
                                      limit=limit))
    assert walked == wanted == alice.filtered(other.username)


def test_the_full_list_has_no_link(crowd):
    for path in LISTS:
        assert next_target(crowd[0].get(path).expect(200)) is None


@pytest.mark.parametrize("path", LISTS)
def test_before_and_after_are_exclusive(crowd, path):
    alice = crowd[0]
    full = alice.get(path).json()
    assert alice.get(with_query(path, before=11)).expect(200).json() \
        == [entry for entry in full if entry["seq"] < 11]
    assert alice.get(with_query(path, after=240)).expect(200).json() \
        == [entry for entry in full if entry["seq"] > 240]
    assert alice.get(with_query(path, before=20, after=10)).expect(200).json() \
        == [entry for entry in full if 10 < entry["seq"] < 20]
    assert alice.get(with_query(path, before=1)).expect(200).json() == []
    assert alice.get(with_query(path, after=250)).expect(200).json() == []
    assert alice.get(with_query(path, before=11, limit=3)).expect(200).json() \
        == [entry for entry in full if entry["seq"] < 11][:3]


@pytest.mark.parametrize("path", LISTS)
def test_a_hundred_when_only_before_or_after_is_given(crowd, path):
    alice = crowd[0]
    full = alice.get(path).json()
    page = alice.get(with_query(path, before=200)).expect(200)
    assert page.json() == [entry for entry in full if entry["seq"] < 200][:100]
    assert next_target(page) is not None
    assert len(alice.get(with_query(path, after=10)).expect(200).json()) == 100


def test_the_walk_keeps_its_lower_end(crowd):
    alice = crowd[0]
    walked, pages = alice.walk("/api/messages?after=100&limit=40")
    assert [entry["seq"] for entry in walked] == list(range(250, 100, -1))
    assert pages == 4


def test_new_messages_do_not_disturb_a_walk(api):
    alice, bob = api.create(), api.create()
    for _ in range(9):
        alice.send(bob)
    page = alice.get("/api/messages?limit=4").expect(200)
    alice.send(bob)
    rest, _ = alice.walk(next_target(page))
    assert [e["seq"] for e in page.json() + rest] == list(range(9, 0, -1))


@pytest.mark.parametrize("path", LISTS + ("/api/conversations",))
@pytest.mark.parametrize("limit", ("0", "1001", "-1", "x", "", "1.0", "1e2", "%201", "+1", "0x10",
                                   "99999999999999999999", "10%00"))
def test_limits_that_are_refused(crowd, path, limit):
    response = crowd[0].get(f"{path}?limit={limit}").expect(400)
    if "%00" not in limit:
        assert response.code == "limit_not_allowed", response.describe()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("name", ("before", "after"))
@pytest.mark.parametrize("value", ("x", "", "-1", "1.5", "1e3", "99999999999999999999"))
def test_places_that_are_refused(crowd, path, name, value):
    crowd[0].get(f"{path}?{name}={value}").expect(400, "seq_not_allowed")


def test_before_must_be_a_message_of_the_conversation(crowd):
    alice, bob, carol = crowd
    with_bob = {entry["seq"] for entry in alice.filtered(bob.username)}
    inside = sorted(with_bob)[20]
    outside = next(seq for seq in range(inside, 250) if seq not in with_bob)
    target = with_query("/api/messages/filtered", with_user=bob.username, before=inside)
    assert len(alice.get(target).expect(200).json()) == 20
    for seq in (outside, 251, 100000):
        alice.get(with_query("/api/messages/filtered", with_user=bob.username, before=seq)) \
            .expect(400, "seq_not_allowed")


@pytest.mark.parametrize("query", ("limit=1&limit=2", "limit=1&limit=1", "before=3&before=3",
                                   "limit=1&%6cimit=1", "after=1&after=2"))
def test_a_parameter_given_twice(crowd, query):
    for path in LISTS:
        crowd[0].get(f"{path}?{query}").expect(400, "parameter_doubled")


def test_with_user_given_twice(crowd):
    alice, bob, _ = crowd
    query = f"with_user={bob.username}&with_user={bob.username}"
    alice.get(f"/api/messages/filtered?{query}").expect(400, "parameter_doubled")
    alice.post(f"/api/messages/mark-read?{query}").expect(400, "parameter_doubled")


@pytest.mark.parametrize("query", ("with_user=%", "with_user=%4", "with_user=%zz", "with_user=%ff",
                                   "with_user=%c0%80", "with_user=%ed%a0%80", "with_user=a%00b",
                                   "with%zz=1"))
def test_queries_that_do_not_decode(crowd, query):
    crowd[0].get(f"/api/messages/filtered?{query}").expect(400, "query_malformed")
    crowd[0].post(f"/api/messages/mark-read?{query}").expect(400, "query_malformed")


def test_unknown_parameters_are_ignored(crowd):
    assert len(crowd[0].get("/api/messages?limit=2&_=17&x").expect(200).json()) == 2


def test_plus_and_percent_20_are_a_space(api, alice):
    carol = api.create("a b c")
    sent = alice.send(carol)
    for form in ("a+b+c", "a%20b%20c", "a%20b+c", "%61+b+c", "A+B+C"):
        (entry,) = alice.get(f"/api/messages/filtered?with_user={form}").expect(200).json()
        assert entry["id"] == sent["message_id"]
    for form in ("a%2Bb%2Bc", "a%2520b%2520c"):
        alice.get(f"/api/messages/filtered?with_user={form}").expect(404, "account_not_found")
