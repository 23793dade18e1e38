"""The image, built from the Dockerfile and run as compose.yaml says: it serves, takes over a volume
of root's, keeps what it was told over containers, and stops when it is told to."""

import os
import re
import socket
import stat

import pytest
import yaml

from engine import ROOT, Engine
from support.api import Account, Api
from support.rust_database import RustDatabase, password_hash

OWN_ID = 10001
TOKEN = "T" * 32
PASSWORD = "a password of before"
STOP_S = 1.0
MB = 1000 * 1000
COMMIT = "c0ffee123456"


@pytest.fixture(scope="session")
def engine():
    folder = ROOT / "build" / "image"
    engine = Engine(folder)
    try:
        engine.import_base(folder / "base-trixie.tar")
        engine.build("migchat", "--build-arg", f"COMMIT={COMMIT}")
        engine.build("migchat-hardened", "--build-arg", f"COMMIT={COMMIT}", "--target", "hardened")
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def service():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["server"]


@pytest.fixture
def volume(tmp_path):
    """A new volume as engines and Fly make them: root's, with the file system's own folder."""
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / "lost+found").mkdir(mode=0o700)
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(engine, tag, volume, service):
    container = engine.start(tag, volume, service, PORT=free_port(), MIGCHAT_PASSWORD_COST=4)
    container.wait_event("listening")
    return container, Api(container.events("listening")[0]["port"])


def owners(folder):
    return {str(path.relative_to(folder)): path.lstat().st_uid
            for path in [folder, *folder.rglob("*")]}


def check_unprivileged(container):
    status = container.status()
    assert status["Uid"] == status["Gid"] == [str(OWN_ID)] * 4, status
    assert status["Groups"] in ([], [str(OWN_ID)]), status
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name][0], 16) == 0, f"{name} {status[name]}"
    assert status["NoNewPrivs"] == ["1"]
    assert status["NSpid"][-1] == "1", "it is not the first process of its container"


def check_stop(container):
    status, took_s = container.stop()
    assert status == 0, container.log.read_text()
    assert took_s <= STOP_S, f"it took {took_s:.2f} s to stop"
    print(f"  stopped by {container.stop_signal} in {took_s * 1000:.0f} ms")


@pytest.mark.parametrize("tag", ["migchat", "migchat-hardened"])
def test_what_the_image_says_of_itself(engine, tag):
    config, _ = engine.inspect(tag)
    assert config["Entrypoint"] == ["/usr/bin/migchat-server"] and config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/migchat-server", "healthcheck"]
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["Volumes"]) == {"/data"} and set(config["ExposedPorts"]) == {"3000/tcp"}
    assert config["User"] == ("" if tag == "migchat" else f"{OWN_ID}:{OWN_ID}")
    for label in ("title", "description", "licenses", "source"):
        assert config["Labels"][f"org.opencontainers.image.{label}"]


def test_the_sizes(engine):
    _, (base_bytes, *_) = engine.inspect("localhost/migchat-base:trixie")
    print("\n  image               unpacked   packed   without its base")
    for tag in ("migchat", "migchat-hardened"):
        _, layers = engine.inspect(tag)
        own_bytes = sum(layers) - (base_bytes if tag == "migchat" else 0)
        print(f"  {tag:<18} {sum(layers) / MB:7.1f} MB {engine.packed_bytes(tag) / MB:5.1f} MB"
              f" {own_bytes / MB:9.1f} MB")
        assert own_bytes < 25 * MB
    print(f"  (its base here is debootstrap's minbase, {base_bytes / MB:.0f} MB; trixie-slim is smaller)")


@pytest.mark.parametrize("tag", ["migchat", "migchat-hardened"])
def test_a_new_volume_and_what_is_kept_on_it(engine, service, volume, tag):
    if tag == "migchat-hardened":
        # It is never root: who runs it hands the volume over (or the engine does, when it makes it).
        os.chown(volume, OWN_ID, OWN_ID)
        service = {name: words for name, words in service.items() if name != "cap_add"}
    first, api = serve(engine, tag, volume, service)
    check_unprivileged(first)
    ada, grace = api.create(), api.create()
    ada.send(grace, "kept over containers")
    assert [row["content"] for row in grace.messages()] == ["kept over containers"]
    # The folder of git is not in the build: the commit is told to it, or it is unknown.
    told = first.execute("/usr/bin/migchat-server", "--version").stdout
    assert COMMIT in told, told
    check_stop(first)
    again, api = serve(engine, tag, volume, service)
    grace = Account(api, grace.username, grace.password, grace.token, grace.user_id)
    assert [row["content"] for row in grace.messages()] == ["kept over containers"]
    api.get("/readyz").expect(200)
    check_stop(again)
    found = owners(volume)
    assert found.pop("lost+found") == 0
    assert set(found.values()) == {OWN_ID} and "migchat.db" in found, found


