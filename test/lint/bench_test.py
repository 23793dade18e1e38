"""What a run of the bench leaves when it ends early, and the limits that it sets itself."""

import json
import pathlib
import resource
import subprocess
import sys
import types

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import bench as bench_run  # noqa: E402  (the bench's modules lie beside each other)
import figures  # noqa: E402
import machine  # noqa: E402
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


def test_a_whole_run_has_no_failure(bench, capsys):
    bench.run = lambda: None
    assert bench_run.reported(bench) == 0
    assert "Not the whole run" not in capsys.readouterr().out
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
