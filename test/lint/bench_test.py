"""What the bench relies on: what it tells of a run that ends early, its limits, how it looks at the machine and at a
database, and that the bare loop does what the server does."""

import contextlib
import json
import pathlib
import re
import resource
import sqlite3
import subprocess
import sys
import types

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
SQLITE = BENCH.parents[1] / "src" / "store" / "sqlite"
sys.path.insert(0, str(BENCH))

import bench as bench_run  # noqa: E402  (the bench's modules lie beside each other)
import figures  # noqa: E402
import machine  # noqa: E402
import stored  # noqa: E402
from servers import MIGCHAT, BenchError  # noqa: E402


@pytest.fixture(name="bench")
def fixture_bench(tmp_path):
    tools = types.SimpleNamespace(say=lambda text: None, work=tmp_path, missing={})
    options = types.SimpleNamespace(seconds=None, full=False, rounds=2, only=["start"], allow_noise=False)
    return bench_run.Bench(tools, options)


def failing(bench, error):
    """One figure is measured, the next is not."""
    def run():
        bench.results["start-empty"] = {MIGCHAT: {"ms": 4.0, "least_ms": 3.0, "most_ms": 5.0}}
        bench.keep()
        assert json.loads((bench.work / "results.json").read_text())["failure"]
        raise error
    return run


@pytest.mark.parametrize("error, status", ((BenchError("it broke"), 1), (bench_run.Noisy("it broke"), 3)),
                         ids=("broken", "noisy"))
def test_what_was_measured_before_a_failure_is_told_with_why_it_is_not_all(bench, capsys, error, status):
    bench.run = failing(bench, error)
    assert bench_run.reported(bench) == status
    table = capsys.readouterr().out
    assert "Not the whole run, which was given up: it broke" in table and "4.0 ms" in table
    kept = json.loads((bench.work / "results.json").read_text())
    assert kept["failure"].startswith("it broke") and kept["results"]["start-empty"][MIGCHAT]["ms"] == 4.0
    assert [each["reached"] for each in kept["bars"]] == [True, False]


def test_a_run_that_measured_nothing_leaves_no_figures_of_an_earlier_one(bench, capsys):
    (bench.work / "results.json").write_text('{"failure": null, "results": {"start-empty": {}}}')

    def run():
        raise bench_run.Noisy("somebody else")
    bench.run = run
    assert bench_run.reported(bench) == 3
    assert capsys.readouterr().out == ""
    kept = json.loads((bench.work / "results.json").read_text())
    assert kept["failure"].startswith("somebody else") and kept["results"] == {}


def test_a_whole_run_has_no_failure(bench, capsys):
    def run():
        bench.results["start-empty"] = {MIGCHAT: {"ms": 4.0, "least_ms": 3.0, "most_ms": 5.0}}
    bench.run = run
    assert bench_run.reported(bench) == 0
    table = capsys.readouterr().out
    assert "4.0 ms" in table and "Not the whole run" not in table
    assert json.loads((bench.work / "results.json").read_text())["failure"] is None


@pytest.mark.parametrize("hard, raised_to", ((1_048_576, machine.DESCRIPTORS_MAX), (20_000, 20_000)))
def test_descriptors_are_raised_to_the_hard_limit_and_not_to_a_million(monkeypatch, hard, raised_to):
    wanted = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1_024, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: wanted.append(limits))
    assert figures.descriptor_limit() == raised_to - figures.SPARE_DESCRIPTORS
    assert wanted == [(raised_to, hard)]


def test_too_few_descriptors_are_told_before_anything_is_measured(monkeypatch, bench):
    monkeypatch.setattr(machine, "descriptors_raise", lambda: 4_096)
    bench.descriptors_check()
    bench.figures_chosen = [each for each in figures.all_figures() if each[0] == "idle"]
    with pytest.raises(BenchError, match="11,000 descriptors"):
        bench.descriptors_check()


