"""SIGHUP: the configuration is read again, and all of it counts or nothing."""

import os
import pty
import signal
import subprocess
import threading
import time

import pytest

from support import seen
from support.api import new_name
from support.http import SLOWNESS, Connection, request_bytes
from support.server import Server, binary, environment
from support.systemd import Notified, notify_name
from support.websocket import WebSocket, frame

DEADLINE_S = 20 * SLOWNESS
RELOADS = 50
HEALTH = request_bytes("GET", "/health")


class Reloaded:
    """A server with a file of settings; set() writes it and reloads."""

    def __init__(self, tmp_path, **settings):
        self.file = tmp_path / "migchat.conf"
        self.file.write_text("")
        self.server = Server(tmp_path / "own", flags=["--config", self.file], **settings).start()

    def set(self, *lines, outcome="reloaded"):
        self.file.write_text("".join(line + "\n" for line in lines))
        before = len(self.server.events(outcome))
        self.server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + DEADLINE_S
        while len(self.server.events(outcome)) == before:
            assert time.monotonic() < deadline, self.server.log()
            time.sleep(0.005)  # the log's reader is another thread
        return self.server.events(outcome)[-1]


@pytest.fixture(name="reloaded")
def fixture_reloaded(tmp_path):
    reloaded = Reloaded(tmp_path)
    yield reloaded
    if reloaded.server.process is not None:
        reloaded.server.stop()


def test_limits_of_requests_count_at_once_also_on_open_connections(reloaded):
    api = reloaded.server.api
    body = b"{" + b" " * 2000
    api.request("POST", "/api/account/login", body=body, fields=[("Content-Type", "application/json")]).expect(400)
    event = reloaded.set("max-body-bytes=1000")
    assert event["options"] == "max-body-bytes"
    api.request("POST", "/api/account/login", body=body,
                fields=[("Content-Type", "application/json")]).expect(413, "body_too_large")
    assert reloaded.set()["options"] == "max-body-bytes"
    api.request("POST", "/api/account/login", body=body, fields=[("Content-Type", "application/json")]).expect(400)


def test_origins_count_at_once(reloaded):
    api = reloaded.server.api
    asks = [("Origin", "https://a.example")]
    assert api.request("GET", "/health", fields=asks).field("access-control-allow-origin") == "*"
    reloaded.set("cors-origins=https://a.example, https://b.example")
    assert api.request("GET", "/health", fields=asks).field("access-control-allow-origin") == "https://a.example"
    reloaded.set("cors-origins=https://b.example")
    assert api.request("GET", "/health", fields=asks).field("access-control-allow-origin", None) is None
    # The origins of the file that was read before are gone from memory; these are others.
    reloaded.set("cors-origins=https://b.example", "log-level=debug")
    answer = api.request("GET", "/health", fields=[("Origin", "https://b.example")])
    assert answer.field("access-control-allow-origin") == "https://b.example"


def test_who_waits_waits_by_the_new_time(reloaded):
    with Connection(reloaded.server.port) as connection:
        connection.send(HEALTH)
        connection.answer().expect(200)
        begun = time.monotonic()
        reloaded.set("idle-timeout-ms=100")
        connection.expect_end()
        assert time.monotonic() - begun < 60


def test_a_longer_time_counts_for_who_waits_too(tmp_path):
    reloaded = Reloaded(tmp_path, MIGCHAT_MAX_CONNECTIONS=100)
    reloaded.set("idle-timeout-ms=1500")
    with Connection(reloaded.server.port) as connection:
        connection.send(HEALTH)
        connection.answer().expect(200)
        reloaded.set("idle-timeout-ms=600000")
        time.sleep(2)  # what is waited for is that nothing happens
        connection.send(HEALTH)
        connection.answer().expect(200)
    reloaded.server.stop()


def test_a_message_goes_on_under_the_limit_it_began_with(reloaded):
    alice = reloaded.server.api.create()
    data = frame(b" " * 200_000)
    with WebSocket(reloaded.server.port, alice.token) as socket:
        socket.send(data[:100_000])
        alice.get("/api/account").expect(200)
        reloaded.set("max-body-bytes=1000")
        socket.send(data[100_000:])
        assert socket.message()["status"] == 400
        socket.send(data)
        assert socket.closed() == 1009


def test_connections_at_once(reloaded):
    server = reloaded.server
    server.api.get("/health").expect(200)
    reloaded.set("max-connections=1")
    waiting = Connection(server.port)
    waiting.send(HEALTH)
    server.wait_event("accept_paused")
    reloaded.set("max-connections=2")
    waiting.answer().expect(200)
    waiting.close()


def test_who_may_sign_up_counts_at_once(reloaded):
    server = reloaded.server

    def sign_up():
        return server.api.create_raw(new_name(), seen.new_password())

    sign_up().expect(200)
    assert reloaded.set("signup=closed")["options"] == "signup"
    sign_up().expect(403, "signup_closed")
    reloaded.set("signup=invite")
    sign_up().expect(403, "invite_invalid")
    reloaded.set()
    sign_up().expect(200)


