"""What systemd is told (sd_notify(3)) of a start, its life and its end."""

import os
import signal
import tempfile
import time

import pytest

from support.http import SLOWNESS
from support.server import Server
from support.systemd import Notified, notify_name

WATCHDOG_S = 1


@pytest.fixture(name="notified")
def fixture_notified():
    with Notified(notify_name()) as notified:
        yield notified


def test_the_phases_are_told_in_order(start, notified):
    server = start(NOTIFY_SOCKET=notified.name)
    ready = notified.wait("READY")
    assert ready["READY"] == "1" and ready["STATUS"].startswith("ready")
    assert notified.messages[0]["STATUS"] == "opening the database"
    assert not any("READY" in message for message in notified.messages[:-1])
    server.process.send_signal(signal.SIGTERM)
    stopping = notified.wait("STOPPING")
    assert stopping["STOPPING"] == "1" and stopping["STATUS"].startswith("draining")
    server.wait_exit(0)
    notified.drain()
    assert sum("STOPPING" in message for message in notified.messages) == 1
    assert sum("READY" in message for message in notified.messages) == 1
    # Nobody set a watchdog, so nobody is told that it lives.
    assert not any("WATCHDOG" in message for message in notified.messages)


def test_a_server_that_says_it_is_ready_answers(start, tmp_path):
    """Not when it listens: when the database is there."""
    with tempfile.TemporaryDirectory(prefix="migchat-") as folder, Notified(f"{folder}/notify") as notified:
        server = start(NOTIFY_SOCKET=notified.name)
        notified.wait("READY")
        server.api.get("/readyz").expect(200)


def test_the_watchdog_is_fed_and_the_status_counts(start, notified):
    server = start(NOTIFY_SOCKET=notified.name, WATCHDOG_USEC=WATCHDOG_S * 1000000)
    notified.wait("READY")
    for _ in range(3):
        assert notified.wait("WATCHDOG", 20 * WATCHDOG_S * SLOWNESS)["WATCHDOG"] == "1"
    server.api.get("/health").expect(200)  # and keeps its connection
    while notified.wait("STATUS")["STATUS"] != "ready, 1 connections":
        pass
    server.stop()


def watched(tmp_path, notified, usec, pid):
    """A server with these, as the shell reads them: $$ is its own process."""
    server = Server(tmp_path / "own", NOTIFY_SOCKET=notified.name, WATCHDOG_USEC=usec)
    server.arguments = ["/bin/sh", "-c", f'WATCHDOG_PID={pid} exec "$0" "$@"', *server.arguments]
    return server


@pytest.mark.parametrize("usec, pid", (("200000", os.getpid()), ("200000", "none"), ("often", "$$"), ("0", "$$")))
def test_a_watchdog_that_is_another_s_or_has_no_time_is_not_fed(tmp_path, notified, usec, pid):
    with watched(tmp_path, notified, usec, pid):
        notified.wait("READY")
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            message = notified.receive(deadline - time.monotonic())
            assert message is None or "WATCHDOG" not in message


@pytest.mark.parametrize("usec", ("1", "200000"))
def test_a_watchdog_that_is_named_as_ours_is_fed(tmp_path, notified, usec):
    with watched(tmp_path, notified, usec, "$$"):
        assert notified.wait("WATCHDOG")["WATCHDOG"] == "1"


@pytest.mark.parametrize("name", ("relative", "vsock:2:1", "/" + "x" * 107, "/nowhere/notify"))
def test_a_socket_that_is_none_is_told_and_changes_nothing(start, name):
    server = start(NOTIFY_SOCKET=name)
    server.api.get("/readyz").expect(200)
    assert len(server.events("notify_failed")) == 1, server.log()
