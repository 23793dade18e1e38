"""A restore on a disk that fails."""

from support.api import Account
from support.server import environment


def test_a_sync_that_fails_after_the_exchange_is_not_told_as_nothing(start, disk, tmp_path, tell):
    """What was restored is in place then: only a power cut could undo it."""
    running = start()
    alice = running.api.create()
    alice.send(alice)
    kept = alice.messages()
    backup = tmp_path / "backup.db"
    assert running.command("backup", backup).returncode == 0
    alice.send(alice)
    running.stop()

    disk.fail("sync")
    done = running.command("restore", backup, env=environment(**disk.environment))
    assert done.returncode == 1 and "is not restored, nothing changed: " in done.stderr
    disk.heal("sync")

    disk.fail("exchanged")
    done = running.command("restore", backup, env=environment(**disk.environment))
    assert done.returncode == 1 and done.stdout == ""
    assert "nothing changed" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert f"{backup} is restored to {running.database}, what was there is " in said
    assert f"{running.database}.before-restore, but a power cut may undo that: the folder " in said
    running.start()
    again = Account(running.api, alice.username, alice.password, alice.token, alice.user_id)
    assert again.messages() == kept
    tell(f"a sync failed before and one behind the exchange: 2 told, {len(kept)} of {len(kept)} messages kept")
