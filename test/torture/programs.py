"""The C tests of test/fault in their long form: ./run torture names this file, ./run test runs them as C tests."""

import os
import pathlib
import subprocess

import pytest

FOLDER = pathlib.Path(os.environ["MIGCHAT_PROGRAMS"])
DEADLINE_S = 3600


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("fault.*_test")))
def test_program(name, capsys):
    with capsys.disabled():
        print(f"\n{name}", flush=True)
        assert subprocess.run([FOLDER / name], timeout=DEADLINE_S, check=False).returncode == 0
