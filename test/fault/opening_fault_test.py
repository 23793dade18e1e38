"""A disk that hangs while a Rust server's database is adopted: the server says how it is, and stops
when it is told to, though nothing can be undone before the disk answers."""

import signal
import time

from support import metrics, seen
from support.api import Api
from support.rust_database import RustDatabase, dump, password_hash
from support.server import Server

COPY = "migchat.db.rust-copy"


def test_a_disk_that_hangs_in_an_adoption(tmp_path, disk, tell):
    own = tmp_path / "own"
    own.mkdir()
    rust = RustDatabase(own / "migchat.db")
    rust.add_user(1, "anna", password_hash(seen.new_password()))
    rust.add_message(1, 1, 1, "kept", "2025-11-03T12:00:00Z")
    rust.close()
    before = dump(own / "migchat.db")
    for name in ("migchat.db", COPY, COPY + "-partial"):
        seen.note_adopted_copy(own / name)
    disk.fail("hold")
    server = Server(own, flags=metrics.FLAGS, MIGCHAT_DRAIN_TIMEOUT_MS=300, **disk.environment).spawn()
    api = Api(int(server.wait_event("opening")["port"]))
    api.get("/health").expect(200)
    api.get("/livez").expect(200)
    api.get("/readyz").expect(503, "migrating")
    api.create_raw("bert", seen.new_password()).expect(503, "migrating")
    disk.wait_until_held()
    # Metrics are there before the lanes are.
    scrape = metrics.Scrape(server)
    assert scrape["migchat_http_requests_total", {"route": "/api/account/create", "status": "503"}] == 1
    assert not scrape.labels("migchat_lane_depth") and scrape["migchat_commit_duration_seconds_count"] == 0
    told_at_s = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.wait_exit(0)
    tell(f"told to stop while the disk hangs, it has ended after {(time.monotonic() - told_at_s) * 1000:.0f} ms")
    assert server.events("opening_cut"), server.log()
    assert not (own / COPY).exists()
    assert dump(own / "migchat.db") == before
    disk.heal("hold")
    with server:
        server.api.get("/readyz").expect(200)
        server.api.create()
    assert sorted(path.name for path in own.glob(COPY + "*")) == [COPY]
    assert dump(own / COPY) == before
