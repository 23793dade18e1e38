"""The n-th allocation fails, for every n of a start and of a request to every route: an error of the server's or
the abort that base/require.h documents, never another answer, and then all goes on."""

import mmap
import pathlib
import signal
import struct
import subprocess
import time

import pytest

from support import torture
from support.every_route import Requests, operations, repeat, try_row
from support.http import SANITIZED
from support.ledger import Crowd
from support.server import START_DEADLINE_S, Server, run

HERE = pathlib.Path(__file__).resolve().parent
# Told for a server that has no memory: nothing was done, or (COMMIT) perhaps.
REFUSALS = {"store_failed", "overloaded", "outcome_unknown", "migrating"}
LEFT_MORE_MAX = 3  # libraries' own, at exit
TRIES_MAX = 400  # allocations of one request; a guard against a test without end

pytestmark = pytest.mark.skipif(SANITIZED, reason="the sanitizer's allocator cannot be replaced; run against release")


class Allocations:
    """The numbers of allocation_fault.c, shared with the process."""

    def __init__(self, path):
        path.write_bytes(bytes(32))
        with open(path, "r+b") as file:
            self.shown = mmap.mmap(file.fileno(), 32)

    def fail(self, number):
        self.shown[0:16] = struct.pack("<qq", number, 0)

    @property
    def left(self):
        return struct.unpack_from("<q", self.shown, 0)[0]

    @property
    def failed(self):
        return struct.unpack_from("<q", self.shown, 8)[0]

    @property
    def alive(self):
        return struct.unpack_from("<q", self.shown, 24)[0]


@pytest.fixture(scope="module", name="shim")
def fixture_shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("fault") / "allocation_fault.so"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-fno-builtin", "-o", str(path), str(HERE / "allocation_fault.c")], check=True)
    return path


@pytest.fixture(name="allocations")
def fixture_allocations(tmp_path):
    return Allocations(tmp_path / "allocations")


@pytest.fixture(name="server")
def fixture_server(tmp_path, shim, allocations):
    server = Server(tmp_path / "server", LD_PRELOAD=shim, MIGCHAT_ALLOCATIONS=tmp_path / "allocations")
    yield server
    allocations.fail(0)
    if server.process is not None:
        server.kill()


def ends_as_documented(server):
    """It aborted, and said where: a REQUIRE that something is there. False where libuv did, which says nothing when
    its table of descriptors cannot grow, or, before it listened, glibc, which looks for the user."""
    status = server.process.wait(START_DEADLINE_S)
    server._reader.join()
    server.process = None
    log = server.log()
    assert status == -signal.SIGABRT or (status == -signal.SIGSEGV and not server.events("opening")), \
        f"it ended with {status}\n{log}"
    return "not true: " in log


# ---- a request to every route ---------------------------------------------------------------------

def test_a_request_that_finds_no_memory(server, allocations, tell):
    server.start()
    crowd = Crowd(server, 2, "memory")
    alice, bob = crowd.members
    for number in range(30):
        alice.send(torture.chance(number), bob)
    step = torture.size(5, 1)
    chance = torture.chance("memory")
    survived = []
    aborted = refused = closed = served = by_libraries = 0
    requests = Requests(crowd)
    count = len(requests.rows)
    succeeded = set()
    for place, make in enumerate(requests.rows):
        number = 1 + chance.randrange(step)
        while number < TRIES_MAX:
            row = make()
            allocations.fail(number)
            status = try_row(server, row, crowd, REFUSALS)
            met = allocations.failed > 0
            allocations.fail(0)
            # The next request is served, and says what has become of this one.
            if not repeat(server, row):
                by_documents = ends_as_documented(server)
                aborted += by_documents
                by_libraries += not by_documents
                server.start()
                assert repeat(server, row)
            elif met:
                refused += status >= 500
                closed += status == 0
                served += 0 < status < 500
                survived.append((place, number))
            if not met:
                assert status == row.right, f"{row.operation} is answered {status} with all memory there is"
                succeeded |= {row.operation} if status < 400 else set()
                break
            number += step
        assert number < TRIES_MAX, f"{row.operation} allocates without end"
    assert succeeded == operations(), f"never tried, or never done: {operations() ^ succeeded}"
    crowd.judge()
    server.stop()
    checked = run("verify", server.database)
    assert checked.returncode == 0, checked.stderr
    assert aborted + refused + closed > 0
    codes = dict(crowd.refused)
    # The same once more in one life each, without and with the faults: as much is left at the end.
    left_without = left_at_exit(server, allocations, crowd, [(place, 0) for place, _ in survived])
    left = left_at_exit(server, allocations, crowd, survived)
    tell(f"{count} requests, {len(succeeded)} operations: "
         f"of {aborted + refused + closed + served} allocations that failed {aborted} aborted as documented, "
         f"{by_libraries} in libuv, {refused} were answered 503 {codes}, {closed} closed the connection, "
         f"{served} were not needed; {left} blocks left at the exit, without faults {left_without}")
    assert by_libraries <= count  # the one for a descriptor, at some of them
    assert left <= left_without + LEFT_MORE_MAX, "a request that found no memory leaks"


def left_at_exit(server, allocations, crowd, faults):
    """Blocks of memory that the process has when it has ended orderly, behind these requests."""
    server.start()
    requests = Requests(crowd)
    for place, number in faults:
        row = requests.rows[place]()
        allocations.fail(number)
        try_row(server, row, crowd, REFUSALS)
        allocations.fail(0)
        if not repeat(server, row):
            # Another allocation than before was the one: without it.
            ends_as_documented(server)
            return left_at_exit(server, allocations, crowd, [each for each in faults if each != (place, number)])
    server.stop()
    return allocations.alive


def listens(server):
    """True when it serves, False when it has ended."""
    deadline_s = time.monotonic() + START_DEADLINE_S
    while not server.events("listening"):
        if server.process.poll() is not None:
            return False
        assert time.monotonic() < deadline_s, server.log()
        time.sleep(0.002)  # it is opening: the log or its end is what is waited for
    server.port = int(server.events("listening")[0]["port"])
    return True


# ---- a start --------------------------------------------------------------------------------------

def test_a_start_that_finds_no_memory(server, allocations, tell):
    server.start()
    account = server.api.create()
    message = account.send(account)
    server.stop()
    chance = torture.chance("start")
    aborted = refused = started = by_libraries = 0
    number = 1
    while True:
        allocations.fail(number)
        server.spawn()
        if listens(server):
            met = allocations.failed
            allocations.fail(0)
            started += 1
            server.stop()
            if not met:
                break
        else:
            assert allocations.failed, server.log()
            status = server.process.wait(START_DEADLINE_S)
            if status in (1, 2):
                server.wait_exit(status)
                refused += 1
            elif ends_as_documented(server):
                aborted += 1
            else:
                by_libraries += 1
        number += 1 if torture.IS_LONG else 1 + chance.randrange(60)
    server.start()
    account.api = server.api
    assert [each["id"] for each in account.messages()] == [message["message_id"]]
    server.stop()
    tell(f"{number} allocations of a start: {aborted} aborted as documented, {refused} refused to start, {started} "
         f"were not needed, at {by_libraries} libuv or glibc ended it")
    assert by_libraries <= 5
