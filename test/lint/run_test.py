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

    def run(purposes, *words):
        (tmp_path / f"build/.installed-{purposes}").write_bytes(wanted)
        return subprocess.run([tmp_path / "run", *words], env={**os.environ, "CC": "gcc"}, capture_output=True,
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
