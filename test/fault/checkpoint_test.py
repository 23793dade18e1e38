"""checkpoint=external: refused with a SQLite that a second checkpointer can break, and another
process's business with one that it cannot."""

import os
import sqlite3
import subprocess

import pytest

from support.api import new_name
from support.server import START_DEADLINE_S, Server, environment, run

WAL_HEADER_BYTES = 32


@pytest.fixture(scope="session")
def another_sqlite(tmp_path_factory):
    """another_sqlite(number): the environment of a process that takes its SQLite for that one."""
    folder = tmp_path_factory.mktemp("sqlite")

    def environment_with(number):
        path = folder / f"version_{number}.so"
        if not path.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-"], check=True,
                           text=True, input=f"int sqlite3_libversion_number(void);\n"
                                            f"int sqlite3_libversion_number(void)"
                                            f" {{ return {number}; }}\n")
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return {"LD_PRELOAD": path, "ASAN_OPTIONS": options}

    return environment_with


@pytest.mark.parametrize("number", (3040001, 3046001, 3051002))
def test_it_is_refused_with_the_wal_reset_bug(tmp_path, another_sqlite, number):
    settings = another_sqlite(number)
    server = Server(tmp_path / "own", flags=["--checkpoint", "external"], **settings).spawn()
    server.wait_exit(2, START_DEADLINE_S)
    (refused,) = server.events("start_refused")
    assert "walresetbug" in refused["reason"] and "backup" in refused["reason"]
    assert not os.path.exists(server.database), "it was opened"
    checked = run("config", "check", "--checkpoint=external", env=environment(**settings))
    assert checked.returncode == 2 and checked.stdout == "", checked.stdout
    assert "checkpoint=external is refused" in checked.stderr, checked.stderr
    assert run("config", "check", env=environment(**settings)).returncode == 0


def test_without_the_bug_the_wal_is_left_alone(start, another_sqlite, tell):
    settings = another_sqlite(3051003)
    assert run("config", "check", "--checkpoint=external",
               env=environment(**settings)).returncode == 0
    running = start(flags=["--checkpoint", "external"], **settings)
    alice, bob = (running.api.create(new_name(name)) for name in ("alice", "bob"))
    for number in range(50):
        alice.send(bob, f"{number}")
    # What Litestream does, after it has read the frames.
    with sqlite3.connect(running.database) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        busy, frames, copied = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert busy == 0 and frames == copied > 50
    other.close()  # before the server, which is then the last to close it
    alice.send(bob, "after")
    running.stop()
    assert running.wal_bytes() > WAL_HEADER_BYTES, "the server checkpointed when it stopped"
    running.start()
    assert running.wal_bytes() > WAL_HEADER_BYTES, "the server checkpointed when it started"
    bob.api = running.api
    assert [message["content"] for message in bob.messages()][:2] == ["after", "49"]
    tell(f"another process copied {copied} of {frames} frames; {running.wal_bytes():,} bytes of WAL are left alone")
