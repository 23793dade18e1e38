"""The Debian package as ./run deb makes it: judged, built twice, and a whole life in a throw-away root.

Needs root (chroot). The root is made by debootstrap from the Debian archive this machine is configured for,
once, and kept below build/; each test has a copy. Nothing of this machine is installed or started but the
server, in the root, on loopback.
"""

import hashlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from support.api import Api
from support.http import SLOWNESS

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
NAME = "migchat-server"
CONF = "etc/migchat/migchat.conf"
WANTED = "etc/systemd/system/multi-user.target.wants/migchat.service"
DEADLINE_S = 60 * SLOWNESS
TYPED_DEADLINE_S = 30


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


@pytest.fixture(scope="session", name="made")
def fixture_made():
    return made_in(ROOT)


@pytest.fixture(scope="session", name="deb")
def fixture_deb(made):
    (name,) = [name for name in made if name.endswith(".deb")]
    return BUILD / "deb" / name


@pytest.fixture(scope="session", name="unpacked")
def fixture_unpacked(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    run("dpkg-deb", "-x", deb, folder)
    return folder


# --- the file -------------------------------------------------------------------------------------

def test_lintian_finds_no_error(deb):
    run("lintian", "--allow-root", "--fail-on", "error", deb)


def test_another_folder_gives_the_same_bytes(made, tmp_path):
    """Whoever builds this commit can compare: another path, umask, time zone and language."""
    other = tmp_path / "another place" / "of-migchat"
    other.mkdir(parents=True)
    listed = run("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():  # one that was deleted is still listed
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, other / name)
    git = ROOT / ".git"
    (shutil.copytree if git.is_dir() else shutil.copy2)(git, other / ".git")
    if (BUILD / "llhttp").exists():
        shutil.copytree(BUILD / "llhttp", other / "build/llhttp")
    before = os.umask(0o077)
    try:
        again = made_in(other, TZ="Asia/Kathmandu", LC_ALL="C", HOME=str(tmp_path))
    finally:
        os.umask(before)
    assert set(again) == set(made)
    for name, content in made.items():
        assert hashlib.sha256(again[name]).hexdigest() == hashlib.sha256(content).hexdigest(), name


def test_checksums_and_sbom_are_beside_it(made, deb):
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=deb.parent)
    assert {line.split()[1] for line in made["SHA256SUMS"].decode().splitlines()} == set(made) - {"SHA256SUMS"}
    sbom = json.loads(made[f"{deb.stem}.spdx.json"])
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    assert sbom["documentNamespace"].startswith("urn:") and sbom["creationInfo"]["creators"]
    ids = [each["SPDXID"] for each in sbom["packages"]]
    assert len(ids) == len(set(ids))
    for package in sbom["packages"]:
        assert {"name", "versionInfo", "downloadLocation", "licenseConcluded", "licenseDeclared",
                "copyrightText", "supplier"} <= set(package), package
        assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", package["SPDXID"])
    (ours,) = [each for each in sbom["packages"] if each["name"] == NAME]
    assert ours["checksums"] == [{"algorithm": "SHA256",
                                  "checksumValue": hashlib.sha256(deb.read_bytes()).hexdigest()}]
    linked = {"STATIC_LINK": set(), "DYNAMIC_LINK": set()}
    for relation in sbom["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}
        if relation["relationshipType"] in linked:
            linked[relation["relationshipType"]].add(relation["relatedSpdxElement"].removeprefix("SPDXRef-"))
    assert {"libllhttp-dev", "libxxhash-dev"} <= linked["STATIC_LINK"]
    assert linked["DYNAMIC_LINK"] == set(depends(deb))


def depends(deb):
    return [re.split(r"[ (:]", each.strip())[0] for each in run("dpkg-deb", "-f", deb, "Depends").split(",")]


def test_it_depends_on_what_the_program_loads(deb, unpacked):
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", unpacked / "usr/bin" / NAME))
    machine = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    packages = {line.split(":")[0] for library in needed
                for line in run("dpkg", "-S", f"*/{machine}/{library}").splitlines() if "-dev" not in line}
    assert "libsqlite3-0" in packages and packages == set(depends(deb))


def test_its_texts_are_what_the_program_prints(unpacked):
    """And the manual page has no warnings for man, either."""
    share = unpacked / "usr/share"
    program = unpacked / "usr/bin" / NAME
    for path, kind in {"bash-completion/completions/migchat-server": "bash",
                       "zsh/vendor-completions/_migchat-server": "zsh",
                       "fish/vendor_completions.d/migchat-server.fish": "fish"}.items():
        assert (share / path).read_text() == run(program, "--config=", "docs", kind), path
    page = run("gzip", "-dc", share / "man/man1/migchat-server.1.gz")
    assert page == run(program, "--config=", "docs", "man")
    on = [line for line in (unpacked / CONF).read_text().splitlines() if line and not line.startswith("#")]
    assert on == ["MIGCHAT_LISTEN=127.0.0.1", "MIGCHAT_DB=/var/lib/migchat/migchat.db"]


# --- shells ---------------------------------------------------------------------------------------

def test_fish_completes(unpacked):
    script = unpacked / "usr/share/fish/vendor_completions.d/migchat-server.fish"

    def offered(line):
        out = run("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'", cwd="/")
        return [each.split("\t")[0] for each in out.splitlines()]

    assert offered("migchat-server conf") == ["config"]
    assert offered("migchat-server config ") == ["check", "dump"]
    assert offered("migchat-server --port 1 config d") == ["dump"]
    assert offered("migchat-server --sync=full docs f") == ["fish"]
    assert offered("migchat-server --sync ") == ["full", "normal"]
    # fish 4 (Debian 13) also offers what has these letters in this order.
    assert [each for each in offered("migchat-server --max-b") if each.startswith("--max-b")] == [
        "--max-bodies-bytes", "--max-body-bytes"]
    assert offered("migchat-server --db /et") == ["/etc/"]


def typed_in_zsh(folder, line):
    """What stands on the line of an interactive zsh after this and a tab."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir("/")
        os.execve("/bin/zsh", ["zsh", "-f", "-i"], {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb",
                                                   "LC_ALL": "C"})
    shown = ""

    def read_until(pattern):
        nonlocal shown
        deadline = time.monotonic() + TYPED_DEADLINE_S
        while not re.search(pattern, shown):
            ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {pattern!r} in {shown!r}"
            shown += os.read(terminal, 4096).decode(errors="replace")

    def write(text):
        nonlocal shown
        shown = ""
        os.write(terminal, text.encode())

    try:
        write(f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; PS1=; "
              "zle_line() { print -r -- \"<$BUFFER>\" }; zle -N zle_line; bindkey '^G' zle_line; print rea''dy\n")
        read_until(r"ready\r?\n")
        write(f"{line}\t\x07")
        read_until(r"<[^<>]*>")
        return re.search(r"<([^<>]*)>", shown)[1]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize("line,completed", [
    ("migchat-server conf", "migchat-server config "), ("migchat-server config du", "migchat-server config dump "),
    ("migchat-server --port 1 docs zs", "migchat-server --port 1 docs zsh "),
    ("migchat-server --log-f", "migchat-server --log-format="),
    ("migchat-server --sync=fu", "migchat-server --sync=full "), ("migchat-server nonsen", "migchat-server nonsen")])
def test_zsh_completes(unpacked, line, completed):
    folder = unpacked / "usr/share/zsh/vendor-completions"
    run("zsh", "-n", folder / "_migchat-server")
    assert typed_in_zsh(folder, line) == completed


# --- a life in a root -----------------------------------------------------------------------------

@pytest.fixture(scope="session", name="base")
def fixture_base(deb):
    """A small Debian of this machine's release with systemd (not running) and what the package needs."""
    release = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    codename = re.search(r"^VERSION_CODENAME=(\w+)", release, re.MULTILINE)[1]
    packages = ",".join(sorted({*depends(deb), "systemd"} - {"libc6"}))
    base = BUILD / f"deb-base-{codename}"
    stamp = base.with_suffix(".packages")
    if not stamp.exists() or stamp.read_text() != packages:
        shutil.rmtree(base, ignore_errors=True)
        stamp.unlink(missing_ok=True)
        archive = run(ROOT / "deps/archives").split()[0]
        run("debootstrap", "--variant=minbase", f"--include={packages}", codename, base, archive)
        stamp.write_text(packages)
    return base


@pytest.fixture(name="root")
def fixture_root(base, tmp_path):
    root = tmp_path / "root"
    run("cp", "-a", base, root)
    yield root
    shutil.rmtree(root, ignore_errors=True)


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


def test_it_is_installed_serves_and_goes(root, deb):
    before = files(root)
    install(root, deb)
    assert status(root) == "install ok installed"
    assert (root / WANTED).is_symlink(), "it is not started with the machine"
    assert not (root / "etc/systemd/system/sockets.target.wants/migchat.socket").is_symlink()
    assert re.search(r"^migchat:", (root / "etc/passwd").read_text(), re.MULTILINE)
    assert "not found" not in inside(root, "ldd", "/usr/bin/migchat-server")
    assert inside(root, "migchat-server", "version").startswith("migchat-server ")
    inside(root, "migchat-server", "config", "check")
    inside(root, "dpkg", "--verify", NAME)

    with Served(root) as api:
        api.get("/health").expect(200)
        account = api.create()
        account.send(account)
    database = root / "var/lib/migchat/migchat.db"
    assert database.is_file() and database.stat().st_mode & 0o077 == 0

    inside(root, "dpkg", "-r", NAME)
    assert status(root) == "deinstall ok config-files"
    assert not (root / "usr/bin" / NAME).exists()
    assert (root / CONF).is_file() and database.is_file()

    purged = inside(root, "dpkg", "-P", NAME)
    assert "/var/lib/migchat" in purged, "nobody is told where the messages are"
    # Messages are the users'.
    left = files(root) - before
    assert {path for path in left if not path.startswith("var/lib/migchat")} <= {
        "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock"}, left
    assert "var/lib/migchat/migchat.db" in left
    assert before - files(root) == set()

    install(root, deb)
    with Served(root) as api:
        api.login_raw(account.username, account.password).expect(200)


def test_settings_survive_an_upgrade_and_a_removal(root, deb, tmp_path):
    install(root, deb)
    conf = root / CONF
    with conf.open("a") as file:
        file.write("MIGCHAT_PORT=4000\n")
    own = conf.read_text()
    inside(root, "systemctl", "disable", "migchat.service")
    upgrade = later(deb, tmp_path, lambda unpacked: (unpacked / CONF).write_text("# theirs\n"))
    install(root, upgrade, "--force-confdef", "--force-confold")
    assert inside(root, "dpkg-query", "-W", "-f", "${Version}", NAME) == "99.0-1"
    assert conf.read_text() == own
    assert conf.with_name("migchat.conf.dpkg-dist").read_text() == "# theirs\n"
    assert not (root / WANTED).is_symlink(), "an upgrade switched on what was switched off"
    inside(root, "dpkg", "-r", NAME)
    assert conf.read_text() == own
    install(root, upgrade, "--force-confdef", "--force-confold")
    assert conf.read_text() == own
    assert "MIGCHAT_PORT=4000" in inside(root, "migchat-server", "config", "dump")
    inside(root, "dpkg", "-P", NAME)
    assert not conf.parent.exists()


def test_an_untouched_file_of_settings_is_renewed(root, deb, tmp_path):
    install(root, deb)
    install(root, later(deb, tmp_path, lambda unpacked: (unpacked / CONF).write_text("# theirs\n")))
    assert (root / CONF).read_text() == "# theirs\n"


def test_without_systemd_it_can_be_installed_and_removed(root, deb):
    """A container has none; the service's user is then no matter of the package."""
    inside(root, "dpkg", "-P", "--force-all", "systemd")
    install(root, deb)
    assert status(root) == "install ok installed"
    assert inside(root, "migchat-server", "version").startswith("migchat-server ")
    inside(root, "dpkg", "-P", NAME)
    assert not (root / "etc/migchat").exists()
