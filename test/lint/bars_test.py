"""The bench's judge, on figures made up here: a bar whose figure is missing has not been reached, and is named."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import bars  # noqa: E402  (the bench's modules lie beside each other)
import figures  # noqa: E402
import realtime  # noqa: E402
import report  # noqa: E402
import workloads  # noqa: E402
from servers import MIGCHAT  # noqa: E402

KEYS = {each.key for each in workloads.all_workloads()} | {
    key for key, _, _ in figures.all_figures() + realtime.all_figures()}
START = {"ms": 4.0, "least_ms": 3.0, "most_ms": 5.0}


def test_every_bar_is_of_something_that_the_bench_measures():
    assert {bar.workload for bar in bars.all_bars()} <= KEYS


def test_a_whole_run_that_measured_nothing_has_reached_nothing():
    verdicts = bars.judge({}, KEYS)
    assert len(verdicts) == len(bars.all_bars())
    assert not any(verdict.reached for verdict in verdicts)
    told = report.bars_reached(verdicts)
    for verdict in verdicts:
        assert verdict.text().endswith("**not measured**")
        assert f"{verdict.bar.workload}: {verdict.bar.wanted()}" in told


def test_a_bar_without_its_figure_stands_beside_those_that_have_one():
    verdicts = bars.judge({"start-empty": {MIGCHAT: START}, "start-history": {MIGCHAT: {"least_ms": 3.0}}},
                          {"start-empty", "start-history"})
    assert [(each.bar.workload, each.value, each.reached) for each in verdicts] == [
        ("start-empty", 4.0, True), ("start-history", None, False)]
    told = report.bars_reached(verdicts)
    assert told.startswith("1 of 2 bars reached") and "start-history: ≤ 20 ms" in told and "start-empty" not in told


def test_a_peer_that_is_left_out_reaches_no_bar_for_us():
    ours = [{"cpu_us": 1.0, "per_s": 9.0, "round": 0}]
    verdicts = bars.judge({"health-pipelined": {MIGCHAT: ours}}, {"health-pipelined"})
    assert [each.reached for each in verdicts] == [False, False]


def test_a_ratio_is_of_rounds_that_both_have():
    def rounds(**of):
        return [{"per_s": per_s, "round": int(name[1:])} for name, per_s in of.items()]
    measured = {"send-two-cores": {MIGCHAT: rounds(r0=100.0, r2=50.0)},
                "send-beside-flood": {MIGCHAT: rounds(r1=1.0, r2=48.0)}}
    assert [each.value for each in bars.judge(measured, {"send-beside-flood"})] == [0.96]
    measured["send-beside-flood"] = {MIGCHAT: rounds(r1=1.0)}
    assert [each.value for each in bars.judge(measured, {"send-beside-flood"})] == [None]


def test_what_was_not_asked_for_is_not_judged():
    assert bars.judge({}, {"start-empty"})[0].bar.workload == "start-empty"
    assert len(bars.judge({}, {"start-empty"})) == 1
    assert bars.judge({}, set()) == []


def test_aims_are_counted_apart():
    verdicts = bars.judge({"health-two-cores": {MIGCHAT: [{"p99_us": 900.0}]}, "start-empty": {MIGCHAT: START}},
                          {"health-two-cores", "start-empty", "start-history"})
    assert report.bars_reached(verdicts) == (
        "1 of 2 bars reached. Not reached: start-history: ≤ 20 ms: **not measured**. "
        "1 of 1 aims that are no bar reached.")


def test_what_a_history_costs_is_not_asked_of_kept_answers():
    at_history = [each for each in workloads.all_workloads() if each.key.startswith(("page-1e", "conversations-1e"))]
    assert len(at_history) == 8 and not any(each.keeps_answers for each in at_history)
    assert len({each.seed for each in at_history}) == 4, "trees of one file are as deep for all"
