"""More is sent than the disk can take: as much is committed as at the best of times, the rest is refused at once with
503 and Retry-After, /health is answered as ever, and behind it all is as before. What was acknowledged is in both
logs exactly once, what was refused in neither.

Each sync of the database takes so long that full batches are a few hundred or thousand sends a second: ten times as
much is little for the loop, and for open_loop.c, which asks at times that were fixed before; that it did is asserted.
"""

import collections
import pathlib
import subprocess

import pytest

from support import torture
from support.crowd import percentile
from support.events import events_since
from support.http import SLOWNESS, request_bytes
from support.server import Server

HERE = pathlib.Path(__file__).resolve().parent
LEVELS = torture.size((1, 10), (0.5, 1, 2, 5, 10))
LEVEL_S = torture.size(3, 20)
CAPACITY_S = torture.size(2, 10)
SYNC_MS = 200 if SLOWNESS == 1 else 400  # so that what a sanitizer costs is little beside it
AFTER_S = torture.size(3, 6)  # at half of what it can
QUEUE = 1024  # batches of 256 are full
CONNECTIONS = 1536  # one lends one send at a time: as many as the queue holds, and those who are refused
HEALTH_EVERY_MS = 20
# Of the peak. A short step is a dozen commits, others use the machine, and a sanitizer makes refusing dear.
GOODPUT_MIN = torture.size(0.6 if SLOWNESS == 1 else 0.3, 0.9)
REFUSED_MAX_MS = torture.size(1000 * SLOWNESS, 100)
HEALTH_MAX_MS = torture.size(500 * SLOWNESS, 50)
LATE_MAX_MS = torture.size(100 * SLOWNESS, 50)  # of the generator; its times count from when it should have asked
STEP_TRIES = 3
NORMAL_WITHIN_S = torture.size(AFTER_S, 5)
# A commit that runs, and its own.
NORMAL_MS = 3 * SYNC_MS
WINDOW_S = 0.25

Asked = collections.namedtuple("Asked", "phase number due_s late_ms answered_ms status retries message_id")


@pytest.fixture(name="generator", scope="module")
def fixture_generator(tmp_path_factory):
    path = tmp_path_factory.mktemp("load") / "open_loop"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(path),
                    str(HERE / "open_loop.c"), "-lm"], check=True)
    return path


class Load:
    """Sends of one account to another, each with a text of its own; the ledger of what became of them."""

    def __init__(self, server, generator, folder):
        self.server = server
        self.generator = generator
        self.folder = folder
        self.sender, self.recipient = server.api.create(), server.api.create()
        self.ledger = {}  # text -> (status, message id)
        self.runs = 0

    def run(self, *phases):
        """(sends, healths) of each phase, a pair of its rate, or "@" and how many at once, and its seconds."""
        self.runs += 1
        text = f"run {self.runs} number "
        body = f'{{"to_username": "{self.recipient.username}", "content": "{text}{"@" * 16}"}}'.encode()
        paths = [self.folder / name for name in ("send", "health", "results")]
        paths[0].write_bytes(request_bytes("POST", "/api/messages/send", [
            ("Authorization", f"Bearer {self.sender.token}"), ("Content-Type", "application/json")], body))
        paths[1].write_bytes(request_bytes("GET", "/health"))
        seed = torture.chance("send overload", self.runs).randrange(1 << 32)
        subprocess.run([str(word) for word in (
            self.generator, self.server.port, CONNECTIONS, seed, *paths[:2], HEALTH_EVERY_MS, paths[2],
            *(f"{rate}:{seconds}" for rate, seconds in phases))], check=True)
        asked = [([], []) for _ in phases]
        with open(paths[2], encoding="ascii") as lines:
            for line in lines:
                kind, *numbers = line.split()
                phase, number, due_us, late_us, answered_us, status, retries, message_id = map(int, numbers)
                asked[phase][kind == "h"].append(Asked(phase, number, due_us / 1e6, late_us / 1000,
                                                       answered_us / 1000, status, retries == 1, message_id))
                if kind == "s":
                    self.ledger[f"{text}{number:016}"] = (status, message_id)
        return asked

    def judge(self):
        """Both logs are what was answered; how many there are."""
        logs = [{event["message"]["content"]: event["message"]["id"] for event in events}
                for events in self.events_of_both()]
        assert logs[0] == logs[1], "the two logs do not have the same messages"
        acknowledged = {text: message_id for text, (status, message_id) in self.ledger.items() if status == 200}
        lost = [text for text, message_id in acknowledged.items() if logs[0].get(text) != message_id]
        assert not lost, f"{len(lost)} were acknowledged and are not there, such as {lost[0]!r}"
        unasked = [text for text in logs[0] if text not in acknowledged]
        assert not unasked, f"{len(unasked)} are there that were not acknowledged, such as {unasked[0]!r}"
        return len(acknowledged), len(self.ledger) - len(acknowledged)

    def events_of_both(self):
        for account in (self.sender, self.recipient):
            events = [event for event in events_since(account, limit=1000) if event["type"] == "message"]
            assert len({event["message"]["content"] for event in events}) == len(events), "a message is there twice"
            yield events


