"""A listening socket that is handed in as systemd does (sd_listen_fds(3)): it is used, checked, and
outlives the server, so that a restart refuses no connection."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

from support.http import MEMCHECK, SLOWNESS
from support.server import Server

CLIENTS = 4
RESTARTS = 4
ANSWER_DEADLINE_S = 30 * SLOWNESS
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(name="listening")
def fixture_listening():
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        yield listening


def test_it_is_served_in_place_of_the_configured_address(tmp_path, listening):
    own_port = listening.getsockname()[1]
    with Server(tmp_path / "own", handed=listening, listen="192.0.2.1", port="1") as server:
        assert server.port == own_port
        event = server.events("listening")[0]
        assert event["address"] == "127.0.0.1"
        server.api.get("/readyz").expect(200)
        # The admin socket is still the server's own.
        assert os.path.exists(server.admin_socket)


def test_a_unix_socket_serves_too_and_its_file_stays(tmp_path):
    with tempfile.TemporaryDirectory(prefix="migchat-") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket")
        listening.listen(16)
        with Server(tmp_path / "own", handed=listening), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_DEADLINE_S)
            client.connect(f"{folder}/socket")
            client.sendall(REQUEST)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert os.path.exists(f"{folder}/socket")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_socket_serves_too(tmp_path):
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1: IPv6 was not tried")
    with listening, Server(tmp_path / "own", handed=listening) as server:
        assert server.events("listening")[0]["address"] == "::1"
        with socket.create_connection(listening.getsockname()[:2], timeout=ANSWER_DEADLINE_S) as client:
            client.sendall(REQUEST)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_restart_under_load_refuses_no_connection(tmp_path, listening):
    """Every connect succeeds and every request gets an answer, while servers come and go."""
    address = listening.getsockname()
    stops = threading.Event()
    failures, answers = [], []

    def load():
        while not stops.is_set():
            try:
                with socket.create_connection(address, timeout=ANSWER_DEADLINE_S) as client:
                    client.sendall(REQUEST)
                    answer = b""
                    while part := client.recv(4096):
                        answer += part
                if not answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 ")):
                    failures.append(answer[:80])
                answers.append(answer[9:12])
            except OSError as error:
                failures.append(error)

    clients = [threading.Thread(target=load) for _ in range(CLIENTS)]
    server = Server(tmp_path / "own", handed=listening).start()
    for client in clients:
        client.start()
    try:
        for _ in range(RESTARTS):
            server.restart()
            before = answers.count(b"200")
            while answers.count(b"200") < before + 20 and not failures:
                stops.wait(0.01)
    finally:
        stops.set()
        for client in clients:
            client.join()
        server.stop()
    assert not failures, f"{len(failures)} of {len(answers)}: {failures[:5]}"
    assert not set(answers) - {b"200", b"503"}


# What wrk counts as errors, as JSON in the last line.
WRK_REPORT = """
done = function(summary)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}',
           summary.requests, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
"""
WRK_S = 20 if MEMCHECK else 3  # in which it starts again at least once


@pytest.mark.parametrize("fields", ((), ("-H", "Connection: close")), ids=("kept", "new"))
def test_a_restart_under_wrk_loses_no_request(tmp_path, listening, fields):
    """On connections that are kept and with a new one for each request."""
    assert shutil.which("wrk"), "wrk is missing; ./run test installs it"
    report = tmp_path / "report.lua"
    report.write_text(WRK_REPORT)
    host, port = listening.getsockname()
    restarts = 0
    with Server(tmp_path / "own", handed=listening) as server:
        with subprocess.Popen(["wrk", "-t1", "-c16", f"-d{WRK_S}s", f"--timeout={ANSWER_DEADLINE_S}s",
                               f"--script={report}", *fields, f"http://{host}:{port}/health"],
                              stdout=subprocess.PIPE, text=True) as wrk:
            while wrk.poll() is None:
                server.restart()
                restarts += wrk.poll() is None
            said = wrk.stdout.read()
        told = json.loads(re.search(r"\{.*\}", said)[0])
        assert told.pop("requests") > 0 and restarts > 0, said
        assert set(told.values()) == {0}, said


def test_sockets_of_another_process_are_not_ours(start):
    server = start(LISTEN_PID=os.getpid(), LISTEN_FDS=1)
    server.api.get("/readyz").expect(200)


def refused(tmp_path, handed=None, number=None):
    server = Server(tmp_path / "own", handed=handed)
    if number is not None:
        server.arguments = ["/bin/sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS={number} exec "$0" "$@"', *server.arguments]
    server.spawn()
    server.wait_event("handed_socket_unfit")
    server.wait_exit(1)
    return server.events("handed_socket_unfit")[0]["reason"]


def test_a_socket_that_does_not_listen_is_refused(tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert "listening" in refused(tmp_path, bound)


def test_a_datagram_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        assert "stream" in refused(tmp_path, datagrams)


def test_a_file_is_refused(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        assert "no socket" in refused(tmp_path, file)


def test_two_sockets_are_refused(tmp_path, listening):
    with socket.create_server(("127.0.0.1", 0)) as second:
        assert "more than one" in refused(tmp_path, [listening, second])


@pytest.mark.parametrize("number", ("many", "-1", "''"))
def test_a_number_of_sockets_that_is_none_is_refused(tmp_path, number):
    assert refused(tmp_path, number=number) == "LISTEN_FDS is no number"
