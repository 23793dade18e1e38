"""The server under test: started on a free port, watched through its log, stopped with SIGTERM.

`Server` knows the process by what it logs (JSON lines on stderr) and waits for events with
deadlines, never by sleeping. Its directory keeps the log and the database for the searches at
the end of the run (support.seen).
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref

from support import seen, systemd
from support.api import Api
from support.http import SLOWNESS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANDBOX = str(ROOT / "test/support/sandbox.py")
START_DEADLINE_S = 20 * SLOWNESS
STOP_DEADLINE_S = 4 * SLOWNESS
COMMAND_DEADLINE_S = 20 * SLOWNESS
# Where a user migchat exists, tests run as root would become it, and their folders are root's.
STAYS_ROOT = {"MIGCHAT_USER": "root"} if os.geteuid() == 0 else {}
SOCKET_PATH_MAX_BYTES = 107  # sun_path of unix(7), without its NUL
SANITIZER_REPORT = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def binary():
    """The path of the server's binary; a clear complaint if there is none."""
    named = os.environ.get("MIGCHAT_SERVER")
    path = pathlib.Path(named) if named else ROOT / "build" / "release" / "migchat-server"
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise AssertionError(
            f"{path} is not an executable file: "
            + ("MIGCHAT_SERVER names it" if named else "MIGCHAT_SERVER is not set")
            + "; build the server first (./run build) or set MIGCHAT_SERVER to its path")
    return str(path.resolve())


