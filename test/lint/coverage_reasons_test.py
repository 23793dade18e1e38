"""What ./run coverage makes of its counts, on counts and reasons made up here; and the reasons kept are of files."""

import csv
import pathlib
import sys

import coverage
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="judged")
def fixture_judged(tmp_path, monkeypatch, capsys):
    """main() over branch percentages by file and the text of a table: (exit status, what was printed)."""
    def judged(percents, table):
        kept = tmp_path / "coverage.tsv"
        kept.write_text(table)
        files = [{"filename": name, "branch_total": 0 if percent is None else 200, "branch_percent": percent,
                  "line_percent": 95.0} for name, percent in percents.items()]
        monkeypatch.setattr(coverage, "REASONS", kept)
        monkeypatch.setattr(coverage, "counted", lambda build: {
            "files": files, "line_percent": 99.0, "line_total": 1000, "branch_percent": 91.0, "branch_total": 500})
        monkeypatch.setattr(sys, "argv", ["coverage.py", "--build", str(tmp_path), "--keep"])
        return coverage.main(), capsys.readouterr().out.splitlines()
    return judged


def test_a_file_below_with_its_reason_is_listed_and_nothing_failed(judged):
    percents = {"src/b.c": 89.9, "src/a.c": 90.0, "src/none.c": None}
    status, told = judged(percents, "# what this is\nsrc/b.c\tno memory\n")
    assert status == 0
    assert "| src/b.c | 95.0 % | 89.9 % | no memory |" in told
    assert not [line for line in told if "src/a.c" in line or "src/none.c" in line or "without a row" in line]


def test_a_file_below_without_a_reason_fails_and_is_named(judged):
    status, told = judged({"src/b.c": 89.9, "src/a.c": 10.0, "src/c.c": 80.0}, "src/b.c\tno memory\n")
    assert status == 1
    assert "FAILED: below 90 % and without a row in coverage.tsv: src/a.c, src/c.c" in told
    assert "| src/a.c | 95.0 % | 10.0 % | **none given** |" in told


def test_a_row_of_a_name_is_of_that_file_alone(judged):
    status, told = judged({"src/b.c": 50.0, "src/b.cc": 50.0}, "src/b.c\tno memory\n")
    assert status == 1 and told[-1].endswith(": src/b.cc")


def test_a_row_of_a_file_that_is_now_below_and_now_is_not_stays(judged):
    status, told = judged({"src/a.c": 91.9}, "src/a.c\tno disk\n")
    assert status == 0 and not [line for line in told if "src/a.c" in line]


@pytest.mark.parametrize("percents", ({"src/b.c": 50.0, "src/a.c": 92.0}, {"src/b.c": 50.0}), ids=("at 92 %", "gone"))
def test_a_row_that_is_no_longer_needed_is_told(judged, percents):
    status, told = judged(percents, "src/a.c\tno disk\nsrc/b.c\tno memory\n")
    assert status == 0
    assert "No longer needed in coverage.tsv: src/a.c" in told


def test_a_row_behind_another_of_the_same_file_is_not_needed(judged):
    status, told = judged({"src/b.c": 50.0}, "src/*.c\tno disk\nsrc/b.c\tno memory\n")
    assert status == 0 and "| src/b.c | 95.0 % | 50.0 % | no disk |" in told
    assert "No longer needed in coverage.tsv: src/b.c" in told


def test_a_row_without_a_reason_is_none(judged):
    status, told = judged({"src/b.c": 50.0}, "src/b.c\t\n")
    assert status == 1 and "FAILED: below 90 % and without a row in coverage.tsv: src/b.c" in told


def test_the_reasons_kept_are_of_files_that_are_there_and_in_their_order():
    with open(ROOT / "test" / "coverage.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader((line for line in file if not line.startswith("#")), delimiter="\t"))
    assert all(len(row) == 2 and row[1] for row in rows)
    names = [row[0] for row in rows]
    assert names == sorted(set(names))
    assert [name for name in names if not any(ROOT.glob(name))] == []
