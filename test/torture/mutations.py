#!/usr/bin/python3
"""Breaks the server on purpose, one mutation of mutations.tsv after the other, and runs the test that has to
notice: a mutation that its test survives is a fault of the test.

Each is a sed script for one file of a copy of this tree, which is built incrementally; the text must change
(faults_of, which is asked first, and by ./run lint).
A test that fails on the copy as it is would seem to notice anything: each is run on that first, and must pass.
One that does not end in DEADLINE_S is ended: nobody knows whether it would have noticed, so it counts as not caught.
So does one that does not build: its script is at fault.

Tests joined by + are run together, as one that looks back on what others left (api/secrets_test.py) needs them.

A harness of test/fuzz is a test, too: fuzz/NAME, which has to notice within FUZZ_RUNS inputs, in FUZZ_S at most.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = pathlib.Path(__file__).with_name("mutations.tsv")
DEADLINE_S = 600
FUZZ_RUNS = 300_000
FUZZ_S = 60
CRASHERS = "test/fuzz/crashers"
NO_FINDING = "did not end|SUMMARY: libFuzzer: (timeout|out-of-memory)"
COLUMNS = 5


# ---- the list ------------------------------------------------------------------------------------

def rows_of(text):
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def faults_of(rows, root):
    """What is wrong with them and can be told without a build, as (name, what)."""
    names = [row[0] for row in rows]
    for row in rows:
        if len(row) != COLUMNS or not all(row):
            yield row[0], f"{COLUMNS} columns are wanted, none of them empty"
            continue
        name, path, script, test, _why = row
        if names.count(name) > 1:
            yield name, "there are several of this name"
        for each in test.split("+"):
            if not test_is_there(root, each):
                yield name, f"there is no test {each}"
        if not (root / path).is_file():
            yield name, f"there is no file {path}"
            continue
        text = (root / path).read_text()
        for command in commands_of(script):
            changed = sed(command, text)
            if changed == text:
                yield name, f"it changes nothing in {path}; the source has moved on: {command}"
            text = changed


def commands_of(script):
    """C has semicolons, too, but no substitution behind them."""
    return re.split(r"; (?=s/|/\^)", script)


def sed(script, text):
    return subprocess.run(["sed", "-E", script], input=text, check=True, capture_output=True, text=True).stdout


def test_is_there(root, test):
    """As test/CMakeLists.txt and pytest look for it."""
    path, _, function = test.partition("::")
    if path.endswith(".py"):
        source = root / "test" / path
        wanted = f"\ndef {function.partition('[')[0]}(" if function else ""
        return source.is_file() and wanted in source.read_text()
    if path.startswith("fuzz/"):
        return (root / "test" / f"{path}_fuzz.c").is_file()
    if path.startswith("contract/"):
        path, _, store = path.rpartition(".")
        return store in ("sqlite", "fake") and (root / "test" / f"{path}.c").is_file()
    return path.endswith("_test") and (root / "test" / f"{path}.c").is_file()


# ---- the copy ------------------------------------------------------------------------------------


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


# Not Release: optimising across files takes longer than it is worth here.
OPTIONS = ["-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
FUZZ_OPTIONS = ["-DCMAKE_C_COMPILER=clang-19", "-DMIGCHAT_FUZZ=ON", "-DMIGCHAT_SANITIZE=address,undefined"]


def is_harness(test):
    return test.startswith("fuzz/")


def build(folder, test):
    """Whether what the test runs could be built."""
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "-G", "Ninja", "-S", folder.with_name("tree"), "-B", folder,
                        *(FUZZ_OPTIONS if is_harness(test) else OPTIONS)], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "-C", folder, "--quiet", *targets_of(test)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        print(done.stdout[-4000:])
    return done.returncode == 0


def targets_of(test):
    if is_harness(test):
        return ["fuzz"]
    if ".py" not in test:
        return [test.replace("/", ".")]
    # The programs that it puts its questions to.
    asked = (ROOT / "test/differential").glob("*.c") if test.startswith("differential/") else ()
    return ["migchat-server", *(f"differential.{source.stem}" for source in asked)]


def run_ended(command, env, log):
    """The exit status; None when it did not end in time and was ended, with all that it had started. What it says goes
    into a file: of a pipe, whoever it leaves behind would hold the other end."""
    with open(log, "wb") as output, subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output,
                                                     stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            return process.wait(DEADLINE_S)
        except BaseException as ended:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(ended, subprocess.TimeoutExpired):
                return None
            raise


def command_of(folder, test):
    if is_harness(test):
        # That of the copy, beside which it keeps what it finds.
        return ["/usr/bin/python3", "-B", folder.with_name("tree") / "test/fuzz/fuzz.py", "--folder", folder,
                "--runs", str(FUZZ_RUNS), "--seconds", str(FUZZ_S), test.removeprefix("fuzz/")]
    if ".py" not in test:
        return [folder / "test_bin" / test.replace("/", ".")]
    return ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
            f"--rootdir={ROOT / 'test'}", f"--basetemp={folder.with_name('files')}",
            *(ROOT / "test" / each for each in test.split("+"))]


def outcome_of(folder, test):
    """passes, hangs, is not built, or fails, on its own account: not one that could not be found or run."""
    if is_harness(test):
        folder = folder.with_name("fuzz")
        # What was found with another mutant would be the first that this one is given.
        crashers = folder.with_name("tree") / CRASHERS
        for found in crashers.rglob("*"):
            if found.is_file() and not (ROOT / CRASHERS / found.relative_to(crashers)).exists():
                found.unlink()
        shutil.rmtree(folder / "corpus", ignore_errors=True)
    if not build(folder, test):
        return "unbuilt"
    command = command_of(folder, test)
    # Bound at once, as release is (-z now): binding at a first call, ld.so saves all registers on the stack, and what
    # they had of a password stays there.
    env = {**os.environ, "MIGCHAT_SERVER": str(folder / "migchat-server"), "LD_BIND_NOW": "1",
           "MIGCHAT_PROGRAMS": str(folder / "test_bin")}
    log = folder.with_name("last.log")
    status = run_ended(command, env, log)
    told = log.read_text(errors="replace")
    if status is None or (is_harness(test) and re.search(NO_FINDING, told)):
        return "hangs"
    if status > 0 and ("SUMMARY: " if is_harness(test) else "FAILED") not in told:
        sys.exit(f"{test} did not run:\n{told[-6000:]}")
    return "fails" if status != 0 else "passes"


def tests_that_are_unfit(tree, folder, tests):
    """Those that do not pass on the copy as it is."""
    copy_tree(tree)
    for test in tests:
        begun_s = time.monotonic()
        outcome = outcome_of(folder, test)
        shown = outcome if outcome == "passes" else outcome.upper()
        print(f"{shown:8} {test} as it is, in {time.monotonic() - begun_s:.0f} s", flush=True)
        if outcome != "passes":
            yield test


VERDICTS = {"fails": "caught", "passes": "SURVIVED", "hangs": "HUNG", "unbuilt": "UNBUILT"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    arguments.add_argument("only", nargs="?", default="", help="those with this in their name or test")
    options = arguments.parse_args()
    tree, folder = options.build / "mutants/tree", options.build / "mutants/build"
    rows = rows_of(LIST.read_text())
    faults = [f"{name}: {what}" for name, what in faults_of(rows, ROOT)]
    if faults:
        sys.exit("\n".join(faults))
    rows = [row for row in rows if options.only in row[0] or options.only in row[3]]
    unfit = set(tests_that_are_unfit(tree, folder, dict.fromkeys(test for _, _, _, test, _ in rows)))
    caught = 0
    for name, path, script, test, _why in rows:
        if test in unfit:
            print(f"UNJUDGED {name}: {test} does not pass as it is", flush=True)
            continue
        copy_tree(tree)
        before = (tree / path).read_text()
        after = sed(script, before)
        if after == before:
            sys.exit(f"{name}: its script changes nothing in {path}; the source has changed meanwhile")
        (tree / path).write_text(after)
        begun_s = time.monotonic()
        outcome = outcome_of(folder, test)
        caught += outcome == "fails"
        print(f"{VERDICTS[outcome]:8} {name} by {test} in {time.monotonic() - begun_s:.0f} s", flush=True)
    copy_tree(tree)
    print(f"{caught} of {len(rows)} mutations caught")
    return 0 if rows and caught == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
