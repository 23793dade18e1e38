"""The Debian package in a throw-away root: what the tests of it share (test/deb/conftest.py has the fixtures)."""

import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

from support.api import Api
from support.http import SLOWNESS

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
NAME = "migchat-server"
CONF = "etc/migchat/migchat.conf"
DEADLINE_S = 60 * SLOWNESS


def run(*command, **options):
    """Run to the end; its output as text, and a complaint with it if it failed."""
    done = subprocess.run([str(each) for each in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def made_in(folder, **variables):
    """./run deb in this copy of the repository: {file name: bytes}."""
    run(folder / "run", "deb", env={**os.environ, **variables})
    return {path.name: path.read_bytes() for path in (folder / "build/deb").iterdir()}


def depends(deb):
    return [re.split(r"[ (:]", each.strip())[0] for each in run("dpkg-deb", "-f", deb, "Depends").split(",")]


def inside(root, *command):
    return run("chroot", root, *command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                                              "DEBIAN_FRONTEND": "noninteractive"})


def install(root, deb, *options):
    shutil.copy(deb, root / "package.deb")
    output = inside(root, "dpkg", *options, "-i", "/package.deb")
    (root / "package.deb").unlink()
    return output


def status(root):
    return inside(root, "dpkg-query", "-W", "-f", "${Status}", NAME)


def later(deb, folder, change=lambda unpacked: None):
    """The same package in a later version, with a change."""
    unpacked = folder / "later"
    run("dpkg-deb", "-R", deb, unpacked)
    control = unpacked / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", "Version: 99.0-1", control.read_text(), flags=re.MULTILINE))
    change(unpacked)
    run("dpkg-deb", "--root-owner-group", "-b", unpacked, folder / "later.deb")
    return folder / "later.deb"


def files(root):
    """Every path of the root but dpkg's own books, logs and caches."""
    beside = re.compile(r"(var/lib/dpkg|var/log|var/cache|proc|sys|dev|run)(/|$)")
    found = set()
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if not beside.match(path):
                found.add(path)
    return found


class Served:
    """The installed server, run in the root by the user that the package made."""

    def __init__(self, root):
        (root / "var/lib/migchat").mkdir(exist_ok=True)
        inside(root, "chown", "migchat:migchat", "/var/lib/migchat")
        self.process = subprocess.Popen(
            ["chroot", "--userspec=migchat:migchat", str(root), "/usr/bin/migchat-server", "serve", "--port=0",
             "--log-format=json"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        os.set_blocking(self.process.stderr.fileno(), False)

    def __enter__(self):
        deadline = time.monotonic() + DEADLINE_S
        log = ""
        while True:
            found = re.search(r'"event":"listening".*?"port":(\d+)', log)
            if found:
                return Api(int(found[1]))
            select.select([self.process.stderr], [], [], max(0, deadline - time.monotonic()))
            assert time.monotonic() < deadline and self.process.poll() is None, log
            log += self.process.stderr.read() or ""

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0
        self.process.stderr.close()
