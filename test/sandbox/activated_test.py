"""That the restrictions of the unit behind migchat.socket are in force in the runs of test/api below them: no
network, no sockets but Unix ones, and what listens is handed in."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from support import sandbox
from support.server import Server

SHOW_NETWORK = "print(open('/proc/net/dev').read())"


def restrictions():
    return json.loads(pathlib.Path(os.environ["MIGCHAT_SANDBOX"]).read_text(encoding="utf-8"))


def sandboxed(folder, code):
    command = [sys.executable, sandbox.__file__, os.environ["MIGCHAT_SANDBOX"], folder, "/usr/bin/python3", "-B", "-c",
               f"import socket\nprint('begun', flush=True)\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(name="private")
def fixture_private():
    if why := restrictions()["refused"]:
        pytest.skip(f"no server ran without a network, as PrivateNetwork= gives it: {why}")


@pytest.mark.parametrize("family", ("AF_INET", "AF_INET6", "AF_NETLINK"))
def test_other_families_are_denied(tmp_path, family):
    done = sandboxed(tmp_path, f"socket.socket(socket.{family})")
    assert done.stdout == "begun\n" and "PermissionError" in done.stderr, done.stderr


def test_unix_sockets_are_not(tmp_path):
    done = sandboxed(tmp_path, "socket.socket(socket.AF_UNIX)")
    assert done.returncode == 0, done.stderr


def test_there_is_no_network(tmp_path, private):
    done = sandboxed(tmp_path, SHOW_NETWORK)
    assert [line.split(":")[0].strip() for line in done.stdout.splitlines() if ":" in line] == ["lo"], done.stdout


def test_the_server_runs_so(server, private):
    process = f"/proc/{server.process.pid}"
    assert os.readlink(f"{process}/ns/net") != os.readlink("/proc/self/ns/net")
    assert os.readlink(f"{process}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    status = dict(line.split(":", 1) for line in pathlib.Path(f"{process}/status").read_text().splitlines())
    assert status["Seccomp"].split() == ["2"] and status["NoNewPrivs"].split() == ["1"]
    assert server.port == server.handed.getsockname()[1]
    server.api.get("/readyz").expect(200)


def test_without_a_socket_it_has_none(tmp_path, monkeypatch):
    """What the runs below show is shown through the socket that was handed in."""
    monkeypatch.delenv("MIGCHAT_HANDED")
    server = Server(tmp_path / "own").spawn()
    failed = server.wait_event("listen_failed")
    assert (failed["call"], failed["reason"]) == ("socket", "Operation not permitted"), failed
    server.wait_exit(1)