def test_the_log_follows(reloaded):
    """What it is changed to is told by whichever of the two levels tells more."""
    server = reloaded.server
    assert reloaded.set("log-level=warn")["options"] == "log-level"
    assert reloaded.set("log-level=info")["options"] == "log-level"
    reloaded.set("log-level=warn")
    server.stop()
    assert not server.events("draining") and len(server.events("reloaded")) == 3, server.log()


@pytest.mark.parametrize("line", ("max-body-bytes=many", "no-such-option=1", "max-body-bytes",
                                  "max-body-bytes=1\nport=x"))
def test_a_file_with_a_mistake_changes_nothing(reloaded, line):
    server = reloaded.server
    reloaded.set("log-level=info", "max-body-bytes=5000")
    reloaded.set("log-level=off", "head-timeout-ms=1", line, outcome="reload_refused")
    told = " ".join(event["message"] for event in server.events("reload_refused"))
    assert f"{reloaded.file} line" in told
    with Connection(server.port) as connection:
        time.sleep(0.05)  # a head's time, were it 1 ms
        connection.send(HEALTH)
        connection.answer().expect(200)
    assert reloaded.set("log-level=info", "max-body-bytes=5000")["options"] == ""


def test_a_file_that_is_gone_changes_nothing(reloaded):
    reloaded.set("max-body-bytes=1000")
    reloaded.file.unlink()
    reloaded.server.process.send_signal(signal.SIGHUP)
    assert "cannot be read" in reloaded.server.wait_event("reload_refused")["message"]
    reloaded.server.api.get("/health").expect(200)
    assert reloaded.set("max-body-bytes=1000")["options"] == ""


def test_what_needs_a_restart_is_named_and_left(reloaded):
    server = reloaded.server
    event = reloaded.set("read-threads=3", "password-cost=5", "max-body-bytes=1000")
    assert event["options"] == "max-body-bytes"
    assert server.events("reload_needs_restart")[-1]["options"] == "read-threads"
    server.api.get("/readyz").expect(200)


def test_a_flag_and_a_variable_still_win_over_the_file(tmp_path):
    file = tmp_path / "migchat.conf"
    file.write_text("")
    with Server(tmp_path / "own", flags=["--config", file, "--max-body-bytes", "500"],
                MIGCHAT_LOG="info") as server:
        file.write_text("max-body-bytes=1000\nlog-level=off\n")
        server.process.send_signal(signal.SIGHUP)
        assert server.wait_event("reloaded")["options"] == ""


def test_systemd_is_told_of_a_reload(tmp_path):
    with Notified(notify_name()) as notified:
        reloaded = Reloaded(tmp_path, NOTIFY_SOCKET=notified.name)
        notified.wait("READY")
        before_us = time.monotonic_ns() // 1000
        for lines, outcome in ((["log-level=info"], "reloaded"), (["log-level=loud"], "reload_refused")):
            reloaded.set(*lines, outcome=outcome)
            told = notified.wait("RELOADING")
            assert told["RELOADING"] == "1"
            assert before_us <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            assert notified.receive(DEADLINE_S)["READY"] == "1"
        reloaded.server.stop()


def test_reloads_under_load_lose_no_request(reloaded):
    """And no memory: the sanitizer looks at the end."""
    server, stops, failures = reloaded.server, threading.Event(), []

    def load():
        with Connection(server.port) as connection:
            while not stops.is_set():
                connection.send(request_bytes("GET", "/readyz", [("Origin", "https://a.example")]))
                answer = connection.answer()
                if answer.status != 200 or answer.field("access-control-allow-origin", "") not in (
                        "https://a.example", "*"):
                    failures.append(answer.describe())

    clients = [threading.Thread(target=load) for _ in range(3)]
    for client in clients:
        client.start()
    for i in range(RELOADS):
        origins = ("*", "https://a.example", "https://a.example,https://b.example")[i % 3]
        reloaded.set(f"cors-origins={origins}", f"idle-timeout-ms={60000 + i}")
    stops.set()
    for client in clients:
        client.join()
    assert not failures, failures[:3]


def test_a_hangup_at_a_terminal_ends_it(tmp_path):
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [binary(), "--listen", "127.0.0.1", "--port", "0", "--db", str(tmp_path / "migchat.db"),
         "--admin-socket", "none"],
        env=environment(), cwd=tmp_path, stdin=other_end, stdout=other_end, stderr=other_end)
    os.close(other_end)
    try:
        text = b""
        while b"/api/account/create" not in text:
            text += os.read(terminal, 4096)
        process.send_signal(signal.SIGHUP)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_rates_count_at_once(tmp_path):
    reloaded = Reloaded(tmp_path, MIGCHAT_RATE_LIMITS="on")
    try:
        alice = reloaded.server.api.create(new_name("alice"))
        alice.send(alice, "x")
        assert reloaded.set("send-rate=1/3600")["options"] == "send-rate"
        alice.send(alice, "x")
        alice.send_raw(alice.username, "x").expect(429, "rate_limited")
        reloaded.set("send-rate=off")
        alice.send(alice, "x")
    finally:
        reloaded.server.stop()
