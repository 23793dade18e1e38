"""The faults of storage_fault.c, switched on and off by files in a folder."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
HELD_DEADLINE_S = 60


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The preloaded library, built here: it belongs to no build of the server."""
    path = tmp_path_factory.mktemp("fault") / "storage_fault.so"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra",
                    "-Werror", "-o", str(path), str(HERE / "storage_fault.c"), "-ldl"], check=True)
    return path


class Disk:
    """fail("sync"), fail("space"), fail("hold"), slow(20); `environment` is for the server's process."""

    def __init__(self, folder, library):
        self.folder = folder
        folder.mkdir()
        self.lacks = folder / "accepts_without_descriptor"
        self.lacks.write_bytes(bytes(8))
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.environment = {"LD_PRELOAD": library, "MIGCHAT_FAULT_FOLDER": folder,
                            "ASAN_OPTIONS": options}

    def fail(self, what):
        (self.folder / what).touch()

    def slow(self, sync_ms):
        """From now on each sync takes so much more."""
        (self.folder / "slow").write_text(str(sync_ms))

    def accepts_without_descriptor(self):
        """How often the server has tried to accept and found no descriptor."""
        return int.from_bytes(self.lacks.read_bytes(), sys.byteorder)

    def wait_until_held(self):
        """Until a sync waits for heal("hold")."""
        deadline = time.monotonic() + HELD_DEADLINE_S
        while not (self.folder / "held").exists():
            assert time.monotonic() < deadline, "nothing was synced"
            time.sleep(0.005)  # polling a file another process makes; nothing to wait on

    def heal(self, what):
        (self.folder / what).unlink()


@pytest.fixture
def disk(tmp_path, library):
    return Disk(tmp_path / "faults", library)
