"""What deploy/nginx.conf and deploy/Caddyfile carry through, in real proxies before a running server:
requests, events of a stream as they come, polls that wait, WebSockets."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import metrics, seen
from support.api import with_query
from support.events import EventStream, now
from support.http import ANSWER_DEADLINE_S, Connection, request_bytes
from support.proxies import NAME, Caddy, Nginx, TlsConnection, curl
from support.server import ROOT, Server
from support.websocket import PING, PONG, WebSocket, frame


@pytest.fixture(scope="module", params=(Nginx, Caddy), ids=("nginx", "caddy"), name="proxy")
def fixture_proxy(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxies")
    folder.chmod(0o755)
    with Server(folder / "own", flags=metrics.FLAGS) as server, \
            request.param(folder / "proxy", server.port) as proxy:
        proxy.server = server
        yield proxy


@pytest.fixture(name="alice")
def fixture_alice(proxy):
    return proxy.server.api.create()


@pytest.fixture(name="bob")
def fixture_bob(proxy):
    return proxy.server.api.create()


def stream(proxy, account, **more):
    return EventStream(proxy.https, account.token, connect=TlsConnection, host=NAME, **more)


def websocket(proxy, account=None, **more):
    return WebSocket(proxy.https, account and account.token, connect=TlsConnection, host=NAME, **more)


def test_requests_over_https(proxy, alice, bob, tmp_path):
    assert curl(proxy, "/health") == "OK"
    bearer = ("-H", f"Authorization: Bearer {alice.token}", "-H", "Content-Type: application/json")
    sent = curl(proxy, *bearer, "-d", f'{{"to_username":"{bob.username}","content":"through TLS"}}',
                "/api/messages/send")
    assert '"message_id"' in sent, sent
    assert "through TLS" in curl(proxy, "-H", f"Authorization: Bearer {bob.token}", "/api/messages")
    # The server's own limit answers, not the proxy's.
    (tmp_path / "large").write_text('{"content":"' + "x" * 300_000 + '"}')
    large = curl(proxy, *bearer, "-d", f"@{tmp_path / 'large'}", "/api/messages/send")
    assert '"body_too_large"' in large, large


def test_http_is_sent_to_https(proxy):
    moved = curl(proxy, "-o", os.devnull, "-w", "%{http_code} %{redirect_url}", "/health",
                 port=proxy.http, scheme="http")
    assert moved.split()[0] in ("301", "308") and f"https://{NAME}" in moved, moved


def test_connections_to_the_server_are_kept(proxy):
    """As they would not be with "Connection: upgrade" on every request."""
    name = "migchat_connections_accepted_total"
    with TlsConnection(proxy.https) as client:
        before = metrics.Scrape(proxy.server)[name, {"listener": "public"}]
        for _ in range(30):
            client.send(request_bytes("GET", "/health", host=NAME))
            client.answer("GET", "/health").expect(200)
        after = metrics.Scrape(proxy.server)[name, {"listener": "public"}]
    assert after - before <= 2, f"{after - before} connections for 30 requests"


def test_events_of_a_stream_are_not_gathered(proxy, alice, bob):
    with stream(proxy, alice) as following:
        assert following.response.field("content-type") == "text/event-stream"
        alice.get("/api/account").expect(200)
        for number in range(10):
            sent = bob.send(alice, seen.new_content(str(number)))
            # It waits for this one before the next is sent.
            assert following.event()["message"]["id"] == sent["message_id"]


def test_events_of_a_stream_come_at_once_over_http_2(proxy, alice, bob):
    """As browsers ask for them."""
    command = ["curl", "-sSkN", "--http2", "--resolve", f"{NAME}:{proxy.https}:127.0.0.1",
               "-H", f"Authorization: Bearer {alice.token}", "-w", "%{http_version}",
               f"https://{NAME}:{proxy.https}/api/events/stream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        watch = threading.Timer(60, client.kill)  # a proxy that keeps them back ends the reading below
        watch.start()
        try:
            while client.stdout.readline() != b"retry: 2000\n":
                assert client.poll() is None
            for _ in range(5):
                content = bob.send(alice)["content"]
                while content.encode() not in (line := client.stdout.readline()):
                    assert line, "the event did not come"
            other = alice.api.login(alice.username, alice.password)
            other.password_raw(alice.password, seen.new_password()).expect(204)  # ends alice's stream
            assert client.stdout.read().endswith(b"\n\n2")
            assert client.wait() == 0
        finally:
            watch.cancel()


def test_a_poll_waits(proxy, alice, bob):
    cursor = now(alice)
    target = with_query("/api/events", since=cursor, wait=50)
    with TlsConnection(proxy.https) as client:
        client.send(request_bytes("GET", target, [("Authorization", f"Bearer {alice.token}")], host=NAME))
        deadline_s = time.monotonic() + ANSWER_DEADLINE_S
        while metrics.Scrape(proxy.server)["migchat_streams", {"kind": "poll"}] == 0:
            assert time.monotonic() < deadline_s, "it does not wait"
        sent = bob.send(alice)
        event, = client.answer("GET", "/api/events").expect(200).json()["events"]
        assert event["message"]["id"] == sent["message_id"]


def test_a_poll_that_is_told_nothing_is_answered(proxy, alice):
    """Whatever it may wait: 60 s are the most, which is also nginx's own limit if none is set."""
    cursor = now(alice)
    target = with_query("/api/events", since=cursor, wait=2)
    with TlsConnection(proxy.https) as client:
        client.send(request_bytes("GET", target, [("Authorization", f"Bearer {alice.token}")], host=NAME))
        assert client.answer("GET", "/api/events").expect(200).json()["events"] == []
    limit_s, = re.findall(r"proxy_read_timeout (\d+)s;", (ROOT / "deploy" / "nginx.conf").read_text())
    assert int(limit_s) >= 60 + 10


