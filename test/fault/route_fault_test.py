"""The n-th call of the disk fails, for every n of a request to every route: the answer is right or a 503; only a sync
that fails ends the server, and always; a message that was acknowledged is there; and the request once more is answered
as after the first answer it is to be."""

import errno
import mmap
import struct
import subprocess

import pytest

from support import torture
from support.every_route import Requests, operations, repeat, try_row
from support.http import Closed
from support.ledger import DISK_REFUSALS, Crowd
from support.server import START_DEADLINE_S, Server, run

TRIES_MAX = 200  # calls of one request; a guard against a test without end
NOT_WRITTEN = ("POST", "/api/typing")


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
    except AssertionError as wrong:
        if "came: 503" not in str(wrong):
            raise
        try:
            server.process.wait(START_DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise wrong from None
        return False


def is_kept(server, account, content):
    """Whether the message is in the log; None when the server has ended, or is about to."""
    account.api = server.api
    try:
        answer = account.get("/api/messages?limit=5")
    except (Closed, OSError):
        return None
    return None if answer.status == 503 else content in {row["content"] for row in answer.expect(200).json()}


def end(server):
    """It has a failed sync behind it: it ends, by itself and orderly."""
    server.process.wait(START_DEADLINE_S)
    assert server.process.returncode > 0, server.log()
    server.wait_exit(None)
    server.start()


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
    failed = exits = refused = closed = 0
    succeeded, written, met = set(), set(), set()
    for make in requests.rows:
        for number in range(1, TRIES_MAX):
            row = make()
            if kind == "read":
                # What was read is not read again.
                server.stop()
                server.start()
            nth.fail(kind, number, error)
            status = try_row(server, row, crowd, DISK_REFUSALS)
            nth.heal()
            kept = is_kept(server, alice.account, row.sent.content) if row.sent and status == 200 else True
            goes_on = kept is not None and is_done_again(server, row)
            assert goes_on or (nth.has_failed and kind == "sync"), server.log()
            if nth.has_failed and kind == "sync":
                end(server)
                exits += 1
            if kept is None:
                kept = is_kept(server, alice.account, row.sent.content)
            assert goes_on or repeat(server, row)
            assert kept, "what was acknowledged is gone"
            # Cut is an answer of which a page could not be read.
            assert status > 0 or kind in ("read", "sync"), f"{row.operation} was not answered"
            failed += nth.has_failed
            refused += status >= 500
            closed += status == 0
            met |= {row.operation} if nth.has_failed else set()
            if not nth.has_failed:
                assert status == row.right, f"{row.operation} is answered {status}, and the disk was well"
                succeeded |= {row.operation} if status < 400 else set()
                written |= {row.operation} if status < 400 and row.method != "GET" else set()
                break
        else:
            raise AssertionError(f"{row.operation} uses the disk without end")
    crowd.judge()
    server.stop()
    checked = run("verify", server.database)
    assert checked.returncode == 0, checked.stderr
    assert exits == (failed if kind == "sync" else 0) and not (kind == "short" and refused)
    wanted = {("GET", "/api/messages")} if kind == "read" else written - {NOT_WRITTEN}
    assert met >= wanted, f"not met: {wanted - met}"
    assert succeeded == operations(), f"never tried, or never done: {operations() ^ succeeded}"
    tell(f"{len(requests.rows)} requests, {failed} calls failed: {refused} answered 503 {dict(crowd.refused)}, "
         f"{closed} cut, {exits} ended the server, and the others were not needed")
