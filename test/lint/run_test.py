"""./run itself, in a folder with nothing to build: what it would build fails."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="copy")
def fixture_copy(tmp_path):
    """A function that runs ./run of a copy whose packages count as installed."""
    (tmp_path / "deps").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "test").mkdir()
    shutil.copy(ROOT / "run", tmp_path)
    packages = shutil.copy(ROOT / "deps/packages.tsv", tmp_path / "deps")
    with open(packages, "rb") as listed:
        wanted = subprocess.run(["cksum"], stdin=listed, check=True, capture_output=True).stdout

    def run(purposes, *words, **env):
        (tmp_path / f"build/.installed-{purposes}").write_bytes(wanted)
        return subprocess.run([tmp_path / "run", *words], env={**os.environ, "CC": "gcc", **env}, capture_output=True,
                              text=True, timeout=60, check=False)

    return run


def test_coverage_shows_what_was_counted_without_building(copy, tmp_path):
    (tmp_path / "test/coverage.py").write_text("import sys; print(sys.argv[1:])")
    nothing = copy("build-test-coverage", "coverage", "--keep")
    assert nothing.returncode == 1 and "nothing was counted yet" in nothing.stderr, nothing
    (tmp_path / "build/coverage").mkdir()
    (tmp_path / "build/coverage/build.ninja").touch()
    shown = copy("build-test-coverage", "coverage", "--keep")
    assert shown.returncode == 0, shown
    assert shown.stdout == f"{['--build', str(tmp_path / 'build/coverage'), '--keep']}\n"
    # It would build: here there is nothing to be built.
    assert copy("build-test-coverage", "coverage").returncode == 1


TORTURE = "build-test-torture"


def test_torture_ends_with_the_harnesses_unless_flags_choose_tests(copy, tmp_path):
    """Programs that do nothing stand in for CMake and ninja, scripts for the tests and the harnesses."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cmake", "ninja", "clang-19"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    for place in ("torture/programs.py", "fault/disk_test.py", "differential/json_test.py",
                  "api/restored_load_test.py"):
        (tmp_path / "test" / place).parent.mkdir()
        (tmp_path / "test" / place).write_text("def test_x():\n    pass\n")
    (tmp_path / "test/fuzz").mkdir()
    (tmp_path / "test/fuzz/fuzz.py").write_text("import sys; print('harnesses', *sys.argv[3:]); sys.exit(3)")
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    (tmp_path / "build/test-unpack.unpacked").write_text(copy(TORTURE, "packages", "test-unpack", **env).stdout)
    for purposes in ("build", "build-fuzz"):
        copy(purposes, "packages", "build", **env)

    whole = copy(TORTURE, "torture", **env)
    assert whole.stdout.splitlines()[-2].startswith("4 passed"), whole
    assert whole.stdout.splitlines()[-1] == "harnesses --runs 10000000 --seconds 3600", whole
    assert whole.returncode == 3, "what the harnesses found fails it"
    chosen = copy(TORTURE, "torture", "-k", "test_x", **env)
    assert chosen.returncode == 0 and "harnesses" not in chosen.stdout, chosen
    harness = copy(TORTURE, "torture", "fuzz", "json", **env)
    assert harness.stdout == "harnesses --runs 10000000 --seconds 3600 json\n" and harness.returncode == 3, harness
