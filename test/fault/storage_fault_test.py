"""What the server does when the disk fails: a sync that fails ends it, a full disk does not."""

import contextlib
import json
import threading
import time

import pytest

from support import metrics, seen
from support.server import Server
from support.websocket import CLOSE, WebSocket, frame


@pytest.fixture
def server(tmp_path, disk):
    server = Server(tmp_path / "server", **disk.environment)
    server.start()
    yield server
    if server.process is not None:
        server.kill()


def test_a_failed_sync_answers_503_and_ends_the_process(server, disk, tell):
    alice, bob = server.api.create(), server.api.create()
    kept = alice.send(bob)
    disk.fail("sync")
    failed_at_s = time.monotonic()
    answer = alice.send_raw(bob.username, seen.new_content(), key="again")
    answer.expect(503)
    assert answer.json()["code"] == "outcome_unknown", answer.describe()
    assert "retry-after" in {name.lower() for name, _ in answer.fields}, answer.describe()
    answered_s = time.monotonic() - failed_at_s
    server.wait_exit(None)
    ended_s = time.monotonic() - failed_at_s
    disk.heal("sync")
    server.start()
    tell(f"a sync that fails: 503 after {answered_s * 1000:.0f} ms, the end after {ended_s * 1000:.0f} ms")
    alice.api = bob.api = server.api
    assert kept["message_id"] in [message["id"] for message in alice.messages()]
    # Repeated with the same key it is there exactly once, whatever became of the first try.
    content = seen.new_content()
    first = alice.send(bob, content, key="third")
    second = alice.send(bob, content, key="third")
    assert first["message_id"] == second["message_id"]
    seqs = [message["seq"] for message in bob.messages()]
    assert seqs == sorted(seqs, reverse=True) and len(set(seqs)) == len(seqs)
    server.stop()


def test_a_full_disk_refuses_writes_and_is_forgotten_when_there_is_space(server, disk, tell):
    alice, bob = server.api.create(), server.api.create()
    kept = alice.send(bob)
    disk.fail("space")
    refused = alice.send_raw(bob.username, seen.new_content())
    refused.expect(503)
    assert refused.json()["code"] == "disk_full", refused.describe()
    assert [message["id"] for message in bob.messages()] == [kept["message_id"]]
    server.api.get("/health").expect(200)
    disk.heal("space")
    healed_at_s = time.monotonic()
    after = alice.send(bob)
    tell(f"a full disk: with space again a send is acknowledged in {(time.monotonic() - healed_at_s) * 1000:.1f} ms")
    assert after["message_id"] > kept["message_id"]
    assert [message["id"] for message in bob.messages()] == [after["message_id"], kept["message_id"]]
    assert [message["seq"] for message in bob.messages()] == [2, 1]
    server.stop()


@contextlib.contextmanager
def behind_a_disk_that_hangs(tmp_path, disk, bodies_max_bytes):
    """(server, account, hang, heal): from hang() to heal() a send waits for the disk, and what comes behind it."""
    flags = ("--max-bodies-bytes", str(bodies_max_bytes), *metrics.FLAGS)
    with Server(tmp_path / "held", flags=flags, **disk.environment) as server:
        alice = server.api.create()
        sender = threading.Thread(target=alice.send_raw, args=(alice.username, seen.new_content()))

        def hang():
            disk.fail("hold")
            sender.start()
            disk.wait_until_held()

        def heal():
            disk.heal("hold")
            sender.join()

        yield server, alice, hang, heal


def command(pad_bytes):
    return frame(json.dumps({"type": "mark_read", "ref": 1, "pad": "p" * pad_bytes}))


def told(socket):
    """The close code, or the status of a result."""
    opcode, payload = socket.frame()
    while b'"type":"message"' in payload:
        opcode, payload = socket.frame()
    return int.from_bytes(payload[:2], "big") if opcode == CLOSE else json.loads(payload)["status"]


def test_commands_that_wait_for_the_disk_count_as_unfinished_requests(tmp_path, disk):
    """Their memory has one limit together, as bodies have; who is over it is told to come later."""
    with behind_a_disk_that_hangs(tmp_path, disk, 1 << 20) as (server, alice, hang, heal):
        sockets = [WebSocket(server.port, alice.token) for _ in range(20)]
        hang()
        for each in sockets:
            each.send(command(100_000))
            server.api.get("/health").expect(200)
        heal()
        codes = [told(each) for each in sockets]
        for each in sockets:
            each.connection.close()
        assert codes.count(1013) >= 9 and len([code for code in codes if code < 500]) >= 9, codes


def test_they_count_when_their_client_has_left(tmp_path, disk):
    """The lane has them still."""
    with behind_a_disk_that_hangs(tmp_path, disk, 1 << 20) as (server, alice, hang, heal):
        sockets = [WebSocket(server.port, alice.token) for _ in range(11)]
        hang()
        for each in sockets[:10]:
            each.send(command(100_000))
            each.connection.close()
        metrics.wait_until(server, lambda scrape: scrape["migchat_bodies_bytes"] > 1_000_000)
        server.api.get("/health").expect(200)
        sockets[10].send(command(100_000))
        code = told(sockets[10])
        heal()
        assert code == 1013
        metrics.wait_until(server, lambda scrape: scrape["migchat_bodies_bytes"] == 0)
        with WebSocket(server.port, alice.token) as socket:
            socket.send(command(100_000))
            assert told(socket) < 500


def test_what_runs_is_answered_when_there_is_no_room_for_what_is_behind_it(tmp_path, disk):
    with behind_a_disk_that_hangs(tmp_path, disk, 1_010_000) as (server, alice, hang, heal):
        sockets = [WebSocket(server.port, alice.token) for _ in range(10)]
        last = WebSocket(server.port, alice.token)
        hang()
        for each in sockets:
            each.send(command(100_000))
        metrics.wait_until(server, lambda scrape: scrape["migchat_bodies_bytes"] > 1_000_000)
        last.send(command(10) + command(12_000))
        server.api.get("/health").expect(200)
        heal()
        assert [told(last) < 500, told(last)] == [True, 1013]
        for each in (*sockets, last):
            each.connection.close()
