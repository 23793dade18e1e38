"""More is asked than can be done, in an open loop (fault/open_loop.c), and what has to hold then: as much is done as at
the best of times, the rest is refused at once with 503 and Retry-After, /health is answered as ever, and behind it all
is as before.

Times count from when a request was due. Others use the machine: a step in which the generator itself was late, or in
which the server had more or less of the machine than before, is done again, three times at most. So is one that misses
its bars; but in the long form the miss counts when what can be done is measured anew and is what it was.
"""

import collections
import pathlib
import subprocess

from support import torture
from support.crowd import percentile
from support.http import SLOWNESS, request_bytes

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "fault/open_loop.c"
HEALTH_EVERY_MS = 20
# Of the peak. A short step is a dozen commits, others use the machine, and a sanitizer makes refusing dear.
GOODPUT_MIN = torture.size(0.6 if SLOWNESS == 1 else 0.3, 0.9)
REFUSED_MAX_MS = torture.size(1000 * SLOWNESS, 100)
HEALTH_MAX_MS = torture.size(500 * SLOWNESS, 50)
LATE_MAX_MS = torture.size(100 * SLOWNESS, 50)
STEP_TRIES = 3
SAME_WITHIN = 0.2  # of a capacity, measured twice
AFTER_S = 6  # in which little is asked
NORMAL_WITHIN_S = torture.size(AFTER_S, 5)
WINDOW_S = 0.25

Asked = collections.namedtuple("Asked", "phase number due_s late_ms answered_ms status retries message_id")


class OpenLoop:
    """The generator, built into `folder`; it asks on `connections`, and for /health on one apart."""

    def __init__(self, server, folder, connections):
        self.server = server
        self.connections = connections
        self.program, *self.paths = (folder / name for name in ("open_loop", "request", "health", "results"))
        self.runs = 0
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.program,
                        SOURCE, "-lm"], check=True)

    def run(self, request, *phases):
        """([Asked of it], [Asked of /health]) of each phase: its rate, or "@" and how many at once, and its seconds."""
        self.runs += 1
        self.paths[0].write_bytes(request)
        self.paths[1].write_bytes(request_bytes("GET", "/health"))
        seed = torture.chance("open loop", self.runs).randrange(1 << 32)
        subprocess.run([str(word) for word in (
            self.program, self.server.port, self.connections, seed, *self.paths[:2], HEALTH_EVERY_MS, self.paths[2],
            *(f"{rate}:{seconds}" for rate, seconds in phases))], check=True)
        asked = [([], []) for _ in phases]
        with open(self.paths[2], encoding="ascii") as lines:
            for line in lines:
                kind, *numbers = line.split()
                phase, number, due_us, late_us, answered_us, status, retries, message_id = map(int, numbers)
                asked[phase][kind == "h"].append(Asked(phase, number, due_us / 1e6, late_us / 1000,
                                                       answered_us / 1000, status, retries == 1, message_id))
        return asked


