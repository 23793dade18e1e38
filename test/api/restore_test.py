"""`verify FILE` and `restore FILE`, as an operator runs them: on files that no server has open."""
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import stat

import pytest

from support import seen, server
from support.api import Account, new_name
from support.rust_database import RustDatabase


def folder_state(folder):
    """Every file with its bytes, but for locks and the log."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())
            if path.suffix not in (".lock", ".log", ".sock")}


def refused(done, *words):
    """It ended with one line that says why."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == "" and done.stderr.startswith("migchat-server: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def invite(running):
    done = running.command("invite", "create", "2", "1", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    seen.note_password(made["code"])
    return made


@pytest.fixture(name="backed_up")
def fixture_backed_up(start, tmp_path):
    """A running server with two accounts, three messages and an invite, and a backup of it."""
    running = start()
    alice, bob = (running.api.create(new_name(name)) for name in ("alice", "bob"))
    for _ in range(3):
        alice.send(bob)
    invite(running)
    done = running.command("backup", tmp_path / "backup.db")
    assert done.returncode == 0, done.stderr
    return running, alice, bob, tmp_path / "backup.db"


def test_verify_says_what_a_backup_holds_and_leaves_it_alone(backed_up):
    backup = backed_up[3]
    before = backup.read_bytes()
    done = server.run("verify", backup)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{backup} is whole: 2 accounts, 3 messages, schema ")
    assert ", a backup of 20" in done.stdout
    assert server.run("verify", backup, "--log-level", "debug").stdout == done.stdout
    assert backup.read_bytes() == before
    assert not [name for name in os.listdir(backup.parent) if name.startswith("backup.db-")]


def spoil_pages(path):
    spoiled = bytearray(path.read_bytes())
    for at in range(4096, len(spoiled), 4096):
        spoiled[at:at + 64] = b"\xff" * 64
    path.write_bytes(spoiled)


def spoil_end(path):
    path.write_bytes(path.read_bytes()[:-4096])


def spoil_head(path):
    path.write_bytes(b"no database" * 1000)


def spoil_one_page(path):
    """Of the log, so that its schema can be read."""
    spoiled = bytearray(path.read_bytes())
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log'").fetchone()
    spoiled[(root - 1) * 4096:(root - 1) * 4096 + 64] = b"\xff" * 64
    path.write_bytes(spoiled)


def run_sql(sql):
    def spoil(path):
        with sqlite3.connect(path) as database:
            database.executescript(sql)
    return spoil


SPOILED = {
    "pages": (spoil_pages, ()),
    "one page": (spoil_one_page, ("it is damaged", "age ")),
    "end": (spoil_end, ("malformed",)),
    "head": (spoil_head, ("not a database",)),
    "a gap in a log": (run_sql("DELETE FROM log WHERE seq = 2"), ("gap",)),
    "ids given again": (run_sql("UPDATE meta SET value = '1' WHERE key = 'next_message_id'"),
                        ("message ids that would be given again",)),
    "invite ids given again": (run_sql("UPDATE meta SET value = '1' WHERE key = 'next_invite_id'"),
                               ("invite ids that would be given again",)),
    "a block of nobody": (run_sql("INSERT INTO block VALUES(1, 999999, 5, 0, NULL, 0)"),
                          ("blocks without one of their accounts",)),
    "a withheld message that arrived":
        (run_sql("INSERT INTO withheld_message SELECT other_id, ref FROM log WHERE kind = 2 LIMIT 1"),
         ("withheld messages that reached their recipient: 1",)),
    "a message without its content": (run_sql("UPDATE log SET text = NULL WHERE seq = (SELECT seq FROM log"
                                              " WHERE kind = 1 LIMIT 1) AND kind = 1"),
                                      ("messages whose long content is not there",)),
    "a content of no message": (run_sql("INSERT INTO content VALUES(999999, 1, 'left')"),
                                ("messages whose long content is not there or not counted: 1",)),
    "contents counted for each other":
        (run_sql("UPDATE log SET text = NULL WHERE kind IN (1, 2); INSERT INTO content SELECT ref,"
                 " count(*) + (ref = (SELECT min(ref) FROM log WHERE kind = 1))"
                 " - (ref = (SELECT max(ref) FROM log WHERE kind = 1)), 'x' FROM log WHERE kind IN (1, 2)"
                 " GROUP BY ref"),
         ("messages whose long content is not there or not counted: 1",)),
    "a one-time key that was handed out and waits":
        (run_sql("INSERT INTO one_time_prekey VALUES(1, 1, 'key');"
                 f"INSERT INTO claimed_prekey VALUES(1, x'{hashlib.sha256(b'key').hexdigest()}')"),
         ("a one-time key would be given again",)),
    "newer": (run_sql("PRAGMA user_version = 9999"), ("a newer server has written it",)),
    "foreign": (run_sql("DROP TABLE log"), ("it is not a MigChat database",)),
    "missing": (lambda path: path.unlink(), ("No such file",)),
    "folder": (lambda path: (path.unlink(), path.mkdir()), ("it is not a regular file",)),
}


@pytest.mark.parametrize("spoil, words", SPOILED.values(), ids=SPOILED)
def test_verify_refuses_what_is_not_whole(backed_up, spoil, words):
    backup = backed_up[3]
    spoil(backup)
    refused(server.run("verify", backup), str(backup), *words)


def test_verify_refuses_what_a_writer_left_in_the_middle(backed_up):
    """Its journal would put it back; one that never begun, with zeros before, would not."""
    backup = backed_up[3]
    journal = pathlib.Path(f"{backup}-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    refused(server.run("verify", backup), str(backup), "a journal lies beside it")
    journal.write_bytes(bytes(512))
    assert server.run("verify", backup).returncode == 0


def test_verify_refuses_the_database_of_a_running_server(backed_up):
    running = backed_up[0]
    refused(server.run("verify", running.database), "a server has it open")
    running.stop()
    done = server.run("verify", running.database)
    assert done.returncode == 0, done.stderr
    assert ", a backup of" not in done.stdout


def restore(running, backup):
    """Stop the server, put the backup in its place, start it again; what the command said."""
    if running.process is not None:
        running.stop()
    done = running.command("restore", backup)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    running.start()
    return done.stdout


def again(running, account):
    """The same person with the same token, of the server that runs now."""
    return Account(running.api, account.username, account.password, account.token, account.user_id)


def cursor_of(account):
    return account.get("/api/messages").expect(200).field("migchat-cursor")


def test_a_restore_is_a_prefix_that_nobody_takes_for_the_present(backed_up):
    running, alice, bob, backup = backed_up
    etag = bob.get("/api/messages").expect(200).field("etag")
    before_backup = cursor_of(bob)
    kept = bob.messages()
    later = alice.send(bob)
    since = cursor_of(bob)
    epochs = {since.split(":")[0]}
    said = restore(running, backup)
    assert "2 accounts, 3 messages" in said
    assert f"the database that was there is {running.database}.before-restore\n" in said
    alice, bob = again(running, alice), again(running, bob)
    assert bob.messages() == kept
    assert bob.unread() == {alice.username: 3}
    for cursor in (before_backup, since):
        bob.get(f"/api/events?since={cursor}").expect(410, "cursor_gone")
    response = bob.get("/api/messages", fields=[("If-None-Match", etag)]).expect(200)
    assert response.field("etag") != etag
    epochs.add(cursor_of(bob).split(":")[0])
    assert len(epochs) == 2
    assert alice.send(bob)["message_id"] > later["message_id"], "an id is given twice"
    assert stat.S_IMODE(os.stat(running.database).st_mode) == 0o600


def test_the_replaced_database_can_be_put_back(backed_up):
    running, alice, bob, backup = backed_up
    alice.send(bob)
    everything = bob.messages()
    restore(running, backup)
    said = restore(running, running.database + ".before-restore")
    assert f"is {running.database}.before-restore-2\n" in said
    assert again(running, bob).messages() == everything


def test_accounts_and_sessions_of_after_the_backup_leave_no_id_to_be_given_again(backed_up):
    running, alice, _, backup = backed_up
    later = running.api.create(new_name("later"))
    restore(running, backup)
    running.api.login_raw(later.username, later.password).expect(401, "credentials_wrong")
    running.api.get("/api/account", token=later.token).expect(401, "token_invalid")
    newest = running.api.create(new_name("newest"))
    assert newest.user_id > later.user_id
    (session,) = newest.sessions()
    assert session["id"] > max(each["id"] for each in again(running, alice).sessions()) + 1


def test_disabled_accounts_and_invites_are_those_of_the_backup_and_no_id_is_given_again(backed_up):
    running, alice, bob, backup = backed_up
    assert running.command("user", "disable", bob.username).returncode == 0
    assert running.command("backup", backup.with_name("later.db")).returncode == 0
    assert running.command("user", "disable", alice.username).returncode == 0
    assert running.command("user", "enable", bob.username).returncode == 0
    later = invite(running)
    assert running.command("invite", "revoke", str(later["id"])).returncode == 0
    restore(running, backup.with_name("later.db"))
    again(running, alice).get("/api/account").expect(200)
    again(running, bob).get("/api/account").expect(403, "account_disabled")
    listed = json.loads(running.command("invite", "list", "--json").stdout)
    assert [each["id"] for each in listed] == [later["id"] - 1]
    assert invite(running)["id"] == later["id"] + 1


def test_no_one_time_key_is_handed_out_twice(start, tmp_path):
    running = start()
    alice, bob = (running.api.create(new_name(name)) for name in ("alice", "bob"))
    alice.upload(["claimed before", "claimed after", "never claimed"])
    assert bob.claim(alice.username) == ["claimed before"]
    assert running.command("backup", tmp_path / "backup.db").returncode == 0
    assert bob.claim(alice.username) == ["claimed after"]
    alice.upload(["of after the backup", "new"])
    assert bob.claim(alice.username) == ["of after the backup"]
    said = restore(running, tmp_path / "backup.db")
    assert "2 of the backup are void, 2 more were handed out since" in said
    alice, bob = again(running, alice), again(running, bob)
    assert bob.claim(alice.username) == []
    assert alice.get("/api/keys").expect(200).json() == {"one_time_prekeys": 0}
    alice.upload(["claimed before", "claimed after", "never claimed", "of after the backup", "new"])
    assert bob.claim(alice.username) == ["new"]
    assert bob.claim(alice.username) == []


def test_what_is_no_backup_changes_nothing(backed_up, tmp_path):
    running, *_, backup = backed_up
    good = backup.read_bytes()
    refused(running.command("restore", backup), "a server has the database open")
    running.stop()
    refused(running.command("restore", running.database), "it is the database itself", "nothing changed: ")
    before = folder_state(running.directory)
    rust = RustDatabase(tmp_path / "rust.db")
    rust.add_user(1, "anna", "x")
    rust.close()
    refused(running.command("restore", tmp_path / "rust.db"), "it is a Rust server's database")
    for spoil, words in SPOILED.values():
        backup.write_bytes(good)
        spoil(backup)
        refused(running.command("restore", backup), str(backup), "nothing changed: ", *words)
        if backup.is_dir():
            backup.rmdir()
        assert folder_state(running.directory) == before
    backup.write_bytes(good)
    refused(server.run("restore", backup, "--db", ":memory:"), "in memory")
    refused(server.run("restore", backup, "--db", tmp_path), "not a regular file")
    refused(server.run("restore", backup, "--db", tmp_path / "no" / "folder.db"), "folder is missing or closed to us")
    os.unlink(running.database + ".lock")
    os.mkdir(running.database + ".lock")
    refused(running.command("restore", backup), "Is a directory")
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE notes (text)")
    held = foreign.read_bytes()
    refused(server.run("restore", backup, "--db", foreign), "is not a MigChat database")
    assert foreign.read_bytes() == held


def test_a_restore_where_there_is_no_database(backed_up, tmp_path):
    running, alice, bob, backup = backed_up
    kept = bob.messages()
    running.stop()
    other = server.Server(tmp_path / "other")
    (tmp_path / "other" / "migchat.db-wal").write_bytes(b"of a database that is lost")
    done = other.command("restore", backup)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the database that was there" not in done.stdout
    assert (tmp_path / "other" / "migchat.db.before-restore-wal").read_bytes() == b"of a database that is lost"
    with other:
        assert again(other, bob).messages() == kept


def test_a_write_ahead_log_of_a_killed_server_goes_with_its_database(backed_up, tmp_path):
    running, alice, bob, backup = backed_up
    held = backup.read_bytes()
    kept = bob.messages()
    alice.send(bob)
    everything = bob.messages()
    running.kill()
    assert running.wal_bytes() > 0, "nothing to tell apart"
    restore(running, backup)
    assert again(running, bob).messages() == kept
    assert backup.read_bytes() == held
    restore(running, running.database + ".before-restore")
    assert again(running, bob).messages() == everything


@pytest.mark.parametrize("spoil", (spoil_head, spoil_pages), ids=("head", "pages"))
def test_a_damaged_database_is_replaced_and_kept_as_it_is(backed_up, spoil):
    running, alice, bob, backup = backed_up
    kept = bob.messages()
    running.stop()
    spoil(pathlib.Path(running.database))
    spoiled = pathlib.Path(running.database).read_bytes()
    pathlib.Path(running.database + "-wal").write_bytes(b"what is left of a log")
    said = restore(running, backup)
    assert "it could not be read: " in said
    # But for the head of the file, where SQLite notes that there is no WAL any more.
    kept_bytes = pathlib.Path(running.database + ".before-restore").read_bytes()
    assert kept_bytes[100:] == spoiled[100:]
    assert again(running, bob).messages() == kept


def test_amid_an_interrupted_restore_everybody_says_to_run_it_again(backed_up):
    running, alice, bob, backup = backed_up
    kept, everything = bob.messages(), (alice.send(bob), bob.messages())[1]
    running.stop()
    os.link(running.database, running.database + ".before-restore")
    running.spawn()
    assert "restore" in running.wait_event("database_refused")["reason"]
    running.wait_exit(1)
    done = running.command("doctor")
    assert done.returncode == 1 and "run a restore that was interrupted again" in done.stdout
    said = restore(running, backup)
    assert f"the database that was there is {running.database}.before-restore\n" in said
    assert again(running, bob).messages() == kept
    restore(running, running.database + ".before-restore")
    assert again(running, bob).messages() == everything


def test_what_a_restore_killed_right_after_the_exchange_has_replaced_is_kept(backed_up):
    """It has no name for good yet, and the next restore needs the one it has."""
    running, alice, bob, backup = backed_up
    alice.send(bob)
    everything = bob.messages()
    running.stop()
    os.rename(running.database, running.database + ".restore-ready")
    shutil.copy(backup, running.database)
    said = restore(running, backup)
    assert f"the database that was there is {running.database}.before-restore-2\n" in said
    restore(running, running.database + ".before-restore")
    assert again(running, bob).messages() == everything


def test_nine_replaced_databases_are_kept_and_no_tenth_is_made(backed_up):
    running, *_, backup = backed_up
    running.stop()
    for number in range(9):
        name = f"{running.database}.before-restore" + (f"-{number + 1}" if number else "")
        assert name in running.command("restore", backup).stdout
    before = folder_state(running.directory)
    refused(running.command("restore", backup), "remove what is not needed")
    assert folder_state(running.directory) == before


def test_root_gives_the_database_to_whom_the_folder_belongs(backed_up):
    running, *_, backup = backed_up
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    running.stop()
    os.chown(running.directory, 12345, 12346)
    os.unlink(running.database + ".lock")
    assert running.command("restore", backup).returncode == 0
    for suffix in ("", ".lock"):
        found = os.stat(running.database + suffix)
        assert (found.st_uid, found.st_gid) == (12345, 12346), suffix
