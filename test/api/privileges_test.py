"""Started as root, the server takes over its database's folder and becomes its own user; started as
anybody else it stays who it is. Each test runs in full for whoever runs it: as root (CI) with a user
to become, else with what is true for that user."""

import os
import pathlib
import pwd
import shutil
import stat
import tempfile

import pytest

from support import seen
from support.server import Server

IS_ROOT = os.geteuid() == 0
# Every Debian has it; nothing else of ours runs as it.
OTHER = pwd.getpwnam("nobody")
EXPECTED_UID = OTHER.pw_uid if IS_ROOT else os.geteuid()
# The leak check looks at its own process with ptrace, which a process that changed ids refuses.
SANITIZER = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


@pytest.fixture
def place():
    """A folder that another user can walk to, unlike pytest's own."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="migchat-privileges-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def server_in(place, user="nobody", folder="volume", **more):
    server = Server(place / "own", db=f"../{folder}/migchat.db", MIGCHAT_USER=user, **SANITIZER, **more)
    seen.note_directory(place / folder)
    return server


def status_of(server):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return {name: rest.split() for name, _, rest in
            (line.partition(":") for line in text.splitlines())}


def refused(server):
    """The one error it ends with, by exit status 1, before it listens."""
    process = server.spawn().process
    server.wait_exit(None)
    assert process.returncode == 1, server.log()
    assert not server.events("opening"), "it listened"
    (error,) = [event for event in server.events() if event["level"] == "error"]
    return error


def test_the_folder_is_made_taken_over_and_kept(place):
    with server_in(place) as server:
        status = status_of(server)
        assert status["Uid"] == [str(EXPECTED_UID)] * 4, status["Uid"]
        if IS_ROOT:
            assert status["Gid"] == [str(OTHER.pw_gid)] * 4
            assert set(status["Groups"]) <= {str(OTHER.pw_gid)}
            assert status["NoNewPrivs"] == ["1"]
            assert {int(status[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
            assert server.events("privileges_dropped")[0]["user"] == "nobody"
        else:
            assert server.events("user_not_changed") and not server.events("privileges_dropped")
        server.api.create()
    volume = place / "volume"
    assert stat.S_IMODE(volume.stat().st_mode) == 0o700
    assert {path.stat().st_uid for path in [volume, *volume.iterdir()]} == {EXPECTED_UID}
    with server_in(place) as server:
        assert not server.events("taken_over"), "there is nothing left to take over"
        server.api.create()


@pytest.mark.skipif(not IS_ROOT, reason="files of root's can only be made as root")
def test_only_what_is_the_database_s_changes_hands(place):
    volume, elsewhere = place / "volume", place / "elsewhere"
    (volume / "lost+found").mkdir(parents=True)
    (volume / "migchat.db.folder").mkdir()
    elsewhere.mkdir()
    for name in ("migchat.db", "migchat.db.rust-copy", "migchat.db.before-0002", "migchat.db.old"):
        (volume / name).touch()
    for name in ("secret", "linked"):
        (elsewhere / name).touch()
    (volume / "migchat.db.rust-copy-2").symlink_to(elsewhere / "secret")
    os.link(elsewhere / "linked", volume / "migchat.db.rust-copy-3")
    with server_in(place) as server:
        server.api.create()
    owner = {path.name: path.lstat().st_uid for path in [volume, *volume.iterdir()]}
    mine = {name for name, uid in owner.items() if uid == OTHER.pw_uid}
    assert mine == {"volume", "migchat.db", "migchat.db.lock", "migchat.db.rust-copy",
                    "migchat.db.before-0002"}, owner
    assert {path.stat().st_uid for path in [elsewhere, *elsewhere.iterdir()]} == {0}
    # Handed back by hand, as after a copy made as root: taken over again, in a folder that is not root's.
    os.chown(volume / "migchat.db", 0, 0)
    with server_in(place) as server:
        server.api.create()
    assert (volume / "migchat.db").stat().st_uid == OTHER.pw_uid


@pytest.mark.skipif(not IS_ROOT, reason="a folder of root's can only be made as root")
def test_a_folder_where_others_live_is_refused(place):
    (place / "volume").mkdir()
    (place / "volume" / "passwd").touch()
    error = refused(server_in(place))
    assert error["event"] == "takeover_failed" and "--user root" in error["advice"], error
    assert (place / "volume").stat().st_uid == 0
    with server_in(place, user="root") as server:
        assert status_of(server)["Uid"] == ["0"] * 4
        server.api.create()


@pytest.mark.skipif(not IS_ROOT, reason="needs a folder of somebody else's")
def test_a_folder_of_somebody_else_s_is_left_alone_and_told(place):
    (place / "volume").mkdir(mode=0o755)
    (place / "volume" / "migchat.db").touch()
    os.chown(place / "volume", 4242, 4242)
    error = refused(server_in(place))
    assert error["event"] == "folder_closed" and error["user"] == "nobody", error
    assert (place / "volume" / "migchat.db").stat().st_uid == 0


@pytest.mark.skipif(not IS_ROOT, reason="a link of root's can only be made as root")
def test_no_link_on_the_way_is_followed(place):
    (place / "target").mkdir(mode=0o755)
    (place / "volume").symlink_to(place / "target")
    error = refused(server_in(place))
    assert error["event"] == "folder_closed", error
    assert (place / "target").stat().st_uid == 0 and not list((place / "target").iterdir())


def test_a_named_user_that_is_not_there(place):
    server = server_in(place, user="no-such-user")
    if IS_ROOT:
        error = refused(server)
        assert error["event"] == "user_unknown" and "useradd" in error["advice"], error
        assert not (place / "volume").exists()
    else:
        with server:
            assert server.events("user_not_changed")


def test_root_may_be_asked_for(place):
    with server_in(place, user="root") as server:
        assert status_of(server)["Uid"] == [str(os.geteuid())] * 4
        assert [event["level"] for event in server.events("running_as_root")] == ["info"] * IS_ROOT


def test_nothing_said_and_no_user_of_the_default_name(place):
    """`sudo ./run` on a machine where nothing is installed goes on, and says what it is."""
    try:
        expected = str(pwd.getpwnam("migchat").pw_uid)
    except KeyError:
        expected = None
    with server_in(place, user=None) as server:
        uid = status_of(server)["Uid"][0]
        if not IS_ROOT:
            assert uid == str(os.geteuid()) and not server.events("running_as_root")
        elif expected is None:
            assert uid == "0"
            (warning,) = server.events("running_as_root")
            assert warning["level"] == "warn" and "useradd" in warning["advice"]
        else:
            assert uid == expected


def test_in_memory_there_is_no_folder(place):
    with Server(place / "own", db=":memory:", MIGCHAT_USER="nobody", **SANITIZER) as server:
        assert status_of(server)["Uid"] == [str(EXPECTED_UID)] * 4
        server.api.create()