class Overload:
    """Steps of so many seconds each, at multiples of `capacity`: what is done a second when `at_once` are asked, and
    the next when one is answered. `ask` runs phases of what is asked (OpenLoop.run)."""

    def __init__(self, ask, at_once, capacity_s, step_s, normal_ms):
        self.ask = ask
        self.at_once = at_once
        self.capacity_s = capacity_s
        self.step_s = step_s
        self.normal_at_best_ms = normal_ms
        self.measure()

    def measure(self):
        [[asked, _]] = self.ask((f"@{self.at_once}", self.capacity_s))
        assert {each.status for each in asked} == {200}, "what it can was too much"
        self.capacity = self.peak = done_a_second(asked, self.capacity_s)
        assert self.capacity > 0, f"nothing was done in {self.capacity_s} s"
        self.normal_ms = max(self.normal_at_best_ms, 10_000 / self.capacity)  # or ten of them, one after the other
        self.little = max(self.capacity / 10, 1)

    def run(self, levels, tell):
        """Judges a step of each level; the part of the peak that the last one did."""
        for level in levels:
            for _ in range(STEP_TRIES):
                step = Step(self, level)
                tell(step)
                disturbed, before, peak = self.is_disturbed(step), self.capacity, self.peak
                if not disturbed and not self.misses(step):
                    break
                self.measure()
                if torture.IS_LONG and not disturbed and self.is_as(before):
                    tell(f"it can still do {self.capacity:.0f} a second, {before:.0f} before: what was missed counts")
                    break
            step.judge()
            # By what was known when it was done, not by a measure taken because it missed.
            assert level < 5 or step.good >= GOODPUT_MIN * peak, \
                f"{step.good:.0f} a second at {level} x, {peak:.0f} at best"
            self.peak = max(self.peak, step.good)
        return step.good / max(peak, step.good)

    def is_disturbed(self, step):
        """The generator was late, or others left the machine more than when its capacity was measured."""
        return step.late_ms > LATE_MAX_MS or step.good > 2 * self.capacity

    def misses(self, step):
        """What others who use the machine can be at fault for, or the server."""
        return (step.normal_s is None or step.health_ms > HEALTH_MAX_MS
                or (step.level >= 5 and step.good < GOODPUT_MIN * self.peak))

    def is_as(self, before):
        return abs(self.capacity - before) <= SAME_WITHIN * before


class Step:
    """`level` times what it can, then little."""

    def __init__(self, overload, level):
        self.level, self.offered, self.seconds = level, overload.capacity * level, overload.step_s
        [self.asked, healths], [self.after, _] = overload.ask((self.offered, self.seconds),
                                                             (overload.little, AFTER_S))
        self.refused = [each for each in self.asked if each.status == 503]
        self.good = done_a_second(self.asked, self.seconds)
        self.refused_ms = [each.answered_ms for each in self.refused] or [0]
        self.late_ms = percentile([each.late_ms for each in self.asked + healths], 0.99)
        self.health_ms = percentile([each.answered_ms for each in healths], 0.99)
        self.healths = {each.status for each in healths}
        self.normal_s = normal_after_s(self.after, overload.normal_ms)

    def __str__(self):
        return (f"{self.level} x: {self.offered:.0f} a second offered, {self.late_ms:.1f} ms late (p99), "
                f"{self.good:.0f} done, {len(self.refused) / self.seconds:.0f} refused (p99 in "
                f"{percentile(self.refused_ms, 0.99):.1f} ms, all in {max(self.refused_ms):.1f}), /health p99 "
                f"{self.health_ms:.1f} ms, normal again after {self.normal_s} s")

    def judge(self):
        assert self.level < 5 or self.refused, "more than it can, and nothing was refused"
        assert {each.status for each in self.asked + self.after} <= {200, 503}, "one was not answered, or wrongly"
        assert self.healths == {200}
        assert all(each.retries for each in self.refused), "a refusal without Retry-After"
        assert self.late_ms <= LATE_MAX_MS, "the generator was late, or all its connections waited for answers"
        assert percentile(self.refused_ms, 0.99) <= REFUSED_MAX_MS
        assert self.health_ms <= HEALTH_MAX_MS
        assert self.normal_s is not None and self.normal_s <= NORMAL_WITHIN_S


def done_a_second(asked, seconds):
    """Of a phase that began when the first of it was due: done within it."""
    begun_s = asked[0].due_s
    return sum(each.status == 200 and each.due_s + each.answered_ms / 1000 < begun_s + seconds
               for each in asked) / seconds


def normal_after_s(asked, normal_ms):
    """When the first window begins in which nothing is refused and nothing takes long; None: never."""
    windows = collections.defaultdict(list)
    for each in asked:
        windows[int((each.due_s - asked[0].due_s) / WINDOW_S)].append(each)
    for number, window in sorted(windows.items()):
        if (all(each.status == 200 for each in window)
                and percentile([each.answered_ms for each in window], 0.9) <= normal_ms):
            return number * WINDOW_S
    return None
