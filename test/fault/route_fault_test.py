"""The n-th call of the disk fails, for every n of a request to every route: the answer is right or a 503, or the server
ends as designed, and the request once more finds that done what was answered, and nothing else."""

import errno
import mmap
import struct
import subprocess

import pytest

from support import contract, torture
from support.every_route import Requests, repeat, try_row
from support.ledger import Crowd
from support.server import START_DEADLINE_S, Server, run

# Nothing was done; outcome_unknown: perhaps.
REFUSALS = {"store_failed", "disk_full", "outcome_unknown", "overloaded", "migrating", "draining"}
TRIES_MAX = 200  # calls of one request; a guard against a test without end


class Nth:
    """`struct nth` of storage_fault.c."""

    def __init__(self, disk):
        path = disk.folder / "nth"
        path.write_bytes(bytes(32))
        with open(path, "r+b") as file:
            self.shown = mmap.mmap(file.fileno(), 32)

    def fail(self, kind, number, error):
        self.heal()
        self.shown[8:32] = struct.pack("<q8sq", 0, kind.encode(), error)
        self.shown[0:8] = struct.pack("<q", number)

    def heal(self):
        self.shown[0:8] = bytes(8)

    @property
    def has_failed(self):
        return self.shown[8] != 0


def is_done_again(server, row):
    """False when the server has ended, or is about to: then it may refuse what comes."""
    try:
        return repeat(server, row)
    except AssertionError:
        try:
            server.process.wait(START_DEADLINE_S)
        except subprocess.TimeoutExpired:
            pass
        if server.process.returncode is None:
            raise
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kind, error", [("write", errno.EIO), ("write", errno.ENOSPC), ("short", 0),
                                         ("sync", errno.EIO), ("read", errno.EIO)], ids=str)
def test_a_request_for_which_the_disk_fails(tmp_path, disk, tell, kind, error):
    nth = Nth(disk)
    server = Server(tmp_path / "server", **disk.environment)
    server.start()
    crowd = Crowd(server, 2, "route")
    alice, bob = crowd.members
    for number in range(30):
        alice.send(torture.chance(number), bob)
    requests = Requests(crowd)
    failed = exits = refused = 0
    succeeded = set()
    for make in requests.rows:
        for number in range(1, TRIES_MAX):
            row = make()
            if kind == "read":
                # What was read is not read again.
                server.stop()
                server.start()
            nth.fail(kind, number, error)
            status = try_row(server, row, crowd, REFUSALS)
            nth.heal()
            if not is_done_again(server, row):
                assert nth.has_failed and error != errno.ENOSPC, server.log()
                server.wait_exit(None)
                exits += 1
                server.start()
                assert repeat(server, row)
            # Asked behind it all: the writer may have had something left to do behind the answer.
            failed += nth.has_failed
            refused += status >= 500
            if not nth.has_failed:
                assert status == row.right, f"{row.operation} is answered {status}, and the disk was well"
                succeeded |= {row.operation} if status < 400 else set()
                break
        else:
            raise AssertionError(f"{row.operation} uses the disk without end")
    crowd.judge()
    server.stop()
    checked = run("verify", server.database)
    assert checked.returncode == 0, checked.stderr
    assert failed > 0
    operations = {(method, path) for method, path, *_ in contract.operations()}
    assert succeeded == operations, f"never tried, or never done: {operations ^ succeeded}"
    tell(f"{len(requests.rows)} requests, {failed} calls failed: {refused} answered 503 {dict(crowd.refused)}, {exits} "
         "ended the server, and the others were not needed")
