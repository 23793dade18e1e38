"""The Debian package as ./run deb makes it: judged, built twice, and a whole life in a throw-away root.

Nothing of this machine is installed or started but the server, in the root (conftest.py), on loopback.
"""

import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import time

import pytest

from support.package import (BUILD, CONF, NAME, ROOT, Served, depends, files, inside, install, later, made_in, run,
                             status)

WANTED = "etc/systemd/system/multi-user.target.wants/migchat.service"
TYPED_DEADLINE_S = 30


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
