"""The n-th call of the disk fails while a crowd is at work: writes are refused with 503 or the server ends, as
designed; no answer is wrong, reads go on, and when the disk is well so is the server, without a restart."""

import errno
import os
import time

import pytest

from support import torture
from support.http import SLOWNESS
from support.ledger import DISK_REFUSALS, Crowd
from support.server import START_DEADLINE_S, Server

DONE_AT_LEAST = 25
PATIENCE_S = 20 * SLOWNESS
LIVES_MAX = 40  # with one database: its logs grow, and the judgement with them


class Faulty:
    """A server whose disk fails at the n-th call, and the crowd that uses it."""

    def __init__(self, folder, library):
        self.folder = folder
        self.folder.mkdir()
        self.library = library
        self.server = Server(folder / "server")
        self.server.start()
        self.crowd = Crowd(self.server, 3, folder.name)
        self.exits = self.not_opened = 0

    def begin(self, spec):
        self.server.stop()
        for name in ("failed", "healed"):
            (self.folder / name).unlink(missing_ok=True)
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        faults = {"LD_PRELOAD": str(self.library), "MIGCHAT_FAULT_FOLDER": str(self.folder),
                  "MIGCHAT_FAULT_AT": spec, "ASAN_OPTIONS": options}
        healthy = self.server.env
        self.server.env = {**healthy, **faults}
        try:
            self.server.start()
        except AssertionError:
            assert self.has_failed(), "it did not start, and the disk was well"
            self.not_opened += 1
            self.server.env = healthy
            self.server.start()
        self.server.env = healthy
        self.crowd.refused.clear()

    def has_failed(self):
        return (self.folder / "failed").exists()

    def wait(self, is_so):
        """Until it is so; a server that has ended, which must be by itself, is started with a healthy disk."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_so():
            assert not self.crowd.faults, self.crowd.faults
            assert time.monotonic() < deadline_s, f"nothing is acknowledged any more; refused {self.crowd.refused}"
            if self.server.process.poll() is not None:
                assert self.has_failed() and self.server.process.returncode > 0, self.server.log()
                self.server.wait_exit(None)
                self.exits += 1
                self.server.start()
            time.sleep(0.002)  # others are at work; what they have done is what is waited for

    def live(self, spec):
        """One fault, until the crowd has done its work in spite of it. Whether it came to it."""
        self.begin(spec)
        with self.crowd:
            done = self.crowd.acknowledged + DONE_AT_LEAST
            exits = self.exits
            self.wait(lambda: self.has_failed() or self.crowd.acknowledged >= done)
            if self.has_failed() and spec.endswith("stays") and not spec.startswith(("read", "sync")):
                self.read_on()
            (self.folder / "healed").touch()
            done = self.crowd.acknowledged + 10
            self.wait(lambda: self.crowd.acknowledged >= done)
            if "write" in spec and str(errno.ENOSPC) in spec:
                assert self.exits == exits, "a full disk ended it"
        assert set(self.crowd.refused) <= DISK_REFUSALS, self.crowd.refused
        self.crowd.judge()
        return self.has_failed()

    def read_on(self):
        """While nothing can be written."""
        for member in self.crowd.members:
            member.account.api = self.server.api
            member.account.get("/api/messages?limit=5").expect(200)
        self.server.api.get("/health").expect(200)


@pytest.mark.slow
@pytest.mark.parametrize("kind, error, how", [
    ("write", errno.EIO, "once"), ("write", errno.ENOSPC, "stays"), ("short", 0, "once"), ("sync", errno.EIO, "once"),
    ("read", errno.EIO, "once")], ids=str)
def test_the_nth_call_of_the_disk_fails(tmp_path, library, tell, kind, error, how):
    numbers = range(1, torture.size(40, 400))
    if not torture.IS_LONG:
        numbers = sorted(torture.chance(kind, error).sample(numbers, 3))
    failed = tried = exits = not_opened = 0
    faulty = None
    for tried, number in enumerate(numbers):
        if tried % LIVES_MAX == 0:
            if faulty is not None:
                faulty.server.stop()
            faulty = Faulty(tmp_path / f"{kind}{tried}", library)
        before = (faulty.exits, faulty.not_opened)
        came = faulty.live(f"{kind} {number} {error} {how}")
        failed += came
        exits += faulty.exits - before[0]
        not_opened += faulty.not_opened - before[1]
        if torture.IS_LONG and not came:
            break  # there are no more such calls while it works
    faulty.server.stop()
    assert failed > 0
    tell(f"{failed} faults; {exits} ended the server, {not_opened} were met when it opened; every refusal was "
         "a 503, nothing acknowledged was lost")