def test_a_volume_the_rust_server_left(engine, service, volume):
    rust = RustDatabase(volume / "migchat.db")
    rust.add_user(1, "anna", password_hash(PASSWORD))
    rust.add_user(2, "bert", password_hash(PASSWORD))
    rust.add_session(1, TOKEN)
    rust.add_message(1, 2, 1, "from before", "2025-11-03T12:00:00Z")
    rust.close()
    (volume / "an admin's notes").write_text("not ours")
    assert set(owners(volume).values()) == {0}
    container, api = serve(engine, "migchat", volume, service)
    check_unprivileged(container)
    anna = Account(api, "anna", PASSWORD, TOKEN, 1)
    assert [row["content"] for row in anna.messages()] == ["from before"]
    assert api.login("bert", PASSWORD).unread() is not None
    check_stop(container)
    found = owners(volume)
    assert found.pop("lost+found") == found.pop("an admin's notes") == 0
    assert set(found.values()) == {OWN_ID} and "migchat.db.rust-copy" in found, found
    for name in found:
        if name.startswith("migchat.db"):
            assert stat.S_IMODE((volume / name).stat().st_mode) == 0o600, name


def test_nothing_but_the_volume_can_be_written_to(engine, service, volume):
    container, _ = serve(engine, "migchat", volume, service)
    for path in ("/written", "/usr/bin/written", "/etc/written"):
        done = container.execute("/bin/touch", path)
        assert done.returncode != 0 and "Read-only" in done.stderr, done
    assert container.execute("/bin/touch", f"{service['tmpfs'][0]}/written").returncode == 0
    check_stop(container)


def test_without_the_capabilities_it_says_what_is_missing(engine, service, volume):
    service = {name: words for name, words in service.items() if name != "cap_add"}
    container = engine.start("migchat", volume, service, PORT=free_port())
    assert container.wait() == 1
    (event,) = [event for event in container.events() if event["level"] == "error"]
    assert "CHOWN" in event["advice"] or "chown" in event["advice"], event
    assert set(owners(volume).values()) == {0}


def test_the_capabilities_of_compose_are_all_needed(engine, service, tmp_path):
    """Each one left out is one the take-over or the drop misses."""
    for name in service["cap_add"]:
        own = tmp_path / f"without-{name}"
        own.mkdir(mode=0o700)
        if name == "DAC_OVERRIDE":
            # Where the folder is handed over already, root is one of the others.
            os.chown(own, OWN_ID, OWN_ID)
        less = {**service, "cap_add": [each for each in service["cap_add"] if each != name]}
        container = engine.start("migchat", own, less, PORT=free_port())
        assert container.wait() == 1, f"{name} is not needed\n{container.log.read_text()}"


def test_the_health_check_of_the_image(engine, service, volume):
    config, _ = engine.inspect("migchat")
    container, api = serve(engine, "migchat", volume, service)
    api.get("/readyz").expect(200)
    command = config["Healthcheck"]["Test"][1:]
    done = container.execute(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    check_stop(container)


def test_the_hardened_image_holds_the_server_and_nothing_else(engine):
    root = engine.root_of("migchat-hardened")
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*")
                   if not path.is_dir() or path.is_symlink())
    allowed = re.compile(r"usr/bin/migchat-server|etc/(passwd|group)|usr/share/doc/[^/]+/copyright|"
                         r"(usr/)?lib(64)?/([\w-]+/)?(lib[\w.+-]+\.so[.\d]*|ld-linux[\w.-]+)")
    assert not [path for path in files if not allowed.fullmatch(path)], files
    assert "usr/bin/migchat-server" in files
    libraries = [path for path in files if ".so" in path]
    assert len(libraries) >= 6
    notices = [path for path in files if path.endswith("/copyright")]
    assert len(notices) == len(packages("runtime")), (notices, packages("runtime"))
    for path in files:
        assert not (root / path).stat().st_mode & (stat.S_ISUID | stat.S_ISGID), path
    assert (root / "data").stat().st_uid == OWN_ID
    assert stat.S_IMODE((root / "data").stat().st_mode) == 0o700
    print("\n  " + "\n  ".join(libraries))


def packages(purpose):
    rows = [line.split("\t") for line in (ROOT / "deps" / "packages.tsv").read_text().splitlines()
            if not line.startswith("#")]
    return [row[0] for row in rows if row[1] == purpose and row[2] in ("any", "trixie")]
