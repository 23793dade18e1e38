#!/usr/bin/python3
"""Breaks the server on purpose, one mutation of mutations.tsv after the other, and runs the test that has to
notice: a mutation that its test survives is a fault of the test.

Each is a sed script for one file of a copy of this tree, which is built incrementally; the text must change.
A test that fails on the copy as it is would seem to notice anything: each is run on that first, and must pass.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = pathlib.Path(__file__).with_name("mutations.tsv")
DEADLINE_S = 600


def mutations(only):
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            name, path, script, test, _why = line.split("\t")
            if only in name or only in test:
                yield name, path, script, test


def copy_tree(folder):
    """What git knows of or would; only what changed is written, or all of it would be built again."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, listed)):
        source, target = ROOT / name, folder / name
        if source.is_file() and (not target.exists() or target.read_bytes() != source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)


def build(folder, target):
    if not (folder / "build.ninja").exists():
        # Not Release: optimising across files takes longer than it is worth here.
        subprocess.run(["cmake", "-G", "Ninja", "-S", folder.with_name("tree"), "-B", folder,
                        "-DCMAKE_BUILD_TYPE=RelWithDebInfo"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "-C", folder, "--quiet", target], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"it does not build:\n{done.stdout[-4000:]}")


def is_noticed(folder, test):
    """The test fails, on its own account: not one that could not be found or run."""
    if ".py" not in test:
        target = test.replace("/", ".")
        build(folder, target)
        command = [folder / "test_bin" / target]
    else:
        build(folder, "migchat-server")
        command = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                   f"--rootdir={ROOT / 'test'}", f"--basetemp={folder.with_name('files')}", ROOT / "test" / test]
    # Bound at once, as release is (-z now): binding at a first call, ld.so saves all registers on the stack, and what
    # they had of a password stays there.
    env = {**os.environ, "MIGCHAT_SERVER": str(folder / "migchat-server"), "LD_BIND_NOW": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=DEADLINE_S,
                          check=False)
    (folder.parent / "last.log").write_text(done.stdout + done.stderr)
    has_failed = done.returncode != 0 and ("FAILED" in done.stdout + done.stderr or done.returncode < 0)
    if done.returncode != 0 and not has_failed:
        sys.exit(f"{test} did not run:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return has_failed


def tests_that_fail_anyway(tree, folder, tests):
    copy_tree(tree)
    for test in tests:
        begun_s = time.monotonic()
        fails = is_noticed(folder, test)
        print(f"{'FAILS   ' if fails else 'passes  '} {test} as it is, in {time.monotonic() - begun_s:.0f} s",
              flush=True)
        if fails:
            yield test


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    arguments.add_argument("only", nargs="?", default="", help="those with this in their name or test")
    options = arguments.parse_args()
    tree, folder = options.build / "mutants/tree", options.build / "mutants/build"
    survived = count = 0
    rows = list(mutations(options.only))
    unfit = set(tests_that_fail_anyway(tree, folder, dict.fromkeys(test for *_, test in rows)))
    for name, path, script, test in rows:
        count += 1
        if test in unfit:
            survived += 1
            print(f"UNJUDGED {name}: {test} fails anyway", flush=True)
            continue
        copy_tree(tree)
        before = (tree / path).read_text()
        subprocess.run(["sed", "-E", "-i", script, tree / path], check=True)
        if (tree / path).read_text() == before:
            sys.exit(f"{name}: its script changes nothing in {path}; the source has moved on")
        begun_s = time.monotonic()
        noticed = is_noticed(folder, test)
        survived += not noticed
        print(f"{'caught  ' if noticed else 'SURVIVED'} {name} by {test} in {time.monotonic() - begun_s:.0f} s",
              flush=True)
    copy_tree(tree)
    print(f"{count - survived} of {count} mutations caught")
    return 1 if survived or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
