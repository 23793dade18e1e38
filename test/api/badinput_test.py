"""The bad-input cases (badinput.jsonl), each over a raw socket, each followed by a health check.

Cases that have to wait run
side by side from the module's start, so that the file takes as long as the longest.
A case passes with any status its list allows; how many met the first, the one aimed for, and
which did not, is printed at the end.
"""

import concurrent.futures
import json
import pathlib

import pytest

from support import badinput, seen
from support.server import Server

FILE = pathlib.Path(__file__).with_name("badinput.jsonl")
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
# Waiting ones last: by then most of their time has passed.
ORDERED = sorted(CASES, key=badinput.is_slow)
AIMED = {}  # case id -> (aimed-for status, what came), for the report


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("badinput")) as server:
        for password in ("correct-horse-9", "p" * 72):
            seen.note_password(password)
        yield badinput.People(server.api)


@pytest.fixture(scope="module")
def slow_outcomes(people):
    slow = [case for case in CASES if badinput.is_slow(case)]
    with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
        yield {case["id"]: pool.submit(badinput.run, case, people) for case in slow}


@pytest.mark.parametrize("case", ORDERED, ids=lambda case: case["id"])
def test_case(case, people, slow_outcomes):
    if badinput.is_slow(case):
        outcome = slow_outcomes[case["id"]].result()
    else:
        outcome = badinput.run(case, people)
    AIMED[case["id"]] = (case["expect"]["status"][0], outcome.status)
    badinput.judge(case, outcome, people)
    assert badinput.still_healthy(people) == 200, f"not healthy after {case['id']}"


def test_which_answers_were_the_aimed_for_ones(request, capsys):
    missed = {name: pair for name, pair in AIMED.items() if pair[0] != pair[1]}
    with capsys.disabled():
        print(f"\nbadinput: {len(AIMED) - len(missed)} of {len(AIMED)} cases met the aimed-for "
              f"status; other allowed answers: "
              + (", ".join(f"{name} {pair[1]} (aimed {pair[0]})"
                           for name, pair in sorted(missed.items())) or "none"))
    if request.config.getoption("keyword", "") == "" and len(AIMED) > 1:
        assert len(AIMED) == len(CASES), "not every case was run"
