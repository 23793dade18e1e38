"""support/overload.py's judgement of a step that misses its bars, on answers made up here."""

import pytest

from support import overload, torture
from support.overload import Asked, Overload

CAPACITY, AT_ONCE = 100, 8
SECONDS = 2


class Machine:
    """Does `good` a second of what is too much; what it can is what `capacities` say, in turn."""

    def __init__(self, good, capacities):
        self.good, self.capacities, self.steps = good, list(capacities), 0

    def ask(self, *phases):
        if len(phases) == 1:
            return [answered(self.capacities.pop(0), SECONDS)]
        self.steps += 1
        return [answered(self.good, SECONDS, refused=10), answered(1, overload.AFTER_S)]


def answered(a_second, seconds, refused=0):
    """([Asked], [Asked of /health]): in time, spread over the seconds."""
    count = round(a_second * seconds)
    asked = [Asked(0, number, number / count * seconds, 0, 1, 200, False, 0) for number in range(count)]
    asked += [Asked(0, count, 0, 0, 1, 503, True, 0)] * refused
    return asked, [Asked(0, 0, 0, 0, 1, 200, False, 0)]


def judge(monkeypatch, machine, is_long, levels=(5,), tell=print):
    monkeypatch.setattr(torture, "IS_LONG", is_long)
    monkeypatch.setattr(overload, "GOODPUT_MIN", 0.9)
    return Overload(machine.ask, AT_ONCE, SECONDS, SECONDS, 50).run(levels, tell)


def test_a_step_that_reaches_its_bars_is_done_once(monkeypatch):
    machine = Machine(CAPACITY, [CAPACITY])
    assert judge(monkeypatch, machine, True) == pytest.approx(1, abs=0.01)
    assert machine.steps == 1


def test_a_miss_counts_when_the_machine_is_as_it_was(monkeypatch):
    machine = Machine(CAPACITY / 10, [CAPACITY] * 5)
    with pytest.raises(AssertionError, match="at best"):
        judge(monkeypatch, machine, True)
    assert machine.steps == 1


def test_what_was_missed_is_not_forgiven_by_the_measure_that_follows(monkeypatch):
    with pytest.raises(AssertionError, match="80 a second at 5 x, 100 at best"):
        judge(monkeypatch, Machine(80, [100, 85]), True)


def test_each_level_that_is_too_much_is_judged(monkeypatch):
    machine = Machine(80, [100] * 5)

    def told(line):
        machine.good = 100  # from the first step's end on

    with pytest.raises(AssertionError, match="at 5 x"):
        judge(monkeypatch, machine, True, (5, 10), told)


def test_a_miss_is_repeated_when_it_is_not(monkeypatch):
    machine = Machine(CAPACITY / 10, [CAPACITY, CAPACITY / 2, CAPACITY, CAPACITY / 2])
    with pytest.raises(AssertionError, match="at best"):
        judge(monkeypatch, machine, True)
    assert machine.steps == overload.STEP_TRIES


def test_a_miss_is_repeated_in_the_short_form(monkeypatch):
    machine = Machine(CAPACITY / 10, [CAPACITY] * 5)
    with pytest.raises(AssertionError, match="at best"):
        judge(monkeypatch, machine, False)
    assert machine.steps == overload.STEP_TRIES
