"""systemd's side of two protocols: who is told how a service goes, and who hands sockets in."""

import os
import socket
import tempfile
import time

from support.http import SLOWNESS

DEADLINE_S = 20 * SLOWNESS
# Runs in the process that becomes the server: $LISTEN_PID is its own number, descriptors begin at 3.
HANDING = """
import os, sys
count = int(sys.argv[1])
given = [os.dup(int(number)) for number in sys.argv[2:2 + count]]
kept = [os.dup2(fd, 100 + i, inheritable=False) for i, fd in enumerate(given)]
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i)
for number in map(int, sys.argv[2:2 + count]):
    if number >= 3 + count:
        os.close(number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def handing(arguments, handed):
    """(command, descriptors to pass) that runs `arguments` with the sockets handed in."""
    if handed is None:
        return arguments, ()
    sockets = handed if isinstance(handed, (list, tuple)) else [handed]
    numbers = [one.fileno() for one in sockets]
    return (["/usr/bin/python3", "-S", "-c", HANDING, str(len(numbers)), *map(str, numbers), *arguments],
            tuple(numbers))


class Notified:
    """The socket of $NOTIFY_SOCKET; `name` is abstract when it begins with @."""

    def __init__(self, name):
        self.name = str(name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self.messages = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        if not self.name.startswith("@"):
            os.unlink(self.name)

    def receive(self, deadline_s):
        """The next message as a dictionary, None when none comes in time."""
        self.socket.settimeout(max(deadline_s, 0.001))
        try:
            text = self.socket.recv(4096).decode()
        except TimeoutError:
            return None
        message = dict(line.split("=", 1) for line in text.split("\n"))
        self.messages.append(message)
        return message

    def wait(self, name, deadline_s=DEADLINE_S):
        """The next message with this name, of those not received yet."""
        deadline = time.monotonic() + deadline_s
        while (left_s := deadline - time.monotonic()) > 0:
            message = self.receive(left_s)
            if message is not None and name in message:
                return message
        raise AssertionError(f"no {name}= in {deadline_s} s; before: {self.messages[-20:]}")

    def drain(self):
        """Receive all that has been sent already."""
        while self.receive(0) is not None:
            pass


def notify_name():
    """A name nobody else has: abstract, or a file where servers have a network, and so abstract names, of their own."""
    name = f"migchat-test-{os.getpid()}-{time.monotonic_ns()}"
    return f"{tempfile.gettempdir()}/{name}" if os.environ.get("MIGCHAT_HANDED") else f"@{name}"
