#!/usr/bin/python3
"""./run memcheck: the C tests and the Python suites under valgrind, which also sees what is read before it is set.

The sanitizers of ./run test are faster and see most; this takes hours, or a filter: ./run memcheck unit/http
runs the C tests with this in their name, ./run memcheck -- test/api/health_test.py one file with the server
under valgrind. What valgrind says is kept below build/memcheck; anything it says fails.
"""

import argparse
import os
import pathlib
import shutil
import stat
import sys

import suites

ROOT = pathlib.Path(__file__).resolve().parent.parent
VALGRIND = ("valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", "--error-exitcode=99", "--num-callers=30",
            f"--suppressions={ROOT / 'test' / 'memcheck.supp'}")
FOLDERS = ("api", "compat")
C_TEST_DEADLINE_S = 3600
DEADLINE_S = 12 * 3600


def run_c_tests(build, said, wanted):
    failed = 0
    for name, path in suites.c_tests("memcheck", build):
        if wanted not in name:
            continue
        log = said / (name.replace("/", ".").replace(":", ".") + ".log")
        env = suites.environment(MIGCHAT_SANITIZED="1", MIGCHAT_MEMCHECK="1")
        status, output = suites.run([*VALGRIND, f"--log-file={log}", path], env,
                                    C_TEST_DEADLINE_S, capture=True)
        is_clean = not log.exists() or not log.read_text().strip()
        print(f"== {name}: {'clean' if status == 0 and is_clean else f'ended with {status}, see {log}'}", flush=True)
        if status != 0 or not is_clean:
            failed += 1
            print(output[-2000:])
    return failed


def run_python(server, said, files):
    """The server is started by a script that puts valgrind before it."""
    wrapper = said / "migchat-server"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(VALGRIND)} --log-file="{said}/server.%p.log" "{server}" "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    command = suites.pytest_command(files, said / "files", "-m", "not slow")
    status, _ = suites.run(command, suites.environment(MIGCHAT_SERVER=str(wrapper), MIGCHAT_SANITIZED="1"),
                           DEADLINE_S, capture=False)
    loud = [path for path in sorted(said.glob("server.*.log")) if path.read_text().strip()]
    for path in loud:
        print(f"== {path}\n{path.read_text()[:3000]}")
    return len(loud) + (status != 0)


def main():
    arguments = argparse.ArgumentParser(prog="./run memcheck", description=__doc__.split("\n\n", maxsplit=1)[0])
    arguments.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    arguments.add_argument("filter", nargs="?", help="C tests with this in their name, and no Python")
    options, files = arguments.parse_known_args([each for each in sys.argv[1:] if each != "--"])
    if options.filter and options.filter.endswith(".py"):
        files.insert(0, options.filter)
        options.filter = None
    said = options.build.resolve() / "said"
    shutil.rmtree(said, ignore_errors=True)
    said.mkdir(parents=True)
    failed = 0
    if not files:
        failed += run_c_tests(options.build, said, options.filter or "")
    if not options.filter:
        files = [pathlib.Path(file).resolve() for file in files]
        files = files or [path for folder in FOLDERS for path in sorted((ROOT / "test" / folder).glob("*_test.py"))]
        os.chdir(ROOT)
        failed += run_python(options.build.resolve() / "migchat-server", said, files)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
