"""No descriptor is free, in the process (EMFILE) or on the machine (ENFILE): nobody is accepted, who is connected
goes on, and when there are some again those who waited are served within a second."""

import os
import resource
import socket
import time

import pytest

from support import torture
from support.http import SLOWNESS, Connection, request_bytes
from support.server import Server

WAITING = torture.size(20, 300)
RECOVERED_S = 1.0
MARGIN_S = torture.size(1.0, 0.0) * SLOWNESS  # for a machine that does much else
PAUSE_S = torture.size(1, 10)
TRY_EVERY_S = 0.25  # ACCEPT_PAUSE_MS of src/net/server.c
CPU_SHARE_MAX = 0.4  # of a processor while it pauses


class Waiting:
    """Connections that the kernel has taken and the server has not, each with a request."""

    def __init__(self, port, count):
        self.connections = [Connection(port) for _ in range(count)]
        for connection in self.connections:
            connection.send(request_bytes("GET", "/health"))

    def served_within_s(self):
        begun_s = time.monotonic()
        for connection in self.connections:
            assert connection.answer("GET", "/health").status == 200
            connection.close()
        return time.monotonic() - begun_s

    def is_served(self):
        ready = [connection for connection in self.connections if has_bytes(connection.socket)]
        return len(ready)


def has_bytes(client):
    client.setblocking(False)
    try:
        return len(client.recv(1, socket.MSG_PEEK)) > 0
    except BlockingIOError:
        return False


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class NoneInTheProcess:
    """EMFILE: its limit is lowered to what it has open."""

    def __init__(self, server):
        self.server = server
        self.pid = server.process.pid
        self.before = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)

    def begin(self):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (self.server.descriptors_open(), self.before[1]))

    def end(self):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.before)


class NoneOnTheMachine:
    """ENFILE."""

    def __init__(self, disk):
        self.disk = disk

    def begin(self):
        self.disk.fail("accept")

    def end(self):
        self.disk.heal("accept")


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE"])
def test_without_descriptors_it_pauses_and_goes_on(tmp_path, disk, tell, error):
    server = Server(tmp_path / "server", **disk.environment)
    with server:
        alice, bob = server.api.create(), server.api.create()
        lack = NoneInTheProcess(server) if error == "EMFILE" else NoneOnTheMachine(disk)
        lacked_s = time.monotonic()
        lack.begin()
        waiting = Waiting(server.port, WAITING)
        paused = server.wait_event("accept_paused")
        assert "open files" in paused["reason"], paused
        begun_s, begun_cpu_s, sends = time.monotonic(), cpu_s(server.process.pid), 0
        while time.monotonic() - begun_s < PAUSE_S:
            # On the connection that is there.
            alice.send(bob)
            assert bob.messages(limit=1)
            sends += 1
            time.sleep(0.02)  # a pause to be measured: what it takes while little is asked
        share = (cpu_s(server.process.pid) - begun_cpu_s) / (time.monotonic() - begun_s)
        # Counted, not timed: who tries again and again does it thousands of times, however busy the machine is.
        tries, most = disk.accepts_without_descriptor(), (time.monotonic() - lacked_s) / TRY_EVERY_S + 2
        assert waiting.is_served() == 0, "somebody was accepted without a descriptor"
        lack.end()
        took_s = waiting.served_within_s()
        tell(f"{error}: {sends} sends by who was connected, {share:.2f} of a processor, {tries} tries to accept, "
             f"{WAITING} who waited served {took_s:.2f} s after")
        assert 1 <= tries <= most, f"{tries} tries to accept, {most:.0f} are enough"
        assert took_s <= RECOVERED_S + MARGIN_S
        assert share <= CPU_SHARE_MAX * SLOWNESS


def test_pauses_are_told_once_a_second(tmp_path):
    """Clients that come and go while it is full make as many as they please."""
    health = request_bytes("GET", "/health")
    with Server(tmp_path / "full", flags=("--max-connections", "2")) as server:
        begun_s = time.monotonic()
        for _ in range(100):
            # The third is let in when the first goes.
            connections = [Connection(server.port) for _ in range(3)]
            for each in connections:
                each.send(health)
                each.answer("GET", "/health").expect(200)
                each.close()
        told = [event for event in server.events() if event["event"] == "accept_paused"]
        assert 1 <= len(told) <= time.monotonic() - begun_s + 2, len(told)
        assert server.api.get("/health").status == 200
