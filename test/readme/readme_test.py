"""Runs every command block of README.md as a reader would, and compares the printed answers.

A fence's words say what to do with it: `sh serve` is started and left running, `sh run` is run in one shell,
in order, `sh skip: REASON` is not run and the reason is printed. A `json` block is what the run block before it
must print: same members, same values, except tokens and times, which must have their form.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKEN = re.compile(r"^[A-Za-z0-9]{32}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
CURSOR = re.compile(r"^[A-Za-z0-9]{16}:\d+$")
START_DEADLINE_S = 300
STOP_DEADLINE_S = 20
SOCKET_FOLDER_MAX_CHARACTERS = 80  # a socket's path has at most 107 bytes


def blocks():
    return [(words.strip(), body) for words, body in FENCE.findall((ROOT / "README.md").read_text())]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(port, process):
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server of the quickstart ended by itself"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.05)  # polling a port another process opens; nothing to wait on
    raise AssertionError("the quickstart's server did not come up")


def same_shape(expected, got, where="answer"):
    if isinstance(expected, dict):
        assert isinstance(got, dict) and set(expected) == set(got), f"{where}: {expected} is not {got}"
        for name in expected:
            same_shape(expected[name], got[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert isinstance(got, list) and len(expected) == len(got), f"{where}: {expected} is not {got}"
        for place, (one, other) in enumerate(zip(expected, got)):
            same_shape(one, other, f"{where}[{place}]")
    elif isinstance(expected, str) and any(form.match(expected) for form in (TOKEN, TIME, CURSOR)):
        pattern = next(form for form in (TOKEN, TIME, CURSOR) if form.match(expected))
        assert isinstance(got, str) and pattern.match(got), f"{where}: {got!r} has not the form of {expected!r}"
    else:
        assert expected == got, f"{where}: {expected!r} is not {got!r}"


def test_every_fence_of_the_readme_says_what_to_do_with_it():
    for words, body in blocks():
        assert words in ("sh run", "sh serve", "json") or words.startswith("sh skip: "), (words, body)


def test_the_commands_of_the_readme_print_what_it_says(tmp_path):
    port = free_port()
    environment = dict(os.environ, PORT=str(port), MIGCHAT_DB=str(tmp_path / "migchat.db"))
    environment.pop("MIGCHAT_PORT", None)
    if len(str(tmp_path)) > SOCKET_FOLDER_MAX_CHARACTERS:
        short = tempfile.TemporaryDirectory(prefix="migchat-")
        environment["MIGCHAT_ADMIN_SOCKET"] = f"{short.name}/admin.sock"
    if os.geteuid() == 0:
        environment["MIGCHAT_USER"] = "root"  # pytest's folder is closed to others
    environment.pop("MIGCHAT_SERVER", None)
    run_blocks = []
    expectations = {}
    servers = []
    try:
        for words, body in blocks():
            if words.startswith("sh skip: "):
                print(f"not run: {body.strip()!r}: {words[len('sh skip: '):]}")
            elif words == "sh serve":
                servers.append(
                    subprocess.Popen(["bash", "-c", "exec " + body.strip()], cwd=ROOT, env=environment,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=open(tmp_path / "serve.log", "wb"))
                )
                wait_until_ready(port, servers[-1])
            elif words == "sh run":
                run_blocks.append(body.replace("localhost:3000", f"127.0.0.1:{port}"))
            elif words == "json":
                expectations[len(run_blocks) - 1] = json.loads(body)
        assert servers and run_blocks and expectations
        script = "set -u\n" + "".join(
            f"echo; echo '#block {place}'\n{body}\nstatus=$?; echo; echo \"#status $status\"\n"
            for place, body in enumerate(run_blocks)
        )
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True,
                              timeout=START_DEADLINE_S)
        outputs = re.split(r"^#block \d+$", done.stdout, flags=re.MULTILINE)[1:]
        assert len(outputs) == len(run_blocks), done.stdout + done.stderr
        for place, output in enumerate(outputs):
            printed, _, status = output.partition("#status ")
            assert status.strip() == "0", f"{run_blocks[place]} ended with {status}; stderr: {done.stderr}"
            assert printed.strip(), f"{run_blocks[place]} printed nothing; stderr: {done.stderr}"
            if place in expectations:
                same_shape(expectations[place], json.loads(printed), run_blocks[place].strip())
        assert any('"message_id":3' in output and output.count('"message_id":3') == 2 for output in outputs), (
            "the send with a key was done twice"
        )
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            assert server.wait(STOP_DEADLINE_S) == 0, (tmp_path / "serve.log").read_text()
