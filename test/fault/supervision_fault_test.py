"""A disk that hangs, as systemd is told of it: time is asked for while the database is opened, and a
writer that does not come back ends the feeding of the watchdog, though the loop answers."""

import signal
import threading
import time

import pytest

from support import seen
from support.api import Api
from support.rust_database import RustDatabase, password_hash
from support.server import Server
from support.systemd import Notified, notify_name

WATCHDOG_S = 1


@pytest.fixture(name="notified")
def fixture_notified():
    with Notified(notify_name()) as notified:
        yield notified


def settings(notified, disk):
    return {"NOTIFY_SOCKET": notified.name, "WATCHDOG_USEC": WATCHDOG_S * 1000000, **disk.environment}


def test_a_writer_that_hangs_is_no_longer_vouched_for(tmp_path, disk, notified, tell):
    with Server(tmp_path / "own", **settings(notified, disk)) as server:
        alice = server.api.create()
        notified.wait("READY")
        notified.wait("WATCHDOG")
        disk.fail("hold")
        sender = threading.Thread(target=alice.send_raw, args=(alice.username, seen.new_content()))
        sender.start()
        disk.wait_until_held()
        # The probe that was on its way when the disk stopped may have come back before.
        notified.drain()
        silent_until = time.monotonic() + 3 * WATCHDOG_S
        while (left_s := silent_until - time.monotonic()) > 0:
            message = notified.receive(left_s)
            assert message is None or "WATCHDOG" not in message
            server.api.get("/health").expect(200)
        disk.heal("hold")
        healed_at_s = time.monotonic()
        sender.join()
        notified.wait("WATCHDOG")
        tell(f"a writer that hung: silent for {3 * WATCHDOG_S} s, vouched for again "
             f"{time.monotonic() - healed_at_s:.2f} s after (time limit {WATCHDOG_S} s)")


def test_a_long_opening_asks_for_time_and_is_alive(tmp_path, disk, notified):
    own = tmp_path / "own"
    own.mkdir()
    rust = RustDatabase(own / "migchat.db")
    rust.add_user(1, "anna", password_hash(seen.new_password()))
    rust.close()
    for name in ("migchat.db", "migchat.db.rust-copy", "migchat.db.rust-copy-partial"):
        seen.note_adopted_copy(own / name)
    disk.fail("hold")
    server = Server(own, **settings(notified, disk)).spawn()
    api = Api(int(server.wait_event("opening")["port"]))
    disk.wait_until_held()
    for _ in range(2):
        asked = notified.wait("EXTEND_TIMEOUT_USEC")
        assert int(asked["EXTEND_TIMEOUT_USEC"]) > WATCHDOG_S * 1000000
        assert asked["STATUS"].startswith("preparing the database")
        notified.wait("WATCHDOG")
    api.get("/readyz").expect(503, "migrating")
    assert not any("READY" in message for message in notified.messages)
    disk.heal("hold")
    notified.wait("READY")
    api.get("/readyz").expect(200)
    server.process.send_signal(signal.SIGTERM)
    server.wait_exit(0)
