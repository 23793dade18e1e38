"""A disabled account: 403 behind its own password or token, and nothing that tells anybody else."""

import contextlib
import sqlite3


def disabled(server, user):
    """Disable the account in the file of a stopped server, its session left: a token that survived."""
    server.stop()
    with contextlib.closing(sqlite3.connect(server.database)) as database, database:
        database.execute("UPDATE account SET disabled_at_ms = 1 WHERE name = ?", (user.username,))
    server.start()
    user.api = server.api


def test_a_disabled_account_is_told_so_only_behind_its_password_or_token(start):
    server = start()
    alice, bob = server.api.create(), server.api.create()
    disabled(server, alice)
    bob.api = server.api
    logged_in = server.api.login_raw(alice.username, alice.password)
    assert logged_in.expect(403).code == "account_disabled"
    wrong = server.api.login_raw(alice.username, alice.password + "x")
    assert wrong.expect(401).code == "credentials_wrong"
    for _ in range(2):
        assert alice.get("/api/account").expect(403).code == "account_disabled"
        assert alice.send_raw(bob.username, "hello").expect(403).code == "account_disabled"
    bob.send(alice)
    assert bob.messages()[0]["to_username"] == alice.username