def test_the_list_says_which_are_measured_with_full_alone():
    listed = subprocess.run([sys.executable, "-B", str(BENCH / "bench.py"), "--list", "--build", "none", "--binary",
                             "none"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split()[0] for line in listed if line.endswith("(--full)")} >= {
        "idle-limit-full", "pollers-full", "send-1e4"}


def test_the_kernels_part_of_a_connection_is_what_grew_with_them():
    before = {"TCP": (100, 2_500.0), "dentry": (90_000, 200.0), "kmalloc-64": (3_000, 64.0)}
    after = {"TCP": (2_100, 2_500.0), "dentry": (92_000, 200.0), "kmalloc-64": (3_200, 64.0), "epoll": (1_000, 128.0)}
    assert machine.kernel_growth(before, after, 1_000) == 2_000 * 2_500 + 2_000 * 200 + 1_000 * 128
    # Somebody looked at all descriptors.
    before["proc_inode_cache"], after["proc_inode_cache"] = (10, 700.0), (1_510, 700.0)
    after["dentry"] = (93_500, 200.0)
    assert machine.kernel_growth(before, after, 1_000) == 2_000 * 2_500 + 2_000 * 200 + 1_000 * 128
    # One that others used less meanwhile takes nothing away.
    assert machine.kernel_growth(after, before, 1_000) == 0


def test_what_no_sync_can_have_kept_ends_the_run():
    assert bench_run.sends_per_sync("a server", 640, 10, 64) == 64
    with pytest.raises(BenchError, match="641 sends"):
        bench_run.sends_per_sync("a server", 641, 10, 64)
    with pytest.raises(BenchError, match="0 syncs"):
        bench_run.sends_per_sync("a server", 1, 0, 64)


# --- what others take ----------------------------------------------------------------------------

def snapshot(at_s, foreign_s, busy_s):
    return machine.Snapshot(at_s, {7: (foreign_s, "other", 1)}, busy_s, 0.0, 0.0)


def measured(bench, took_s, others_s):
    return bench.quiet("a figure", lambda pids: {"before": snapshot(100, 0.0, 0.0),
                                                 "after": snapshot(100 + took_s, others_s, others_s)})


def test_the_share_of_others_is_that_of_the_time_between_the_snapshots(bench, monkeypatch):
    monkeypatch.setattr(bench_run, "PAUSE_S", 0)
    assert measured(bench, 1.0, 0.06)["foreign"] == 0.06
    with pytest.raises(bench_run.Noisy, match=r"others took 8 % of a core: other \(7\) 8 %"):
        measured(bench, 1.0, 0.08)


def test_in_a_short_time_a_tick_or_two_are_nobody(bench, monkeypatch):
    monkeypatch.setattr(bench_run, "PAUSE_S", 0)
    assert measured(bench, 0.2, 0.02)["foreign"] == 0.1
    with pytest.raises(bench_run.Noisy, match="others took 20 % of a core"):
        measured(bench, 0.2, 0.04)


@pytest.mark.parametrize("reads_once, took_s, passes",
                         ((True, 0.01, 4), (True, 0.2, 3), (True, 0.6, 1), (False, 0.01, 1)))
def test_first_reads_that_are_soon_over_are_measured_more_often(bench, monkeypatch, reads_once, took_s, passes):
    asked = []

    def ask(workload, name, paths, body, pids):
        asked.append(1)
        number = len(asked)
        return {"before": snapshot(100, 0.0, 0.0), "after": snapshot(101, 0.0, 0.0), "requests": 10 * number,
                "seconds": took_s, "per_s": 10 * number / took_s, "cpu_us": 4.0 * number, "p50_us": number,
                "p99_us": 2 * number, "max_us": 3 * number, "acknowledged": 10 * number}
    monkeypatch.setattr(bench, "ask", ask)
    workload = types.SimpleNamespace(text="first reads", warmed_by=reads_once or None)
    found = bench.measure(workload, MIGCHAT, {MIGCHAT: {}}, None)
    numbers = range(1, passes + 1)
    assert found["passes"] == len(asked) == passes and found["requests"] == 10 * sum(numbers)
    assert found["per_s"] == pytest.approx(10 * sum(numbers) / (passes * took_s))
    # Each request counts alike, so the later passes, which have more, count more.
    assert found["cpu_us"] == pytest.approx(4 * sum(each * each for each in numbers) / sum(numbers))
    assert found["p99_us"] == (passes + 1) and found["acknowledged"] == 10 * sum(numbers)


def disturbed(bench, monkeypatch, in_rounds):
    """The run of a workload of two servers, of which the second is disturbed in these rounds."""
    rounds = iter(range(100))

    def measure(workload, name, paths, body):
        assert (workload.key, paths, body) == ("a", None, None)
        if name == "other" and next(rounds) in in_rounds:
            raise bench_run.Noisy("somebody")
        return {"per_s": 1.0}
    bench.chosen = [types.SimpleNamespace(key="a", text="a workload", messages=False)]
    bench.figures_chosen = []
    monkeypatch.setattr(bench, "requests", lambda workload: (None, None))
    monkeypatch.setattr(bench, "servers_of", lambda workload: [MIGCHAT, "other"])
    monkeypatch.setattr(bench, "measure", measure)
    bench.rounds = 3
    bench.run()
    return {name: [each["round"] for each in rounds] for name, rounds in bench.results["a"].items()}


def test_a_disturbed_round_is_dropped_whole_and_made_up_for_where_most_are(bench, monkeypatch):
    assert disturbed(bench, monkeypatch, ()) == {MIGCHAT: [0, 1, 2], "other": [0, 1, 2]}
    bench.results.clear()
    assert disturbed(bench, monkeypatch, (1,)) == {MIGCHAT: [0, 2], "other": [0, 2]}
    bench.results.clear()
    assert disturbed(bench, monkeypatch, (0, 1, 3)) == {MIGCHAT: [2, 4], "other": [2, 4]}
    assert len(bench.dropped) == 4
    bench.results.clear()
    with pytest.raises(bench_run.Noisy, match="too often to measure a workload"):
        disturbed(bench, monkeypatch, range(1, 100))


def test_a_figure_that_was_disturbed_is_measured_once_more(bench):
    tries = []

    def measure(_):
        tries.append(1)
        if len(tries) == 1:
            raise bench_run.Noisy("somebody")
        return {MIGCHAT: {"ms": 4.0}}
    bench.chosen, bench.figures_chosen = [], [("start-empty", "start", measure)]
    bench.run()
    assert bench.results == {"start-empty": {MIGCHAT: {"ms": 4.0}}} and bench.dropped == ["somebody"]


def test_processes_that_came_and_went_count_above_a_share_of_their_own():
    shares = [machine.foreign_use(snapshot(0, 0.0, 0.0), snapshot(1, 0.0, unseen), [])[0] for unseen in (0.19, 0.21)]
    assert shares == [0.0, 0.21]


# --- what is stored ------------------------------------------------------------------------------

SHORT, LONG = 80, 468
BREAKS = {
    "recipient's entry gone": "DELETE FROM log WHERE kind = 2 AND ref = 1",
    "entered twice": "INSERT INTO log SELECT 9, seq, kind, other_id, chain, ref, received, 0, text FROM log"
                     " WHERE kind = 2 AND ref = 1",
    "text cut": "UPDATE {place} SET text = 'm' WHERE {id} = 1",
    "message gone": "DELETE FROM log WHERE ref = 1",
}


@pytest.fixture(name="database", params=(SHORT, LONG))
def fixture_database(request, tmp_path):
    """(its path, the bytes of each of two messages)"""
    text = "m" * request.param
    is_long = request.param > stored.CONTENT_IN_LOG_MAX_BYTES
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as database:
        for migration in sorted((SQLITE / "migrations").glob("*.sql")):
            database.executescript(migration.read_text())
        for message in (1, 2):
            for account, kind in ((1, 1), (2, 2)):
                database.execute("INSERT INTO log VALUES (?, ?, ?, 0, 0, ?, 0, 0, ?)",
                                 (account, message, kind, message, None if is_long else text))
            if is_long:
                database.execute("INSERT INTO content VALUES (?, 2, ?)", (message, text))
        # The first has moved and is not removed yet.
        database.execute("INSERT INTO sent_key VALUES (1, 'key1', x'', 1, 0)")
        database.execute("INSERT INTO sent_key_recent VALUES (1, 1, 'key1', x'', 0), (2, 1, 'key2', x'', 0)")
    return tmp_path / "a.db", request.param


def test_a_whole_database_has_its_keys_and_its_count(database):
    assert stored.whole_keys(MIGCHAT, *database) == {"key1", "key2"}
    stored.check_count(MIGCHAT, database[0], 2)
    with pytest.raises(BenchError, match="3 messages were acknowledged or there before, 2 are stored"):
        stored.check_count(MIGCHAT, database[0], 3)


@pytest.mark.parametrize("fault", BREAKS)
def test_a_key_without_its_whole_message_is_found(database, fault):
    path, content_bytes = database
    place, column = ("content", "message_id") if content_bytes == LONG else ("log", "ref")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as opened:
        opened.execute(BREAKS[fault].format(place=place, id=column))
    with pytest.raises(BenchError, match="key1"):
        stored.whole_keys(MIGCHAT, path, content_bytes)


# --- the bare loop -------------------------------------------------------------------------------

def strings_of(text):
    """Each run of string literals in C that follow one another, as one."""
    runs = re.findall(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    return {"".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', run)) for run in runs}


def test_the_bare_loop_runs_the_statements_of_the_server():
    table = re.search(r"sql\[STATEMENT_COUNT\] = \{(.*?)\n\};", (BENCH / "bare_loop.c").read_text(), re.S)[1]
    ours = set().union(*(strings_of(path.read_text()) for path in SQLITE.glob("*.c")))
    statements = strings_of(table)
    assert len(statements) == 12
    assert statements - ours == set()


def test_a_long_text_is_one_of_the_same_length_everywhere():
    limit = int(re.search(r"CONTENT_IN_LOG_MAX_BYTES (\d+)u", (SQLITE / "content.h").read_text())[1])
    bare = int(re.search(r"CONTENT_IN_LOG_MAX_BYTES (\d+)", (BENCH / "bare_loop.c").read_text())[1])
    assert bare == stored.CONTENT_IN_LOG_MAX_BYTES == limit


@pytest.mark.parametrize("bare, name, header", (("CHECKPOINT_AT_FRAMES", "WAL_DUE_MAX_FRAMES", "connection.h"),
                                                ("RECENT_KEYS_DUE", "RECENT_KEYS_DUE", "recent_keys.h")))
def test_the_bare_loop_has_the_limits_of_the_server(bare, name, header):
    wanted = re.search(rf"#define {name} (\d+)", (SQLITE / header).read_text())[1]
    assert re.search(rf"#define {bare} (\d+)", (BENCH / "bare_loop.c").read_text())[1] == wanted
