#!/usr/bin/python3
"""How long sends take while a large database is backed up: their p99 before and during, side by side.

  /usr/bin/python3 test/bench/backup.py --build build [--megabytes 1024] [--rounds 7]

Each round sends for some seconds, then while a backup is made and until it has ended; the figure is
the median over the rounds of the ratio within a round. It is no workload of ./run bench, since what
is measured lasts as long as it lasts. The bar is two; above it the exit status is 1.
"""

import argparse
import json
import os
import pathlib
import sqlite3
import signal
import statistics
import subprocess
import sys
import time

import machine
import seeds
import servers
import workloads
from servers import MIGCHAT, BenchError

BAR = 2.0
SECONDS = 3
WARM_S = 0.3
ROUNDS = 7
CONNECTIONS = 64
TEXT_BYTES = 8_000
BACKUP_DEADLINE_S = 600

# Whole for `verify`: two logs without a gap, a conversation each, and counters above all ids. Texts as
# long as these stand once, for both logs.
ENLARGE = """
CREATE TEMP TABLE made AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
  SELECT i FROM n;
INSERT INTO log SELECT 1, i, 1, 2, i - 1, i, 0, 1, NULL FROM made;
INSERT INTO log SELECT 2, i, 2, 1, i - 1, i, i, 1, NULL FROM made;
INSERT INTO content SELECT i, 2, hex(randomblob(:half)) FROM made;
INSERT INTO conversation VALUES (1, 2, :count, 0, 0), (2, 1, :count, :count, 0);
UPDATE meta SET value = CAST(:count + 1 AS TEXT) WHERE key = 'next_message_id';
"""


def enlarge(path, megabytes):
    """By messages between the first two accounts, who have none and are left alone afterwards."""
    count = megabytes * 2**20 // TEXT_BYTES
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    for statement in filter(str.strip, ENLARGE.split(";\n")):
        database.execute(statement, {"count": count, "half": TEXT_BYTES // 2})
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with open(path, "rb") as file:
        os.fsync(file.fileno())  # its writing must not be in the measurement


def sending(tools, requests, running, seconds):
    """A load of sends that has begun to be measured."""
    process = servers.load(tools, "run", "--port", running.port, "--requests", requests,
                           "--connections", CONNECTIONS, "--seconds", seconds, "--warm", WARM_S,
                           "--seed", time.monotonic_ns() % 10**9)
    time.sleep(2 * WARM_S)
    return process


def sent(process):
    """p99 in µs, sends a second, the longest, and for how many seconds."""
    figures = servers.loaded(process)
    writes = figures["classes"][workloads.WRITE]
    return writes["p99_us"], writes["requests"] / figures["seconds"], writes["max_us"], figures["seconds"]


def measure(tools, database, requests, options):
    copy = database.with_name("copy.db")
    rounds = []
    with servers.Servers(tools).running(MIGCHAT, database=database) as running:
        for _ in range(options.rounds):
            copy.unlink(missing_ok=True)
            before = sent(sending(tools, requests, running, SECONDS))
            load = sending(tools, requests, running, BACKUP_DEADLINE_S)
            began = time.monotonic()
            with subprocess.Popen([tools.binary, "backup", copy, "--db", database],
                                  stdout=subprocess.PIPE) as backup:
                output, _ = backup.communicate(timeout=BACKUP_DEADLINE_S)
            took_s = time.monotonic() - began
            load.send_signal(signal.SIGTERM)
            during = sent(load)
            if backup.returncode != 0 or b"verified" not in output:
                raise BenchError("the backup failed")
            if during[3] < took_s:
                raise BenchError("it was not sent until the backup had ended")
            rounds.append({"before": before, "during": during, "ratio": during[0] / before[0], "took_s": took_s})
            print(f"p99 {before[0] / 1000:.2f} ms before, {during[0] / 1000:6.2f} during: × {rounds[-1]['ratio']:.2f}; "
                  f"longest {before[2] / 1000:.0f} and {during[2] / 1000:.0f} ms; {before[1]:.0f} and {during[1]:.0f} "
                  f"sends/s; the backup took {took_s:.1f} s")
    copy.unlink()
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--binary", type=pathlib.Path, help="instead of BUILD/release/migchat-server")
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    build = options.build.resolve()
    tools = servers.Tools(build, options.binary or build / "release" / "migchat-server", print)
    tools.make_load()

    def adopt(path):
        with servers.Servers(tools).running(MIGCHAT, database=path):
            pass

    seed = seeds.seed_path(tools.work, "accounts", "ours", adopt, print)
    database = seeds.copy(seed, tools.work / "backup" / "large.db")
    enlarge(database, options.megabytes)
    requests = servers.write_requests(tools.work / "backup" / "requests",
                                      workloads.send(seeds.names_of("accounts")[2:]))
    print(f"{machine.description()}; {database.stat().st_size / 2**20:.0f} MiB, {CONNECTIONS} connections")
    try:
        rounds = measure(tools, database, requests, options)
    finally:
        database.unlink()
    ratios = sorted(each["ratio"] for each in rounds)
    middle = statistics.median(ratios)
    print(f"p99 of sends during a backup: × {middle:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}), bar × {BAR:.0f}")
    (tools.work / "backup.json").write_text(json.dumps(rounds, indent=1))
    return 0 if middle <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
