"""That the restrictions of the unit are in force in the runs of test/api below them (support/sandbox.py)."""

import json
import pathlib
import subprocess
import sys

import pytest

from support import sandbox

UNIT = pathlib.Path(__file__).resolve().parents[2] / "deploy/migchat.service"
DENIED = {
    "a packet socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "memory to write and execute": "mmap.mmap(-1, 4096, prot=7)",
    "a file outside of its folder": "open('/etc/migchat-sandbox', 'w')",
    "another name for the machine": "socket.sethostname('x')",
    "another's clock": "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "users of its own": "call('unshare', 0x10000000)",
    "another personality": "call('personality', 0x0040000)",
    "to run as its file's owner": "os.chmod(os.open('file', os.O_CREAT | os.O_WRONLY), 0o4755)",
    "a file of its owner's rights": "os.open('file', os.O_CREAT | os.O_WRONLY, 0o4755)",
    "another's scheduling": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
}


BEFORE = """
import ctypes, mmap, os, socket, time
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
"""


@pytest.fixture(scope="module", name="restrictions")
def fixture_restrictions(tmp_path_factory):
    path = tmp_path_factory.mktemp("restrictions") / "restrictions.json"
    path.write_text(json.dumps(sandbox.restrictions_of(UNIT.read_text())))
    return path


def sandboxed(restrictions, folder, code):
    code = f"{BEFORE}\nprint('begun', flush=True)\n{code}"
    command = [sys.executable, sandbox.__file__, restrictions, folder, "/usr/bin/python3", "-B", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          cwd=folder)


@pytest.mark.parametrize("what", DENIED)
def test_it_is_denied(restrictions, tmp_path, what):
    if what.startswith("a file") and (why := json.loads(restrictions.read_text())["refused"]):
        pytest.skip(f"no server ran on the file system that the unit gives it, to read only: {why}")
    done = sandboxed(restrictions, tmp_path, DENIED[what])
    assert done.stdout == "begun\n", "not even begun: " + done.stderr
    assert "OSError" in done.stderr or "PermissionError" in done.stderr, done.stderr


def test_its_own_folder_is_writable(restrictions, tmp_path):
    done = sandboxed(restrictions, tmp_path, f"open('{tmp_path}/file', 'w')")
    assert done.returncode == 0, done.stderr


def test_the_server_runs_so(server):
    status = dict(line.split(":", 1) for line in
                  pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8").splitlines())
    assert status["Seccomp"].split() == ["2"] and status["NoNewPrivs"].split() == ["1"]
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    server.api.get("/readyz").expect(200)


def test_a_group_of_calls_is_taken_back():
    """As systemd reads the unit: later lines take away, and then add."""
    calls = sandbox.restrictions_of(UNIT.read_text())["calls"]
    assert {"read", "accept4", "fdatasync", "setpriority"} <= set(calls)
    assert not {"mount", "ptrace", "sched_setscheduler", "setuid", "kexec_load", "bpf"} & set(calls)
