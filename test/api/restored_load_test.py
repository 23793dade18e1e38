"""Backups of a server under load, each restored: every one is a prefix of what was acknowledged.

Six in ./run test, 600 in ./run torture, which takes minutes.
"""
import pathlib
import sqlite3
import threading

import pytest

from support import server, torture
from support.api import Account, new_name

BACKUPS = torture.size(6, 600)
# Of one server: its database grows by thousands of messages a second, and each is looked at.
BACKUPS_A_SERVER = 50
SENDERS = 8
# Restored and started, and asked over HTTP; all are restored and read as files.
STARTED_EVERY = 5


class Sender(threading.Thread):
    """Sends 0, 1, 2, … to the same account until it is told to stop."""

    def __init__(self, account, recipient):
        super().__init__()
        self.account = account
        self.recipient = recipient
        self.acknowledged = 0
        self.stops = False

    def run(self):
        while not self.stops:
            self.account.send(self.recipient, f"{self.account.username} {self.acknowledged}")
            self.acknowledged += 1


def texts_in(path):
    """name -> what each account's log says it sent, in the log's order."""
    sent = {}
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as database:
        for (text,) in database.execute("SELECT text FROM log WHERE kind = 1 ORDER BY account_id, seq"):
            sent.setdefault(text.split()[0], []).append(text)
    return sent


def check_prefix(sender, texts, acknowledged_before):
    """No gap, nothing that was acknowledged before, and at most what was in flight after."""
    name = sender.account.username
    assert texts == [f"{name} {number}" for number in range(len(texts))], name
    assert acknowledged_before <= len(texts) <= sender.acknowledged + 1, name


@pytest.mark.parametrize("begun", range(0, BACKUPS, BACKUPS_A_SERVER))
def test_backups_under_load_restore_to_a_prefix(start, tmp_path, begun):
    running = start()
    reader = running.api.create(new_name("reader"))
    senders = [Sender(running.api.create(new_name("sender")), reader) for _ in range(SENDERS)]
    other = server.Server(tmp_path / "other")
    for sender in senders:
        sender.start()
    try:
        for number in range(begun, min(begun + BACKUPS_A_SERVER, BACKUPS)):
            before = [sender.acknowledged for sender in senders]
            backup = tmp_path / "backup.db"
            done = running.command("backup", backup, deadline_s=600)
            assert done.returncode == 0, done.stderr
            done = other.command("restore", backup, deadline_s=600)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            backup.unlink()
            pathlib.Path(other.database + ".before-restore").unlink(missing_ok=True)
            sent = texts_in(other.database)
            for sender, acknowledged in zip(senders, before):
                check_prefix(sender, sent.get(sender.account.username, []), acknowledged)
            if number % STARTED_EVERY == 0:
                with other:
                    restored = Account(other.api, reader.username, reader.password, reader.token, reader.user_id)
                    assert len(restored.messages()) == sum(len(texts) for texts in sent.values())
    finally:
        for sender in senders:
            sender.stops = True
        for sender in senders:
            sender.join()
    acknowledged = sum(sender.acknowledged for sender in senders)
    print(f"backups up to {number + 1} restored, {acknowledged} sends acknowledged meanwhile")
    assert acknowledged > sum(before)
    assert all(sent.values()) and len(sent) == SENDERS
