"""`migchat-server healthcheck`: 0 when the server of this configuration is ready, else 1 and why."""

import socket
import threading
import time

import pytest

from support.http import SLOWNESS, has_ipv6
from support.server import environment, run


def check(port, listen="127.0.0.1", **settings):
    return run("healthcheck", "--port", port, "--listen", listen, env=environment(**settings))


@pytest.mark.parametrize("listen", ("127.0.0.1", "0.0.0.0"))
def test_a_ready_server(server, listen):
    done = check(server.port, listen)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"status":"ok"}\n', "")


def test_the_environment_counts(server):
    done = run("healthcheck", env=environment(PORT=server.port))
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("listen", ("::", "::1"))
def test_a_server_on_ipv6(start, listen):
    server = start(listen=listen)
    assert check(server.port, listen).returncode == 0
    assert check(server.port, "::1").returncode == 0


def test_a_server_that_is_not_ready(start):
    server = start(MIGCHAT_DISK_FLOOR_BYTES=1 << 40)
    server.api.get("/livez").expect(200)
    server.api.get("/readyz").expect(503, "disk_low")
    done = check(server.port)
    assert done.returncode == 1 and "disk_low" in done.stdout, done.stdout


def test_no_server():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = check(unused.getsockname()[1])
    assert done.returncode == 1 and "refused" in done.stdout.lower(), done.stdout


def test_port_0_is_no_port():
    done = check(0)
    assert done.returncode == 1 and "--port" in done.stdout


@pytest.mark.parametrize("answer", (None, b"", b"HTTP/1.", b"HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70000,
                                    b"HTTP/1.1 503 No\r\n\r\n\x1b[31mred\x7f"),
                         ids=("silence", "an end", "a part", "no status", "another protocol", "half a head",
                              "without end", "a terminal's commands"))
def test_whoever_else_answers(answer):
    """Nothing of it is taken for a ready server, and none of it takes longer than three seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            peer, _ = listener.accept()
            with peer:
                if answer is None:
                    peer.recv(1)
                    while peer.recv(4096):
                        pass
                else:
                    peer.recv(4096)
                    try:
                        peer.sendall(answer)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        begun = time.monotonic()
        done = check(listener.getsockname()[1])
        took_s = time.monotonic() - begun
        thread.join()
    assert done.returncode == 1 and done.stdout.strip(), done.stdout
    assert took_s < 3 + 1 * SLOWNESS
    assert answer is not None or "time is up" in done.stdout
    assert not {"\x1b", "\x7f"} & set(done.stdout)
