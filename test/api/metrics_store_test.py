"""What the metrics say of lanes, commits, the disk and backups."""

import concurrent.futures
import os
import pathlib
import time

import pytest

from support import metrics
from support.metrics import Scrape

BATCH, COMMIT = "migchat_lane_batch_requests", "migchat_commit_duration_seconds"
LANES = ("read", "write", "hash")


@pytest.fixture(name="watched")
def fixture_watched(start):
    return start(flags=metrics.FLAGS)


def grown(before, after, *key):
    key = key if len(key) > 1 else key[0]
    return after[key] - before[key]


def test_every_request_is_in_the_batches_of_its_lanes(watched):
    alice, bob = watched.api.create(), watched.api.create()
    before = Scrape(watched)
    for _ in range(20):
        alice.send(bob)
    for _ in range(10):
        alice.get("/api/account").expect(200)
    alice.api.login(alice.username, alice.password)
    after = Scrape(watched)
    # A log-in visits read, hash and write.
    for lane, requests in (("write", 20 + 1), ("read", 10 + 1), ("hash", 1)):
        assert grown(before, after, BATCH + "_sum", {"lane": lane}) == requests
        assert grown(before, after, "migchat_lane_wait_seconds_count", {"lane": lane}) == requests
        assert 0 < grown(before, after, "migchat_lane_busy_seconds_total", {"lane": lane}) < 60
        assert after["migchat_lane_depth", {"lane": lane}] == 0
        assert after["migchat_lane_depth_max", {"lane": lane}] > 0
    # One after the other: each is a transaction of its own.
    assert grown(before, after, COMMIT + "_count") == 21
    assert grown(before, after, COMMIT + "_sum") > 0
    assert [after["migchat_lane_threads", {"lane": lane}] for lane in LANES] == [2, 1, 1]


def test_sends_at_once_share_commits(watched):
    accounts = [watched.api.create() for _ in range(16)]
    before = Scrape(watched)

    def send(account):
        for _ in range(25):
            account.send(accounts[0])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(send, accounts))
    after = Scrape(watched)
    assert grown(before, after, BATCH + "_sum", {"lane": "write"}) == 16 * 25
    assert grown(before, after, COMMIT + "_count") == grown(before, after, BATCH + "_count", {"lane": "write"})
    assert grown(before, after, "migchat_rollbacks_total") == 0


def test_a_full_queue_is_counted(start):
    running = start(flags=(*metrics.FLAGS, "--hash-queue", "1"), MIGCHAT_PASSWORD_COST=10)
    alice = running.api.create()

    def log_in(_):
        return running.api.login_raw(alice.username, alice.password).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(log_in, range(24)))
    assert set(statuses) <= {200, 503}
    scrape = Scrape(running)
    assert scrape["migchat_refusals_total", {"limit": "hash_queue"}] == statuses.count(503) > 0
    assert scrape["migchat_refusals_total"] == statuses.count(503)
    assert {each["limit"] for each in scrape.labels("migchat_refusals_total")} == {
        "bodies", "read_queue", "write_queue", "hash_queue"}


def test_the_files_are_as_large_as_it_says(watched):
    alice = watched.api.create()
    for _ in range(30):
        alice.send(alice)
    scrape = Scrape(watched)
    # 32 bytes are the file's own head.
    assert scrape["migchat_wal_bytes"] == watched.wal_bytes() - 32 > 0
    assert scrape["migchat_wal_written_bytes_total"] >= scrape["migchat_wal_bytes"]
    disk = os.statvfs(watched.database)
    free = disk.f_bavail * disk.f_frsize
    assert abs(scrape["migchat_disk_free_bytes"] - free) < max(free * 0.2, 2 << 30)
    assert scrape["migchat_disk_floor_bytes"] == 32 << 20
    size = pathlib.Path(watched.database).stat().st_size
    assert scrape["migchat_database_bytes"] == size > 0


def test_a_list_given_again_is_counted(watched):
    alice = watched.api.create()
    alice.send(alice)
    for _ in range(4):
        alice.get("/api/messages").expect(200)
    assert Scrape(watched)["migchat_answers_recalled_total"] == 3


def test_backups_are_counted(watched, tmp_path):
    scrape = Scrape(watched)
    assert scrape["migchat_backups_total", {"result": "done"}] == 0
    assert "migchat_backup_last_done_timestamp_seconds" not in metrics.text_of(watched)
    target = tmp_path / "copy.db"
    assert watched.command("backup", target).returncode == 0
    assert watched.command("backup", target).returncode == 1  # it exists
    scrape = Scrape(watched)
    assert scrape["migchat_backups_total", {"result": "done"}] == 1
    assert scrape["migchat_backups_total", {"result": "failed"}] == 1
    assert scrape["migchat_backup_running"] == 0
    assert abs(time.time() - scrape["migchat_backup_last_done_timestamp_seconds"]) < 600


def test_in_memory_there_is_no_lane_to_read_and_no_disk(start):
    running = start(flags=metrics.FLAGS, db=":memory:")
    running.api.create().get("/api/messages").expect(200)
    scrape = Scrape(running)
    assert {each["lane"] for each in scrape.labels("migchat_lane_depth")} == {"write", "hash"}
    assert scrape["migchat_database_bytes"] == scrape["migchat_wal_bytes"] == 0
    assert metrics.promtool("check", "metrics", text=metrics.text_of(running)) == (0, "")
    metrics.families(metrics.text_of(running, "openmetrics"), "openmetrics")


def test_a_text_longer_than_a_page_comes_in_chunks(watched):
    """Every route has answered: more than the 64 KiB that are sent at once."""
    alice = watched.api.create()
    for method, target in metrics.requests_of_all_routes():
        watched.api.request(method, target, alice.token)
        watched.api.request(method, target + "?a=%zz", alice.token)
        if "logout" in target or "delete" in target:
            alice = watched.api.create()
    status, fields, body = metrics.get(watched, Accept=metrics.ACCEPT["openmetrics"])
    assert status == 200 and len(body) > 65536
    assert fields["Transfer-Encoding"] == "chunked"
    assert len(metrics.families(body.decode(), "openmetrics")) > 30
