"""Requests with mutations, to us and to nginx in front of us: where both take a request, both see the same bytes as
it, so that nothing can be hidden in one for the other; and nothing comes to us through nginx that nginx did not send.

Refusing what the other takes is safe, and both do.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from support import torture
from support.proxies import UNPACKED
from support.server import START_DEADLINE_S

COUNT = torture.size(400, 200_000)
THREADS = 16
PATIENCE_S = 0.3         # without another byte it waits for more; where that matters, it is asked again
PATIENCE_AGAIN_S = 3.0
# Of a request that is not taken: it ends the connection.
HTTP_0_9 = 9              # a body alone, behind which there is nothing
REFUSALS = {HTTP_0_9, 400, 408, 411, 413, 414, 417, 426, 431, 501, 502, 505}
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log crit;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream migchat {{ server 127.0.0.1:{port}; keepalive 8; }}
    server {{
        listen unix:{folder}/front.sock;
        location / {{
            proxy_pass http://migchat;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header X-Request-Id "nginx-$request_id";
        }}
    }}
}}
"""
# Behind each: who answers it has seen the end of what was before it.
MARKER = b"OPTIONS /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
MARKER_STATUS = 204


@pytest.fixture(name="front")
def fixture_front(start):
    """nginx on a socket of its own, and the server behind it."""
    backend = start("behind", flags=["--log-level", "debug"])
    folder = tempfile.mkdtemp(prefix="migchat-")
    user = "user root;" if os.geteuid() == 0 else ""
    pathlib.Path(folder, "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=backend.port, user=user))
    command = [UNPACKED / "sbin/nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf", "-p", folder]
    with subprocess.Popen(command) as process:
        try:
            deadline_s = time.monotonic() + START_DEADLINE_S
            while not os.path.exists(f"{folder}/front.sock"):
                assert process.poll() is None and time.monotonic() < deadline_s, "nginx does not start"
                time.sleep(0.01)  # its socket is what is waited for
            yield f"{folder}/front.sock", backend
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


# ---- requests with mutations ------------------------------------------------------------------------

# One is a request itself: what is taken for the next one where the body's end is seen too early.
BODIES = (b'{"to_username":"x","content":"y"}', b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
HEADS = (
    b"GET /livez HTTP/1.1\r\nHost: x\r\n",
    b"POST /api/account/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
    b"POST /api/typing?with_user=x HTTP/1.1\r\nHost: x\r\n",
    b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n",
    b"GET /livez HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n",
)
LENGTHS = (
    b"Content-Length: %d\r\n", b"Content-Length: +%d\r\n", b"Content-Length:\t%d\r\n", b"Content-Length: 0%d\r\n",
    b"Content-Length : %d\r\n", b"content-length: %d \r\n", b"Content-Length: %d, %d\r\n",
    b"Content-Length: %d\r\nContent-Length: %d\r\n", b"Content-Length: %d\r\nContent-Length: 0\r\n",
    b"Content-Length: 0x%x\r\n", b"Content-Length: -%d\r\n", b"Content-Length: %d.0\r\n", b"Content-Length:\r\n",
    b"Content_Length: %d\r\n", b"Content-Length: %d\n", b"Content-Length\r\n: %d\r\n", b" Content-Length: %d\r\n")
CODINGS = (
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: Chunked\r\n", b"Transfer-Encoding:chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding:\tchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding: identity, chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"Transfer-Encoding: chunked,\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n", b"Transfer-Encoding: \"chunked\"\r\n",
    b"Transfer-Encoding: chunked\x0b\r\n", b"X: y\nTransfer-Encoding: chunked\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\n", b"Transfer_Encoding: chunked\r\n")
SIZES = (
    b"%x\r\n", b"%X\r\n", b"0%x\r\n", b"0x%x\r\n", b"%x;a=b\r\n", b"%x ;a\r\n", b"%x \r\n", b" %x\r\n", b"+%x\r\n",
    b"%x\n", b"%x;a=\"\r\n\"\r\n", b"-%x\r\n", b"1%016x\r\n")
ENDS = (
    b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n", b"00\r\n\r\n", b"0;a\r\n\r\n", b"0\n\n",
    b"0\r\n\n", b"0\r\n")


def filled(template, number):
    return template % ((number,) * template.count(b"%")) if b"%" in template else template


def request(chance):
    """One request, mostly with one thing or two that are not as they should be."""
    head, content = chance.choice(HEADS), chance.choice(BODIES)
    lengths, codings, body = b"", b"", b""
    kind = chance.randrange(4)
    if kind in (1, 3):
        length = max(0, len(content) + chance.choice((0, 0, 0, -3, 4, -len(content))))
        lengths = filled(chance.choice((LENGTHS[0], chance.choice(LENGTHS))), length)
        body = content
    if kind in (2, 3):
        codings = chance.choice((CODINGS[0], chance.choice(CODINGS)))
        size = filled(chance.choice((SIZES[0], chance.choice(SIZES))), len(content))
        body = (size + content + chance.choice((b"\r\n", b"\r\n", b"\n", b""))
                + chance.choice((ENDS[0], chance.choice(ENDS))))
    fields = [lengths, codings]
    chance.shuffle(fields)
    data = bytearray(head + b"".join(fields) + b"\r\n" + body)
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        at = chance.randrange(len(data))
        act = chance.randrange(4)
        if act == 0:
            data[at] = chance.choice(b"\r\n\t \x00\x0b:;,0a\xff")
        elif act == 1:
            data.insert(at, chance.choice(b"\r\n\t \x00:;,0\x80"))
        elif act == 2:
            del data[at]
        else:
            data[at:at] = data[at:at + chance.randrange(12)]
    return bytes(data)


# ---- what comes back ----------------------------------------------------------------------------------

def answers(connect, data, patience_s):
    """The statuses of the answers until the end of the connection, or until nothing more comes (ends with 0)."""
    with connect() as client:
        client.settimeout(patience_s)
        client.sendall(data)
        came = b""
        ended = False
        try:
            while part := client.recv(65536):
                came += part
            ended = True
        except socket.timeout:
            pass
        except OSError:
            ended = True
    statuses = []
    while came:
        if not came.startswith(b"HTTP/1."):
            statuses.append(HTTP_0_9)
            break
        head, separator, rest = came.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if not separator:
            break
        if 100 <= status < 200:
            came = rest
            continue
        statuses.append(status)
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if length:
            came = rest[int(length.group(1)):]
        elif b"chunked" in head.lower():
            came = rest.partition(b"0\r\n\r\n")[2]
        else:
            came = rest if status in (204, 304) else b""
    return statuses + ([] if ended else [0])


def are_framed_alike(ours, theirs):
    """Whether both saw the same requests, as far as both took them. One that ends the connection where the other has
    another answer has refused: also behind an answer that was given before the body was read."""
    for place, (mine, other) in enumerate(zip(ours, theirs)):
        if mine in REFUSALS or other in REFUSALS:
            return True
        if (mine == 0) != (other == 0):
            # While one waits for more of it, the other has answered: alike only when that was its last word.
            return place + 1 == len(theirs if mine == 0 else ours)
        if (mine == MARKER_STATUS) != (other == MARKER_STATUS):
            return False
    return True


def test_nginx_and_we_see_the_same_requests(server, front, tell):
    path, backend = front
    chance = torture.chance("differential")
    streams = [request(chance) + MARKER for _ in range(COUNT)]

    def to_us():
        return socket.create_connection(("127.0.0.1", server.port))

    def to_nginx():
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        return client

    def compare(data):
        for patience_s in (PATIENCE_S, PATIENCE_AGAIN_S, PATIENCE_AGAIN_S):
            ours, theirs = answers(to_us, data, patience_s), answers(to_nginx, data, patience_s)
            if are_framed_alike(ours, theirs):
                return ours, theirs
        raise AssertionError(f"{data!r}\nwe saw {ours}, nginx {theirs}")

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(compare, streams))
    both = sum(not set(ours + theirs) & REFUSALS for ours, theirs in outcomes)
    we = sum(bool(set(ours) & REFUSALS) and not set(theirs) & REFUSALS for ours, theirs in outcomes)
    they = sum(bool(set(theirs) & REFUSALS) and not set(ours) & REFUSALS for ours, theirs in outcomes)
    # A head that is refused before its fields were read has an id of ours.
    seen_behind = [event for event in backend.events("request") if event["status"] not in REFUSALS]
    assert seen_behind, "nothing came through nginx"
    smuggled = [each for each in seen_behind if not each["request_id"].startswith("nginx-")]
    assert not smuggled, f"{len(smuggled)} requests came through nginx that it did not send: {smuggled[:3]}"
    assert both > COUNT / 10 and we > 0, "the mutations do not mutate"
    tell(f"{COUNT} requests: {both} taken by both and framed alike, {COUNT - both - we - they} refused by both, {we} "
         f"by us alone, {they} by nginx alone; {len(seen_behind)} came through nginx, each of its own sending")
