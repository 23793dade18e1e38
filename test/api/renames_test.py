"""Renaming: the old name stays with its owner, resolves to nobody, and may be taken back."""

from support import seen
from support.api import TIME_FORM, new_name


def test_rename_answers_name_and_time(alice):
    name = new_name()
    answer = alice.rename_raw(name).expect(200).json()
    assert set(answer) == {"username", "updated_at"}
    assert answer["username"] == name and TIME_FORM.fullmatch(answer["updated_at"])
    assert alice.get("/api/account").expect(200).json()["username"] == name


def test_the_shape_of_the_body(alice):
    for body in ({}, {"new_username": 1}, {"new_username": None}, [], {"username": "x"}):
        alice.post("/api/account/update-username", body).expect(422, "body_shape")


def test_a_name_of_somebody_else(alice, bob):
    for variant in (bob.username, bob.username.upper()):
        alice.rename_raw(variant).expect(409, "username_taken")
    assert alice.get("/api/account").json()["username"] == alice.username


def test_the_same_name_again_changes_nothing(alice):
    alice.rename_raw(alice.username).expect(200)
    assert alice.get("/api/account").json()["username"] == alice.username


def test_an_account_may_change_the_case_of_its_name(api, bob):
    account = api.create(new_name("lower"))
    lower = account.username
    account.rename(lower.upper())
    assert account.get("/api/account").json()["username"] == lower.upper()
    # Both forms still mean this account: nothing is held for another case.
    for form in (lower, lower.upper()):
        bob.send_raw(form, seen.new_content()).expect(200)


def test_the_old_name_is_held_for_its_owner(api, alice, bob):
    old, new = alice.username, new_name()
    alice.upload()
    alice.rename(new)
    for variant in (old, old.upper()):
        api.create_raw(variant, seen.new_password()).expect(409, "username_taken")
        bob.rename_raw(variant).expect(409, "username_taken")
    bob.send_raw(old, seen.new_content()).expect(404, "recipient_not_found")
    bob.get(f"/api/messages/filtered?with_user={old}").expect(404, "account_not_found")
    bob.mark_read_raw(old).expect(404, "account_not_found")
    api.get(f"/api/keys/{old}").expect(404, "account_not_found")
    api.login_raw(old, alice.password).expect(401, "credentials_wrong")
    api.login_raw(new, alice.password).expect(200)
    bob.send(new)
    alice.rename(old)
    bob.send(old)
    api.create_raw(new, seen.new_password()).expect(409, "username_taken")


def test_at_most_three_names_are_held(api, alice):
    """The fourth rename either is refused or gives up the oldest of the held names."""
    names = [alice.username]
    for _ in range(3):
        names.append(new_name())
        alice.rename(names[-1])
    fourth = alice.rename_raw(new_name())
    if fourth.status == 409:
        assert fourth.code == "names_held", fourth.describe()
        held, free = names[:3], []
    else:
        fourth.expect(200)
        held, free = names[1:], names[:1]
    for name in held:
        api.create_raw(name, seen.new_password()).expect(409, "username_taken")
    for name in free:
        api.create_raw(name, seen.new_password()).expect(200)
    # Taking one's own name back is always possible.
    alice.rename(held[0])
    alice.get("/api/account").expect(200)


def test_lists_show_the_name_of_today(alice, bob):
    alice.send(bob)
    bob.send(alice)
    old, new = alice.username, new_name()
    assert {entry["from_username"] for entry in bob.messages()} == {old, bob.username}
    alice.rename(new)
    assert {(e["from_username"], e["to_username"]) for e in bob.messages()} \
        == {(new, bob.username), (bob.username, new)}
    assert [row["username"] for row in bob.conversations()] == [new]
    assert {(e["from_username"], e["to_username"]) for e in alice.messages()} \
        == {(new, bob.username), (bob.username, new)}
    assert len(bob.filtered(new)) == 2