def test_a_websocket_passes(proxy, alice, bob):
    with websocket(proxy, protocols=("migchat.v1", f"bearer.{alice.token}")) as opened:
        assert opened.response.status == 101
        assert opened.response.field("sec-websocket-protocol") == "migchat.v1"
        opened.send(frame(b"echo", PING))
        assert opened.frame() == (PONG, b"echo")
        for number in range(10):
            result, events = opened.result(type="send", ref=number, to_username=bob.username,
                                           content=seen.new_content())
            assert (result["ref"], result["status"]) == (number, 200)
            events += [] if events else opened.messages(1)
            assert events[0]["message"]["id"] == result["body"]["message_id"]
            sent = bob.send(alice)
            assert opened.message()["message"]["id"] == sent["message_id"]
    with websocket(proxy, protocols=("migchat.v1", "bearer.x")) as opened:
        assert opened.closed() == 4401


def test_what_is_refused_is_refused_as_without_it(proxy, alice):
    for path, status in (("/api/ws", 426), ("/api/events?since=x", 400)):
        request = request_bytes("GET", path, [("Authorization", f"Bearer {alice.token}")], host=NAME)
        with TlsConnection(proxy.https) as client, Connection(proxy.server.port) as direct:
            for connection in (client, direct):
                connection.send(request)
                connection.answer("GET", path).expect(status)
    with websocket(proxy) as opened:
        opened.response.expect(401, "token_missing")


@pytest.mark.parametrize("fields, connection", (
    ((), set()), ((("Connection", "keep-alive"),), set()),
    ((("Connection", "Upgrade"), ("Upgrade", "websocket")), {b"upgrade"})))
def test_nginx_asks_for_an_upgrade_only_for_who_does(tmp_path, fields, connection):
    """What it passes on, as a server behind it sees it."""
    tmp_path.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            Nginx(tmp_path / "proxy", listener.getsockname()[1]) as proxy, TlsConnection(proxy.https) as client:
        client.send(request_bytes("GET", "/api/ws", fields, host=NAME))
        listener.settimeout(ANSWER_DEADLINE_S)
        upstream, _ = listener.accept()
        with upstream:
            upstream.settimeout(ANSWER_DEADLINE_S)
            head = b""
            while b"\r\n\r\n" not in head:
                head += upstream.recv(4096)
        given = {line.partition(b":")[2].strip() for line in head.lower().split(b"\r\n")
                 if line.startswith(b"connection:")}
        assert given == connection, head


@pytest.mark.parametrize("program", (Nginx, Caddy), ids=("nginx", "caddy"))
def test_when_the_server_stops_streams_are_told(tmp_path, program):
    tmp_path.chmod(0o755)
    with Server(tmp_path / "own") as server, program(tmp_path / "proxy", server.port) as proxy:
        alice = server.api.create()
        with stream(proxy, alice) as following, websocket(proxy, alice) as opened:
            alice.get("/api/account").expect(200)
            server.process.send_signal(signal.SIGTERM)
            event = following.event()
            assert event["type"] == "reconnect" and following.retry_ms == event["retry_ms"]
            assert following.event() is None
            assert opened.message()["type"] == "reconnect"
            assert opened.closed() == 1012
        server.wait_exit(0)
