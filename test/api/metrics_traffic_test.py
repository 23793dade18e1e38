"""What the metrics say of requests and connections is exactly what happened, also while it happens."""

import concurrent.futures
import socket
import threading
import time

import pytest

from support import events, metrics
from support.cuts import RESET
from support.http import SLOWNESS, Connection, request_bytes
from support.metrics import PUBLIC, Scrape, wait_until
from support.server import run
from support.websocket import WebSocket

REQUESTS, DURATIONS = "migchat_http_requests_total", "migchat_http_request_duration_seconds"


def route(method, path, **more):
    return {**PUBLIC, "method": method, "route": path, **more}


@pytest.fixture(name="watched")
def fixture_watched(start):
    return start(flags=metrics.FLAGS)


def test_answers_are_counted_by_route_and_status(watched):
    alice, bob = watched.api.create(), watched.api.create()
    for _ in range(7):
        watched.api.get("/health").expect(200)
    watched.api.request("HEAD", "/health").expect(200)
    watched.api.request("OPTIONS", "/health").expect(204)
    for _ in range(3):
        watched.api.post("/health").expect(405)
        alice.get("/api/keys/" + bob.username).expect(404)
        watched.api.get("/some-path-of-a-client/" + bob.username).expect(404)
    for _ in range(5):
        alice.send(bob)
    alice.get("/api/messages?limit=0").expect(400)
    tag = alice.get("/api/messages").expect(200).field("ETag")
    alice.get("/api/messages", fields=[("If-None-Match", tag)]).expect(304)

    scrape = Scrape(watched)
    counts = {(each["method"], each["route"], each["status"]): scrape[REQUESTS, each]
              for each in scrape.labels(REQUESTS) if each["listener"] == "public"}
    assert counts == {
        ("GET", "/health", "200"): 8, ("POST", "/api/account/create", "200"): 2,
        ("GET", "/api/keys/{username}", "404"): 3, ("POST", "/api/messages/send", "200"): 5,
        ("GET", "/api/messages", "200"): 1, ("GET", "/api/messages", "400"): 1,
        ("GET", "/api/messages", "304"): 1,
        ("-", "-", "404"): 3, ("-", "-", "405"): 3, ("-", "-", "204"): 1}
    # Each answer is in the histogram of its route, and bcrypt takes its time.
    for method, path in {key[:2] for key in counts}:
        answers = sum(count for key, count in counts.items() if key[:2] == (method, path))
        assert scrape[DURATIONS + "_count", route(method, path)] == answers
        assert scrape[DURATIONS + "_bucket", route(method, path, le="+Inf")] == answers
        assert 0 < scrape[DURATIONS + "_sum", route(method, path)] < 60
    assert scrape["migchat_http_requests_in_flight", PUBLIC] == 0
    assert scrape["migchat_http_requests_given_up_total", PUBLIC] == 0
    # The scrape is one itself, of its own listener, and is not answered yet.
    assert scrape["migchat_http_requests_in_flight", {"listener": "metrics"}] == 1
    assert Scrape(watched)[REQUESTS, {"listener": "metrics", "route": "/metrics", "status": "200"}] == 1


def test_no_label_holds_what_a_client_sent(watched):
    name = watched.api.create().username
    watched.api.get(f"/api/keys/{name}")
    watched.api.get(f"/{name}?with_user={name}")
    watched.api.request("BREW", "/" + name)
    text = metrics.text_of(watched)
    assert name not in text and "BREW" not in text


