"""What the backup timer runs: a new backup, verified, and the oldest gone; with no server, nothing gone."""

import os
import pathlib
import stat
import subprocess

import pytest

from support import server

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "backup-keep"


@pytest.fixture(name="keep")
def fixture_keep(start, tmp_path):
    """(running server, a folder with three old copies, run the script with a count)"""
    running = start()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "migchat-server").symlink_to(server.binary())
    folder = tmp_path / "copies"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"migchat-2026010{day}T031000Z.db").write_text("old")
    (folder / "migchat.db").write_text("of somebody else")
    found_by = {"MIGCHAT_DB": running.database, "MIGCHAT_ADMIN_SOCKET": running.admin_socket}

    def run(count):
        env = server.environment(**found_by, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        return subprocess.run([SCRIPT, folder, str(count)], env=env, capture_output=True, text=True, check=False)

    return running, folder, run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_are_kept(keep):
    _, folder, run = keep
    done = run(2)
    assert done.returncode == 0, done.stderr
    assert ", verified\n" in done.stdout and " is whole: " in done.stdout
    oldest, newest, other = names(folder)
    assert oldest == "migchat-20260103T031000Z.db" and other == "migchat.db"
    assert stat.S_IMODE((folder / newest).stat().st_mode) == 0o600


def test_where_no_backup_is_made_none_is_removed(keep):
    running, folder, run = keep
    before = names(folder)
    assert run("none").returncode == 2
    assert run(0).returncode == 2
    running.stop()
    done = run(1)
    assert done.returncode == 1 and "no server answers" in done.stderr
    assert names(folder) == before


def test_a_backup_that_is_not_whole_is_not_among_those_kept(keep, tmp_path):
    _, folder, run = keep
    before = names(folder)
    (tmp_path / "bin" / "migchat-server").unlink()
    (tmp_path / "bin" / "migchat-server").write_text('#!/bin/sh\n[ "$1" = backup ] && : >"$2"\n')
    (tmp_path / "bin" / "migchat-server").chmod(0o755)
    assert run(2).returncode == 1
    assert names(folder) == before