def environment(**settings):
    """This process's environment without settings of the server, plus `settings`."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("MIGCHAT_") and name not in ("PORT", "RUST_LOG")}
    kept.update({name: str(value) for name, value in settings.items() if value is not None})
    return kept


def run(*arguments, env=None, cwd=None, deadline_s=COMMAND_DEADLINE_S, stdin=""):
    """Run the binary to its end; .returncode, .stdout and .stderr as text."""
    done = subprocess.run([binary(), *map(os.fsencode, map(str, arguments))],
                          env=env or environment(), cwd=cwd, input=stdin, capture_output=True,
                          text=True, errors="replace", timeout=deadline_s)
    report = SANITIZER_REPORT.search(done.stderr)
    assert not report, f"migchat-server {arguments}:\n{done.stderr}"
    return done


class Server:
    def __init__(self, directory, flags=(), db="migchat.db", port="0", listen="127.0.0.1",
                 preexec=None, handed=None, **env):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.database = db if db == ":memory:" else str(self.directory / db)
        self.arguments = [binary(), "--listen", listen, "--db", self.database]
        self.arguments += ["--port", port] if port is not None else []
        self.arguments += [str(flag) for flag in flags]
        # The commands that ask this server find it by these.
        self.addressed = ["--db", self.database]
        self.admin_socket = self.database + ".sock"
        if (len(os.fsencode(self.admin_socket)) > SOCKET_PATH_MAX_BYTES
                and "--admin-socket" not in self.arguments and "MIGCHAT_ADMIN_SOCKET" not in env):
            # The folder of the tests is deeper than a socket's path may be.
            folder = tempfile.mkdtemp(prefix="migchat-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self.admin_socket = f"{folder}/admin.sock"
            self.addressed += ["--admin-socket", self.admin_socket]
            self.arguments += self.addressed[2:]
        self.env = environment(**{"MIGCHAT_PASSWORD_COST": 4, "MIGCHAT_RATE_LIMITS": "off",
                                  **STAYS_ROOT, **env})
        self.preexec = preexec
        self.handed = handed  # a socket that listens, or several: given as systemd gives them
        self.process = None
        self.port = None
        self.lines = []
        self._changed = threading.Condition()
        self._reader = None
        seen.note_directory(self.directory)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process is None:
            return
        if kind is None:
            self.stop()
        else:
            self.kill()

    # -- life ----------------------------------------------------------------------------------

    def spawn(self):
        """Start the process without waiting until it listens."""
        assert self.process is None, "started twice"
        self.lines = []
        if self.handed is None and os.environ.get("MIGCHAT_HANDED"):
            # As migchat.socket does it, once: the socket outlives the server.
            self.handed = socket.create_server(("127.0.0.1", 0), backlog=4096)
        arguments, passed = systemd.handing(self.sandboxed(), self.handed)
        self.process = subprocess.Popen(
            arguments, env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL, pass_fds=passed,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=self.preexec)
        self._reader = threading.Thread(target=self._read_log, daemon=True,
                                        args=(self.process.stderr,))
        self._reader.start()
        return self

    def sandboxed(self):
        """The command, run under the unit's restrictions where $MIGCHAT_SANDBOX names them."""
        restrictions = os.environ.get("MIGCHAT_SANDBOX")
        if not restrictions:
            return self.arguments
        # What a test makes beside the server's own folder, too: backups are written there.
        writable = {str(self.directory.parent), os.path.dirname(self.admin_socket)} - {""}
        return ["/usr/bin/python3", SANDBOX, restrictions, ":".join(sorted(writable)), *self.arguments]

    def start(self):
        self.spawn()
        try:
            self.port = int(self.wait_event("listening", START_DEADLINE_S)["port"])
        except BaseException:
            self.kill()
            raise
        self.api = Api(self.port)
        return self

    def stop(self):
        """SIGTERM; it must exit 0 in time, without a sanitizer's report."""
        process = self.process
        assert process.poll() is None, f"it died: {process.returncode}\n{self.log()}"
        if self.port is not None:
            self.api.drop()  # where one is open it waits for a request that may be on its way
        process.send_signal(signal.SIGTERM)
        return self.wait_exit(0)

    def descriptors_open(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wait_exit(self, status, deadline_s=STOP_DEADLINE_S):
        """Wait until the process ends; returns how long that took."""
        process, begun = self.process, time.monotonic()
        try:
            process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no exit within {deadline_s} s\n{self.log()}") from None
        took_s = time.monotonic() - begun
        self._reader.join()
        self.process = None
        self.check_sanitizer()
        log = self.log()
        if status is not None:
            assert process.returncode == status, f"exit {process.returncode}\n{log}"
        else:
            assert process.returncode != 0, f"exit 0\n{log}"
        for line in self.lines:
            check_log_line(line)
        return took_s

    def kill(self):
        """SIGKILL, as a crash would end it; a sanitizer may have ended it before."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            self._reader.join()
            self.check_sanitizer()

    def restart(self):
        if self.process is not None:
            self.stop()
        return self.start()

    def command(self, name, *operands, **options):
        """Run a command of the binary that asks this server, to its end."""
        return run(name, *operands, *self.addressed, **options)

    # -- what it says ----------------------------------------------------------------------------

    def _read_log(self, pipe):
        with open(self.directory / "server.log", "ab") as kept:
            for raw in pipe:
                kept.write(raw)
                kept.flush()
                with self._changed:
                    self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
        pipe.close()

    def log(self):
        with self._changed:
            return "\n".join(self.lines[-60:])

    def check_sanitizer(self):
        log = "\n".join(self.lines)
        begins = SANITIZER_REPORT.search(log)
        assert not begins, log[begins.start():]

    def events(self, name=None):
        with self._changed:
            lines = list(self.lines)
        events = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and (name is None or event.get("event") == name):
                events.append(event)
        return events

    def wait_event(self, name, deadline_s=START_DEADLINE_S):
        """The first event of this name, waiting for it; fails if the process ends before."""
        deadline = time.monotonic() + deadline_s
        while True:
            with self._changed:
                count = len(self.lines)
            found = self.events(name)
            if found:
                return found[0]
            if not self._reader.is_alive():
                raise AssertionError(
                    f"it ended ({self.process.wait()}) before event {name!r}\n{self.log()}")
            with self._changed:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise AssertionError(f"no event {name!r} in {deadline_s} s\n"
                                         + "\n".join(self.lines[-60:]))
                if len(self.lines) == count:
                    # The bound covers the end of the log between the look and this wait.
                    self._changed.wait(min(left_s, 1))

    # -- what it uses ----------------------------------------------------------------------------

    def rss_bytes(self, name="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name}")

    def own_bytes(self):
        """What it has of its own in memory: without the code, which comes back page by page after the start."""
        return self.rss_bytes("RssAnon")

    def wal_bytes(self):
        path = pathlib.Path(self.database + "-wal")
        return path.stat().st_size if path.exists() else 0

    def copy_database(self, target):
        """Copy the files of the stopped server's database; the new path."""
        assert self.process is None, "stop it first"
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.database + suffix):
                shutil.copyfile(self.database + suffix, str(target) + suffix)
        return str(target)


def check_log_line(line):
    """Log lines are JSON objects with a time, a level and an event."""
    try:
        event = json.loads(line)
    except ValueError:
        raise AssertionError(f"a log line is not JSON: {line!r}") from None
    assert isinstance(event, dict) and {"ts", "level", "event"} <= set(event), line
