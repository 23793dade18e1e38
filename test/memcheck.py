#!/usr/bin/python3
"""./run memcheck: the C tests and the Python suites under valgrind, which also sees what is read before it is set.

The sanitizers of ./run test are faster and see most; this takes an hour or two, or a filter: ./run memcheck
unit/http runs what has this in its name, a C test (contract/log_contract_test.fake) or a Python file
(api/keys_test.py) with each of its servers under valgrind. As many run at once as there are processors, or --jobs.
What valgrind says fails; it is kept below build/memcheck/said. What is left out is listed, with its reason.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import stat
import sys
import time

import suites

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = ROOT / "test"
# No debugger comes: its pipes are root's, and a server that became another user says that it cannot remove them.
VALGRIND = ("valgrind", "--quiet", "--vgdb=no", "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect",
            "--error-exitcode=99", "--num-callers=30",
            f"--suppressions={TEST / 'memcheck.supp'}")
# The API, what clients did before it, and what follows accounts.
PYTHON = ("api/*_test.py", "compat/*_test.py", "torture/cut_test.py", "torture/crowd_test.py", "torture/slow_test.py",
          "torture/idle_test.py")
LEFT_OUT = {
    "api/coverage_test.py": "looks back on all files of one run, and here each is a run of its own",
    "api/secrets_test.py": "as coverage_test.py",
}
C_TEST_DEADLINE_S = 3600
FILE_DEADLINE_S = 3600
SHOWN_CHARS = 3000


def valgrind_said(folder):
    """What it wrote into its logs, of as many processes as there were."""
    return "".join(f"{path}\n{text[:SHOWN_CHARS]}\n" for path in sorted(folder.glob("valgrind.*.log"))
                   if (text := path.read_text(errors="replace")).strip())


def run_c_test(name, path, folder):
    env = suites.environment(MIGCHAT_SANITIZED="1", MIGCHAT_MEMCHECK="1")
    status, output = suites.run([*VALGRIND, f"--log-file={folder}/valgrind.%p.log", path], env, C_TEST_DEADLINE_S,
                                capture=True)
    return suites.c_test_result(name, status, output), output


def run_python_file(name, path, folder, server):
    """The server is started by a script that puts valgrind before it."""
    wrapper = folder / "migchat-server"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(VALGRIND)} --log-file="{folder}/valgrind.%p.log" "{server}" "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    report = folder / "report.xml"
    env = suites.environment(MIGCHAT_SERVER=str(wrapper), MIGCHAT_SANITIZED="1", MIGCHAT_MEMCHECK="1",
                             MIGCHAT_TOOLS=str(server.parent.parent / "test-unpack" / "usr" / "bin"))
    command = suites.pytest_command([path], folder / "files", "-m", "not slow", "-rs", f"--junitxml={report}")
    status, output = suites.run(command, env, FILE_DEADLINE_S, capture=True)
    return suites.pytest_counts(name, status, report), output


def run_suite(suite, said, server):
    """(what came of it, what to show of it)"""
    name, path = suite
    folder = said / name.replace("/", ".")
    folder.mkdir()
    begun_s = time.monotonic()
    if name.endswith(".py"):
        result, output = run_python_file(name, path, folder, server)
    else:
        result, output = run_c_test(name, path, folder)
    found = valgrind_said(folder)
    (folder / "output.txt").write_text(output)
    if found and result.failed == 0:
        result.failed = 1
    skipped = [line for line in output.splitlines() if "SKIPPED" in line]
    shown = found if not result.failed else output[-SHOWN_CHARS:] + found
    if not result.failed:
        shutil.rmtree(folder / "files", ignore_errors=True)
    return result, time.monotonic() - begun_s, "\n".join([*skipped, shown]).strip()


def chosen(build, wanted):
    for name, path in suites.c_tests("memcheck", build):
        name = name.partition(":")[2]
        if wanted in name:
            yield name, path
    for pattern in PYTHON:
        for path in sorted(TEST.glob(pattern)):
            name = str(path.relative_to(TEST))
            if wanted not in name:
                continue
            if name in LEFT_OUT:
                print(f"== {name}: left out, it {LEFT_OUT[name]}", flush=True)
            else:
                yield name, path


def main():
    arguments = argparse.ArgumentParser(prog="./run memcheck", description=__doc__.split("\n\n", maxsplit=1)[0])
    arguments.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once")
    arguments.add_argument("filter", nargs="?", default="", help="what has this in its name")
    options = arguments.parse_args()
    build = options.build.resolve()
    said = build / "said"
    shutil.rmtree(said, ignore_errors=True)
    said.mkdir(parents=True)
    begun_s = time.monotonic()
    unclean = passed = skipped = count = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        server = build / "migchat-server"
        ends = [pool.submit(run_suite, suite, said, server) for suite in chosen(build, options.filter)]
        for end in concurrent.futures.as_completed(ends):
            result, took_s, shown = end.result()
            suites.show(result, took_s)
            if shown:
                print(shown, flush=True)
            count += 1
            unclean += result.failed > 0
            passed += result.passed
            skipped += result.skipped
    print(f"{count - unclean} of {count} suites clean under valgrind, {passed} tests passed, {skipped} skipped, "
          f"in {time.monotonic() - begun_s:.0f} s")
    return 1 if unclean or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
