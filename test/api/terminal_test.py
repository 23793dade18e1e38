"""What a person at a terminal sees of a start: at most six lines, each of use."""

import os
import pty
import re
import signal
import subprocess
import time

from support.http import SLOWNESS
from support.server import binary, environment

LINES_MAX = 6
DEADLINE_S = 20 * SLOWNESS


def read_until(terminal, pattern):
    text, deadline = "", time.monotonic() + DEADLINE_S
    while not re.search(pattern, text):
        assert time.monotonic() < deadline, text
        text += os.read(terminal, 4096).decode()
    return text


def test_a_start_prints_at_most_six_lines(tmp_path):
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [binary(), "--listen", "127.0.0.1", "--port", "0", "--db", str(tmp_path / "migchat.db")],
        # The folder of the tests may be deeper than a socket's path may be, of which a line warns.
        env=environment(MIGCHAT_ADMIN_SOCKET="admin.sock"), cwd=tmp_path,
        stdin=other_end, stdout=other_end, stderr=other_end)
    os.close(other_end)
    try:
        text = read_until(terminal, r"/api/account/create\r\n")
        lines = text.split("\r\n")[:-1]
        # Who starts it as root is told so, in a line more.
        assert len(lines) <= LINES_MAX + (os.geteuid() == 0), text
        port = re.search(r"serves http://127\.0\.0\.1:(\d+) ", text)
        assert port and f"port={port.group(1)}" in text, text
        assert str(tmp_path / "migchat.db") in text and "curl " in text, text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        os.close(terminal)
