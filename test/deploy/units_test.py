"""The systemd units: what they may do, by systemd's own count, and that systemd understands them.

systemd-analyze reads files; no systemd has to run.
"""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# Whole exposure as `systemd-analyze security` counts it: 10 is everything.
EXPOSURE_MAX = {"migchat.service": 1.2, "migchat-activated.service": 0.3, "migchat-server-backup.service": 0.4}
# Which are packaged as they are.
PLAIN = ("migchat.socket", "migchat-server-backup.service", "migchat-server-backup.timer")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True,
                          check=False, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "SYSTEMD_COLORS": "0"})


@pytest.fixture(scope="module", name="units")
def fixture_units(tmp_path_factory):
    """The units as they are packaged: the activated one is the other and what it has more."""
    folder = tmp_path_factory.mktemp("units")
    service = (DEPLOY / "migchat.service").read_text()
    (folder / "migchat.service").write_text(service)
    subprocess.run(["cmake", f"-DACTIVATED={folder}/migchat-activated.service", "-P", DEPLOY / "activated.cmake"],
                   check=True)
    for name in PLAIN:
        (folder / name).write_text((DEPLOY / name).read_text())
    return folder


@pytest.mark.parametrize("unit", EXPOSURE_MAX)
def test_a_unit_may_do_little(units, unit):
    done = analyze("security", "--offline=true", "--no-pager", units / unit)
    assert done.returncode == 0, done.stderr
    found = re.search(rf"Overall exposure level for {re.escape(unit)}: ([\d.]+) ", done.stdout)
    assert found, done.stdout
    exposed = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\N{CHECK MARK}"))
    assert float(found[1]) <= EXPOSURE_MAX[unit], exposed


def test_systemd_understands_the_units(units, tmp_path):
    """Each option is known and each value good; the commands are others, as ours is not installed here."""
    for path in units.iterdir():
        text = re.sub(r"/usr/(bin/migchat-server|libexec/\S+)", "/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)
    for name in (*EXPOSURE_MAX, *PLAIN):
        done = analyze("verify", "--man=no", "--recursive-errors=no", tmp_path / name)
        assert done.returncode == 0 and name not in done.stderr, done.stderr


def test_the_activated_unit_differs_where_it_says(units):
    """Conflicts go both ways, and the socket starts this one."""
    text = (units / "migchat-activated.service").read_text()
    for line in ("Requires=migchat.socket", "PrivateNetwork=yes"):
        assert f"\n{line}\n" in text
    assert "\nService=migchat-activated.service\n" in (units / "migchat.socket").read_text()


def values(text, key):
    """All words of a key's lines, as systemd adds them up; an empty value does not take back
    dependencies (systemd.unit(5))."""
    return {word for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE) for word in line.split()}


def test_one_unit_runs_and_starting_it_waits_for_the_end_of_the_other(units):
    direct = (units / "migchat.service").read_text()
    activated = (units / "migchat-activated.service").read_text()
    # The socket holds the port while nothing is behind it, too.
    assert values(direct, "Conflicts") == {"migchat.socket", "migchat-activated.service"}
    assert "migchat.socket" in values(direct, "After")
    assert values(activated, "Conflicts") == {"migchat.service"}
    assert {"migchat.service", "migchat.socket"} <= values(activated, "After")


def test_a_unit_runs_nothing_that_may_not_be_installed(units):
    """No procps: /bin/kill is its."""
    for unit in ("migchat.service", "migchat-activated.service"):
        programs = re.findall(r"^Exec\w+=[-+!@:]*(\S+)", (units / unit).read_text(), re.MULTILINE)
        assert set(programs) <= {"/usr/bin/migchat-server", "/bin/sh"} and len(programs) == 4


def test_the_units_reload_reloads(units, start):
    server = start()
    for command in re.findall("^ExecReload=(.*)$", (units / "migchat.service").read_text(), re.MULTILINE):
        words = shlex.split(command.replace("/usr/bin/migchat-server", server.arguments[0]))
        subprocess.run(words, check=True, env={**server.env, "MAINPID": str(server.process.pid)}, timeout=60)
    server.wait_event("reloaded")


def test_the_user_file_is_understood(tmp_path):
    (tmp_path / "etc").mkdir()
    done = subprocess.run(["systemd-sysusers", f"--root={tmp_path}", DEPLOY / "sysusers.conf"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^migchat:x:\d+:\d+:MigChat server:/var/lib/migchat:/usr/sbin/nologin$",
                     (tmp_path / "etc/passwd").read_text(), re.MULTILINE)


def test_the_sbom_knows_every_library():
    """Whoever adds a library to deps/packages.tsv tells deploy/sbom.py its licence."""
    sys.path.insert(0, str(DEPLOY))
    import sbom  # pylint: disable=import-outside-toplevel
    libraries = {name for name in sbom.build_packages("bookworm") + sbom.build_packages("trixie")
                 if name.startswith("lib")}
    assert libraries == set(sbom.LICENCES)