def done_a_second(sends, seconds):
    """Of a phase that began when the first of it was due: acknowledged within it."""
    begun_s = sends[0].due_s
    return sum(each.status == 200 and each.due_s + each.answered_ms / 1000 < begun_s + seconds
               for each in sends) / seconds


def normal_after_s(sends):
    """When the first window begins in which nothing is refused and no send takes long; None: never."""
    windows = collections.defaultdict(list)
    for each in sends:
        windows[int((each.due_s - sends[0].due_s) / WINDOW_S)].append(each)
    for number, window in sorted(windows.items()):
        if (all(each.status == 200 for each in window)
                and percentile([each.answered_ms for each in window], 0.9) <= NORMAL_MS):
            return number * WINDOW_S
    return None


class Step:
    """Sends at `level` times what it can, then at half of it."""

    def __init__(self, load, level, capacity):
        self.level, self.offered = level, capacity * level
        [self.sends, healths], [self.after, _] = load.run((self.offered, LEVEL_S), (capacity / 2, AFTER_S))
        self.refused = [each for each in self.sends if each.status == 503]
        self.good = done_a_second(self.sends, LEVEL_S)
        self.refused_ms = [each.answered_ms for each in self.refused] or [0]
        self.late_ms = percentile([each.late_ms for each in self.sends + healths], 0.99)
        self.health_ms = percentile([each.answered_ms for each in healths], 0.99)
        self.healths = {each.status for each in healths}
        self.normal_s = normal_after_s(self.after)

    def __str__(self):
        return (f"{self.level} x: {self.offered:.0f} sends a second offered, {self.late_ms:.1f} ms late (p99), "
                f"{self.good:.0f} done, {len(self.refused) / LEVEL_S:.0f} refused (p99 in "
                f"{percentile(self.refused_ms, 0.99):.1f} ms, all in {max(self.refused_ms):.1f}), /health p99 "
                f"{self.health_ms:.1f} ms, normal again after {self.normal_s} s")

    def judge(self):
        assert self.level < 5 or self.refused, "more than it can, and nothing was refused"
        assert {each.status for each in self.sends + self.after} <= {200, 503}, "a send was not answered, or wrongly"
        assert self.healths == {200}
        assert all(each.retries for each in self.refused), "a refusal without Retry-After"
        assert self.late_ms <= LATE_MAX_MS, "the generator did not keep its schedule: nothing was measured"
        assert percentile(self.refused_ms, 0.99) <= REFUSED_MAX_MS
        assert self.health_ms <= HEALTH_MAX_MS
        assert self.normal_s is not None and self.normal_s <= NORMAL_WITHIN_S


def step_of(load, level, capacity, tell):
    """One whose generator kept its schedule, if others leave it the processor in one of three."""
    for _ in range(STEP_TRIES):
        step = Step(load, level, capacity)
        tell(step)
        if step.late_ms <= LATE_MAX_MS:
            break
    return step


def test_sends_that_are_too_many_are_refused_at_once(tmp_path, disk, generator, tell):
    with Server(tmp_path / "server", MIGCHAT_WRITE_QUEUE=QUEUE, **disk.environment) as server:
        load = Load(server, generator, tmp_path)
        disk.slow(SYNC_MS)
        [[sends, _]] = load.run((f"@{QUEUE // 2}", CAPACITY_S))
        assert all(each.status == 200 for each in sends)
        capacity = peak = done_a_second(sends, CAPACITY_S)
        for level in LEVELS:
            step = step_of(load, level, capacity, tell)
            step.judge()
            peak = max(peak, step.good)
        assert step.good >= GOODPUT_MIN * peak, f"{step.good:.0f} a second at {level} x, {peak:.0f} at best"
        disk.heal("slow")
        there, not_there = load.judge()
        tell(f"{there} acknowledged sends in both logs exactly once, {not_there} refused ones in neither; at {level} x "
             f"{100 * step.good / peak:.0f} % of the {peak:.0f} a second at best")