def test_a_request_in_flight_is_seen_and_one_that_is_given_up(watched):
    with socket.create_connection(("127.0.0.1", watched.port)) as client:
        client.sendall(b"GET /health HT")
        wait_until(watched, lambda scrape: scrape["migchat_http_requests_in_flight", PUBLIC] == 1)
    scrape = wait_until(watched, lambda scrape: scrape["migchat_http_requests_in_flight", PUBLIC] == 0)
    # Half a request and its end are answered 400, if anybody still reads.
    assert scrape["migchat_http_requests_given_up_total", PUBLIC] + scrape[REQUESTS, PUBLIC] == 1
    # Who resets hears nothing.
    client = socket.create_connection(("127.0.0.1", watched.port))
    client.sendall(b"GET /health HT")
    wait_until(watched, lambda scrape: scrape["migchat_http_requests_in_flight", PUBLIC] == 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    given_up = scrape["migchat_http_requests_given_up_total", PUBLIC] + 1
    wait_until(watched, lambda scrape: scrape["migchat_http_requests_given_up_total", PUBLIC] == given_up
               and scrape["migchat_http_requests_in_flight", PUBLIC] == 0)


def test_connections_and_bytes_are_counted(watched):
    before = wait_until(watched, lambda scrape: scrape["migchat_connections", PUBLIC] == 0)
    request = request_bytes("GET", "/health")
    clients = [socket.create_connection(("127.0.0.1", watched.port)) for _ in range(5)]
    received = 0
    for client in clients:
        client.sendall(request)
        received += len(client.recv(65536))
    scrape = Scrape(watched)
    assert scrape["migchat_connections", PUBLIC] == 5
    assert scrape["migchat_connections", {"listener": "metrics"}] == 1

    def grown(name):
        return scrape[name, PUBLIC] - before[name, PUBLIC]

    assert grown("migchat_http_received_bytes_total") == 5 * len(request)
    assert grown("migchat_http_sent_bytes_total") == received
    assert grown("migchat_connections_accepted_total") == 5
    assert scrape["migchat_connections_max", PUBLIC] > 5
    assert 0 < scrape["migchat_connection_idle_bytes"] <= 512
    for client in clients:
        client.close()
    wait_until(watched, lambda scrape: scrape["migchat_connections", PUBLIC] == 0)


def test_what_unfinished_requests_hold_and_refusals_for_it(start):
    running = start(flags=(*metrics.FLAGS, "--max-bodies-bytes", "20000", "--max-body-bytes", "20000"))
    alice = running.api.create()
    head = [("Authorization", f"Bearer {alice.token}"), ("Content-Type", "application/json"),
            ("Content-Length", "15000")]
    with Connection(running.port) as first, Connection(running.port) as second:
        first.send(request_bytes("POST", "/api/messages/send", head) + b"x" * 12000)
        scrape = wait_until(running, lambda scrape: scrape["migchat_bodies_bytes"] > 12000)
        assert scrape["migchat_bodies_max_bytes"] == 20000
        assert scrape["migchat_refusals_total", {"limit": "bodies"}] == 0
        second.send(request_bytes("POST", "/api/messages/send", head) + b"x" * 12000)
        second.answer("POST", "/api/messages/send").expect(503, "overloaded")
    scrape = wait_until(running, lambda scrape: scrape["migchat_refusals_total", {"limit": "bodies"}] == 1)
    wait_until(running, lambda scrape: scrape["migchat_bodies_bytes"] < 12000)


def test_streams_are_counted_by_kind_with_what_they_hold(watched):
    def counts(scrape):
        return [scrape["migchat_streams", {"kind": kind}] for kind in ("poll", "sse", "websocket")]

    def held(scrape, part):
        if part == "connections":
            assert scrape["migchat_connections_bytes", {"part": part}] == (
                scrape["migchat_connections"] * scrape["migchat_connection_idle_bytes"])
        return scrape["migchat_connections_bytes", {"part": part}]

    alice, bob = watched.api.create(), watched.api.create()
    since = events.now(alice)
    before = Scrape(watched)
    assert counts(before) == [0, 0, 0] and held(before, "streams") == held(before, "requests") == 0
    with Connection(watched.port) as first, Connection(watched.port) as second, \
            events.EventStream(watched.port, alice.token), WebSocket(watched.port, alice.token), \
            WebSocket(watched.port, bob.token), WebSocket(watched.port, bob.token):
        for waiting in (first, second):
            waiting.send(request_bytes("GET", f"/api/events?since={since}&wait=60",
                                       [("Authorization", f"Bearer {alice.token}")]))
        scrape = wait_until(watched, lambda scrape: counts(scrape) == [2, 1, 3])
        assert held(scrape, "connections") >= held(before, "connections") + 6 * 100
        assert 6 * 50 < held(scrape, "streams") < 6 * 500
        assert 2 * 50 < held(scrape, "requests") < 2 * 500, "the heads of the polls"
        bob.send(alice)
        for waiting in (first, second):
            waiting.answer("GET", "/api/events").expect(200)
        wait_until(watched, lambda scrape: counts(scrape) == [0, 1, 3])
    after = wait_until(watched, lambda scrape: counts(scrape) == [0, 0, 0] and held(scrape, "requests") == 0)
    # The table of accounts that are followed stays.
    assert held(after, "streams") < held(scrape, "streams") - 6 * 50


def test_a_scrape_during_load_is_consistent(watched):
    clients, each = 4, 400
    stops = threading.Event()

    def ask():
        with Connection(watched.port) as connection:
            for _ in range(each):
                connection.send(request_bytes("GET", "/health"))
                connection.answer("GET", "/health").expect(200)

    def judge():
        last, count = 0, 0
        while not stops.is_set():
            scrape = Scrape(watched)
            answers = scrape[REQUESTS, route("GET", "/health")]
            buckets = [sample.value for sample in scrape.samples if sample.name == DURATIONS + "_bucket"
                       and sample.labels["route"] == "/health"]
            assert answers == scrape[DURATIONS + "_count", route("GET", "/health")] >= last
            assert buckets == sorted(buckets) and (not buckets or buckets[-1] == answers)
            assert 0 <= scrape["migchat_http_requests_in_flight", PUBLIC] <= clients
            last, count = answers, count + 1
        return count

    with concurrent.futures.ThreadPoolExecutor(clients + 1) as pool:
        judging = pool.submit(judge)
        try:
            for done in [pool.submit(ask) for _ in range(clients)]:
                done.result()
        finally:
            stops.set()
        assert judging.result() > 0
    scrape = Scrape(watched)
    assert scrape[REQUESTS, route("GET", "/health", status="200")] == clients * each
    assert scrape["migchat_http_requests_in_flight", PUBLIC] == 0


def test_many_scrapes_at_once_wait_for_each_other_and_for_nobody_else(watched):
    """There are eight places; a connection gets one answer, so all have their turn."""
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        texts = [pool.submit(metrics.text_of, watched) for _ in range(100)]
        watched.api.get("/health").expect(200)
        assert all("migchat_connections{" in text.result() for text in texts)
    scrape = Scrape(watched)
    assert scrape[REQUESTS, {"listener": "metrics"}] == 100
    assert scrape["migchat_connections_max", {"listener": "metrics"}] == 8


def test_who_holds_every_place_is_seen_and_does_not_disturb_the_api(start):
    running = start(flags=(*metrics.FLAGS, "--head-timeout-ms", "300"))
    port = metrics.port_of(running)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
    running.wait_event("accept_paused")
    running.api.get("/health").expect(200)
    # Silence has its time limit, then a scrape has its turn.
    scrape = Scrape(running)
    assert scrape["migchat_accept_pauses_total", {"listener": "metrics", "limit": "connections"}] >= 1
    assert scrape["migchat_accept_pauses_total", PUBLIC] == 0
    for client in silent:
        client.close()


def test_every_route_of_the_table_can_be_told(watched):
    """Each answers something, and each is under its own template."""
    routes = [line.split() for line in run("routes").stdout.splitlines()]
    alice = watched.api.create()
    for method, target in metrics.requests_of_all_routes():
        watched.api.request(method, target, alice.token)
        if "logout" in target or "delete" in target:
            alice = watched.api.create()
    with WebSocket(watched.port, alice.token) as opened:
        opened.response.expect(101)
    scrape = Scrape(watched)
    told = {(each["method"], each["route"]) for each in scrape.labels(REQUESTS) if each["listener"] == "public"}
    assert told == {tuple(each) for each in routes}
    assert metrics.promtool("check", "metrics", text=metrics.text_of(watched)) == (0, "")
    metrics.families(metrics.text_of(watched, "openmetrics"), "openmetrics")
