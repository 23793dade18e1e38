"""Sessions: listed with their labels, ended one by one, never somebody else's."""

from support.api import TIME_FORM


def test_a_session_lists_itself(alice):
    rows = alice.sessions()
    assert len(rows) == 1
    row = rows[0]
    assert set(row) == {"id", "label", "created_at", "last_used_at", "current"}
    assert type(row["id"]) is int and row["id"] > 0
    assert row["label"] is None or row["label"] == ""
    assert TIME_FORM.fullmatch(row["created_at"])
    assert TIME_FORM.fullmatch(row["last_used_at"])
    assert row["current"] is True


def test_labels_come_back_as_they_were_given(api, alice):
    labels = ["phone", "Zoë's \"laptop\" 😀", "l" * 64]
    for label in labels:
        api.login(alice.username, alice.password, label=label)
    rows = alice.sessions()
    assert sorted(row["label"] for row in rows if row["label"]) == sorted(labels)
    assert [row["current"] for row in rows].count(True) == 1
    assert len({row["id"] for row in rows}) == 4


def test_labels_that_are_refused(api, alice):
    api.login_raw(alice.username, alice.password, label="l" * 65).expect(400)
    api.login_raw(alice.username, alice.password, label=5).expect(422, "body_shape")


def test_current_is_the_session_that_asks(api, alice):
    other = api.login(alice.username, alice.password, label="other")
    assert [row["label"] for row in other.sessions() if row["current"]] == ["other"]


def test_ending_another_session_of_ones_own(api, alice):
    other = api.login(alice.username, alice.password, label="to end")
    (row,) = [row for row in alice.sessions() if row["label"] == "to end"]
    target = f"/api/sessions/{row['id']}"
    response = alice.api.request("DELETE", target, alice.token).expect(204)
    assert response.body == b""
    other.get("/api/account").expect(401, "token_invalid")
    alice.get("/api/account").expect(200)
    alice.api.request("DELETE", target, alice.token).expect(404, "session_not_found")


def test_ending_the_session_that_asks(alice):
    (row,) = alice.sessions()
    alice.api.request("DELETE", f"/api/sessions/{row['id']}", alice.token).expect(204)
    alice.get("/api/account").expect(401, "token_invalid")


def test_a_session_of_somebody_else_is_not_found(api, alice, bob):
    (row,) = bob.sessions()
    api.request("DELETE", f"/api/sessions/{row['id']}", alice.token) \
        .expect(404, "session_not_found")
    bob.get("/api/account").expect(200)


def test_ids_no_session_has(api, alice):
    for number in ("9007199254740991", "0", "99999999999999999999999"):
        api.request("DELETE", f"/api/sessions/{number}", alice.token).expect((400, 404))
    for text in ("abc", "-1", "1.0", "1e3", "%31x", "%20"):
        api.request("DELETE", f"/api/sessions/{text}", alice.token).expect((400, 404))
    assert len(alice.sessions()) == 1
