"""The load generator against a server made up here: which answers it takes, and which count as acknowledged."""

import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import servers  # noqa: E402  (the bench's modules lie beside each other)
import workloads  # noqa: E402

SOURCES = ("load.c", "load_answers.c", "load_tally.c", "load_start.c")
DEADLINE_S = 20


@pytest.fixture(name="load", scope="module")
def fixture_load(tmp_path_factory):
    path = tmp_path_factory.mktemp("load") / "load"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-o", path, *(BENCH / source for source in SOURCES)], check=True)
    return path


@pytest.fixture(name="listener")
def fixture_listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        yield listener


def answer(listener, statuses, waits_s=0):
    """One connection, a status for each request, the last after a wait; then it is read until it ends."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(DEADLINE_S)
        for number, status in enumerate(statuses, 1):
            if not connection.recv(4096):
                return
            time.sleep(waits_s if number == len(statuses) else 0)
            connection.sendall(f"HTTP/1.1 {status} Any\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        connection.recv(4096)


def asked(load, listener, folder, wanted, statuses):
    """The load generator as it ended: one request after the other on one connection."""
    requests = servers.write_requests(folder / "requests", [(servers.request("GET", "/"), workloads.WRITE, wanted, -1)])
    answering = threading.Thread(target=answer, args=(listener, statuses))
    answering.start()
    ended = subprocess.run([load, "run", "--port", str(listener.getsockname()[1]), "--requests", requests, "--count",
                            str(len(statuses))], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    answering.join()
    return ended


def test_refusals_are_answers_where_the_server_may_have_too_much_to_do(load, listener, tmp_path):
    ended = asked(load, listener, tmp_path, workloads.STATUS_ANY_LOAD, (200, 503, 200, 429, 503))
    assert ended.returncode == 0, ended.stderr
    writes = json.loads(ended.stdout)["classes"][workloads.WRITE]
    assert (writes["requests"], writes["acknowledged"]) == (5, 2)


def test_what_is_answered_behind_the_time_measured_is_not_counted_in_it(load, listener, tmp_path):
    requests = servers.write_requests(tmp_path / "requests", [(servers.request("GET", "/"), workloads.WRITE, 200, -1)])
    answering = threading.Thread(target=answer, args=(listener, (200, 200, 200), 0.8))
    answering.start()
    ended = subprocess.run([load, "run", "--port", str(listener.getsockname()[1]), "--requests", requests, "--seconds",
                            "0.5"], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    answering.join()
    found = json.loads(ended.stdout)
    assert (found["requests"], found["acknowledged_meanwhile"]) == (2, 2)
    assert found["classes"][workloads.WRITE]["acknowledged"] == 3


@pytest.mark.parametrize("wanted, status", ((workloads.STATUS_ANY_LOAD, 500), (workloads.STATUS_ANY_LOAD, 401),
                                            (200, 503), (200, 201)))
def test_another_status_is_a_wrong_answer(load, listener, tmp_path, wanted, status):
    ended = asked(load, listener, tmp_path, wanted, (200, status, 200))
    assert ended.returncode == 1
    assert f"status {status} with a body of 2 bytes, expected {wanted}" in ended.stderr
