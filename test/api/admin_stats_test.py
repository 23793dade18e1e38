"""`stats`: the operator's numbers, against what was done and what the metrics say."""
import json
import time

from support import seen
from support.api import new_name
from support.http import SLOWNESS, Connection, request_bytes
from support.server import run


def stats(running):
    done = running.command("stats", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_stats_count_what_was_done(start):
    running = start()
    before = stats(running)
    assert (before["accounts"], before["sessions"], before["messages"]) == (0, 0, 0)
    ada, bob = (running.api.create(new_name(name)) for name in ("ada", "bob"))
    for _ in range(5):
        ada.send(bob)
    gone = running.api.create(new_name("gone"))
    gone.delete_raw(gone.password).expect(204)
    after = stats(running)
    assert (after["accounts"], after["sessions"], after["messages"]) == (2, 2, 5)
    assert after["started_at"] == before["started_at"]
    assert 0 <= before["uptime_seconds"] <= after["uptime_seconds"] < 3600
    assert after["database_bytes"] > 0 and after["database_bytes"] % 4096 == 0
    assert after["wal_bytes"] > 0
    assert after["disk_free_bytes"] > 1 << 20 and after["resident_bytes"] > 1 << 20
    assert after["connections"] == 1, "that of the test"
    assert after["connections_max"] > 100
    assert (after["read_lane_depth"], after["write_lane_depth"], after["hash_lane_depth"]) == (0, 0, 0)


def test_lanes_show_what_waits_on_them(start):
    """Sign-ups of a high cost wait for the one thread that hashes."""
    running = start(MIGCHAT_PASSWORD_COST=13)
    connections = [Connection(running.port) for _ in range(4)]
    try:
        for connection in connections:
            body = json.dumps({"username": new_name(), "password": seen.new_password()}).encode()
            connection.send(request_bytes("POST", "/api/account/create",
                                          [("Content-Type", "application/json")], body))
        deadline = time.monotonic() + 20 * SLOWNESS
        while (now := stats(running))["hash_lane_depth"] == 0:
            assert now["accounts"] < len(connections), "all were made before the first look"
            assert time.monotonic() < deadline
        assert now["connections"] == len(connections) and now["requests_in_flight"] > 0
        for connection in connections:
            answer = connection.answer("POST", "/api/account/create")
            seen.note_token(answer.expect(200).json()["token"])
    finally:
        for connection in connections:
            connection.close()


def test_stats_for_people_are_a_line_each(server):
    done = server.command("stats")
    assert done.returncode == 0
    lines = dict((line[:20].strip(), line[20:]) for line in done.stdout.splitlines())
    assert len(lines) == 17 and lines["accounts"].isdigit()
    assert lines["version"] == run("version").stdout.split()[1]
