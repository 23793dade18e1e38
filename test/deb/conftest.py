"""The package as ./run deb makes it, and a root to install it in.

The root is made by debootstrap from the Debian archive this machine is configured for, once, and kept below build/;
each test has a copy. Needs root (chroot).
"""

import pathlib
import re
import shutil

import pytest

from support.package import BUILD, ROOT, depends, made_in, run


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
