"""torture/mutations.tsv, without building what it breaks: each row still breaks something, and names a test that is
there. And mutations.py's verdicts, on tests made up here."""

import pathlib
import sys
import time

import pytest

from torture import mutations

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_mutation_breaks_something_and_names_a_test():
    rows = mutations.rows_of(mutations.LIST.read_text())
    assert len(rows) > 40
    assert [f"{name}: {what}" for name, what in mutations.faults_of(rows, ROOT)] == []


SOURCE, TEST = "src/base/limiter.c", "unit/base/limiter_test"
GOOD = ["name", SOURCE, "s/wait_ns <= 0/true/", TEST, "why"]
BAD = {
    "a script that is stale": (2, "s/wait_ns <= 00/true/", "changes nothing"),
    "a part of a script that is stale": (2, "s/wait_ns <= 0/true/; s/no such text/x/", "no such text"),
    "a part behind a range that is stale": (2, "s/wait_ns <= 0/true/; /^\\{/,/^\\}/ s/no such text/x/", "no such text"),
    "a file that is gone": (1, "src/base/no_such.c", "no file"),
    "a C test that is gone": (3, "unit/base/no_such_test", "no test"),
    "a C test of another name": (3, "fault/scripted_run", "no test"),
    "a contract test without its store": (3, "contract/log_contract_test", "no test"),
    "a contract test with another store": (3, "contract/log_contract_test.other", "no test"),
    "a Python test that is gone": (3, "api/no_such_test.py", "no test"),
    "the second of two tests that is gone": (3, "api/blocks_test.py+api/no_such_test.py", "no test api/no_such"),
    "a harness that is gone": (3, "fuzz/no_such", "no test"),
    "a function that is gone": (3, "api/blocks_test.py::test_blocks", "no test"),
    "an empty column": (4, "", "columns"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_is_wrong_is_found(name):
    column, text, wanted = BAD[name]
    row = [text if place == column else kept for place, kept in enumerate(GOOD)]
    (_, what), = mutations.faults_of([row], ROOT)
    assert wanted in what


def test_a_row_that_is_right_is_not():
    for test in (TEST, "contract/log_contract_test.fake", "fault/power_cut_test", "api/blocks_test.py",
                 "fuzz/cursor", "api/blocks_test.py::test_blocks_outlive_the_process",
                 "api/blocks_test.py+api/secrets_test.py::test_no_token_is_kept",
                 "torture/idle_test.py::test_idle_streams_cost_little[socket]"):
        assert not list(mutations.faults_of([[*GOOD[:3], test, "why"]], ROOT)), test


def test_two_rows_of_one_name_and_a_short_row_are_found():
    assert [name for name, _ in mutations.faults_of([GOOD, GOOD], ROOT)] == ["name", "name"]
    assert [name for name, _ in mutations.faults_of([GOOD[:4]], ROOT)] == ["name"]


def test_a_test_that_hangs_is_ended_with_what_it_started_and_has_a_verdict(tmp_path, monkeypatch):
    """Its child has the output open, and would be waited for."""
    build = tmp_path / "build"
    (build / "test_bin").mkdir(parents=True)
    child = tmp_path / "child"
    program = build / "test_bin" / "unit.hangs_test"
    program.write_text(f"#!/bin/sh\nsleep 300 &\necho $! >{child}\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr(mutations, "build", lambda *_: True)
    monkeypatch.setattr(mutations, "DEADLINE_S", 1)
    begun_s = time.monotonic()
    assert mutations.outcome_of(build, "unit/hangs_test") == "hangs"
    assert time.monotonic() - begun_s < 60
    status = pathlib.Path("/proc", child.read_text().strip(), "status")
    deadline_s = time.monotonic() + 60
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline_s, "what it started goes on"
        time.sleep(0.01)  # another process's end


@pytest.mark.parametrize("script, wanted", (
    ("echo '[  FAILED  ] it_holds'; exit 1", "fails"), ("kill -SEGV $$", "fails"), ("exit 0", "passes"),
    ("echo 'no such file'; exit 1", None)))
def test_only_a_test_that_failed_has_noticed(tmp_path, monkeypatch, script, wanted):
    build = tmp_path / "build"
    (build / "test_bin").mkdir(parents=True)
    program = build / "test_bin" / "unit.made_up_test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(mutations, "build", lambda *_: True)
    if wanted is None:
        with pytest.raises(SystemExit):
            mutations.outcome_of(build, "unit/made_up_test")
    else:
        assert mutations.outcome_of(build, "unit/made_up_test") == wanted


@pytest.mark.parametrize("script, wanted", (
    ("echo 'SUMMARY: libFuzzer: deadly signal'; exit 1", "fails"), ("exit 0", "passes"), ("exit 1", None),
    ("echo 'cursor: did not end'; exit 1", "hangs"), ("echo 'SUMMARY: libFuzzer: timeout'; exit 1", "hangs")))
def test_a_harness_is_given_nothing_that_broke_another_mutant(tmp_path, monkeypatch, script, wanted):
    found = tmp_path / "tree/test/fuzz/crashers/cursor/found"
    corpus = tmp_path / "fuzz/corpus/cursor/found"
    for path in (found, corpus):
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "tree/test/fuzz/fuzz.py").write_text(
        f"import subprocess, sys\nsys.exit(subprocess.run([\"sh\", \"-c\", {script!r}]).returncode)\n")
    monkeypatch.setattr(mutations, "build", lambda *_: True)
    if wanted is None:
        with pytest.raises(SystemExit):
            mutations.outcome_of(tmp_path / "build", "fuzz/cursor")
    else:
        assert mutations.outcome_of(tmp_path / "build", "fuzz/cursor") == wanted
    assert not found.exists() and not corpus.exists()


def test_one_that_cannot_be_built_is_no_catch(tmp_path, monkeypatch):
    monkeypatch.setattr(mutations, "build", lambda *_: False)
    assert mutations.outcome_of(tmp_path / "build", TEST) == "unbuilt"


@pytest.fixture(name="run_of")
def fixture_run_of(tmp_path, monkeypatch, capsys):
    """main() over rows whose tests end as said, first as the copy is and then broken: (status, what was printed)."""
    def run_of(*outcomes):
        ends = [[first for first, _ in outcomes], [then for first, then in outcomes if first == "passes"]]
        following = iter(sum(ends, []))
        listed = tmp_path / "mutations.tsv"
        tests = [TEST, "fault/power_cut_test", "api/blocks_test.py"][:len(outcomes)]
        listed.write_text("".join("\t".join([f"row {place}", *GOOD[1:3], test, "why"]) + "\n"
                                  for place, test in enumerate(tests)))
        source = tmp_path / "mutants/tree" / SOURCE

        def copy_tree(_):
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text((ROOT / SOURCE).read_text())

        monkeypatch.setattr(mutations, "LIST", listed)
        monkeypatch.setattr(mutations, "copy_tree", copy_tree)
        monkeypatch.setattr(mutations, "outcome_of", lambda *_: next(following))
        monkeypatch.setattr(sys, "argv", ["mutations.py", "--build", str(tmp_path)])
        status = mutations.main()
        assert next(following, None) is None
        assert source.read_text() == (ROOT / SOURCE).read_text(), "the copy stays broken"
        return status, capsys.readouterr().out.splitlines()
    return run_of


def test_one_that_hangs_is_not_caught_and_the_next_is_judged(run_of):
    status, told = run_of(("passes", "hangs"), ("passes", "unbuilt"), ("passes", "fails"))
    assert status == 1 and told[-1] == "1 of 3 mutations caught"
    assert [line.split()[0] for line in told[-4:-1]] == ["HUNG", "UNBUILT", "caught"]


def test_one_whose_test_does_not_pass_as_it_is_is_not_judged(run_of):
    status, told = run_of(("hangs", ""), ("fails", ""), ("passes", "fails"))
    assert status == 1 and told[-1] == "1 of 3 mutations caught"
    assert [line.split()[0] for line in told[-4:-1]] == ["UNJUDGED", "UNJUDGED", "caught"]


def test_all_caught_is_good_and_one_that_survived_is_not(run_of):
    assert run_of(("passes", "fails"), ("passes", "fails"))[0] == 0
    assert run_of(("passes", "fails"), ("passes", "passes"))[0] == 1
