#!/usr/bin/python3
"""./run coverage: which lines and branches of src/ the tests run, counted by gcov, shown by gcovr.

Every C test and every Python suite runs against a build that counts. What a branch of REQUIRE would
do is not counted: it is there for what cannot happen. A process that is killed tells nothing, so what
only the tests with kill -9 reach is missing.

Files whose branches are run less than 90 % are listed, each with the reason that coverage.tsv gives.
Where one has none, or a test failed, the exit status is 1.
"""

import argparse
import csv
import fnmatch
import json
import os
import pathlib
import subprocess
import sys

import suites

ROOT = pathlib.Path(__file__).resolve().parent.parent
REASONS = ROOT / "test" / "coverage.tsv"
BRANCHES_MIN_PERCENT = 90
FOLDERS = ("api", "compat", "fault", "torture")
# The server becomes another user there, who may not write what was counted.
NOT_COUNTED = {"privileges_test.py"}
DEADLINE_S = 3600


def run_tests(build, options):
    """How many C tests and suites failed; all the same, what they ran counts."""
    failed = 0
    for name, path in suites.c_tests("coverage", build):
        status, output = suites.run([path], suites.environment(), suites.C_TEST_DEADLINE_S, capture=True)
        if status != 0:
            failed += 1
            print(f"{name} ended with {status}\n{output[-2000:]}")
    files = [path for folder in FOLDERS for path in sorted((ROOT / "test" / folder).glob("*_test.py"))
             if path.name not in NOT_COUNTED]
    command = suites.pytest_command(files, build / "files", "-m", "not slow", *options)
    # Slower than the release build, and larger: as under a sanitizer, times and sizes are not judged.
    status, _ = suites.run(command, suites.environment(MIGCHAT_SERVER=str(build / "migchat-server"),
                                                       MIGCHAT_SANITIZED="1"), DEADLINE_S, capture=False)
    return failed + (status != 0)


def counted(build):
    output = build / "coverage.json"
    subprocess.run(["gcovr", "--root", ROOT, "--object-directory", build, "--filter", f"{ROOT}/src/",
                    "--exclude-unreachable-branches", "--exclude-branches-by-pattern", r".*\bREQUIRE\(.*",
                    "--json-summary", output, "--html-details", build / "coverage.html", build],
                   check=True, cwd=build)
    return json.loads(output.read_text(encoding="utf-8"))


def reasons():
    with open(REASONS, encoding="utf-8", newline="") as file:
        rows = csv.reader((line for line in file if not line.startswith("#")), delimiter="\t")
        return list(rows)


def reason_of(name, rows):
    return next((reason for pattern, reason in rows if fnmatch.fnmatch(name, pattern)), None)


def main():
    arguments = argparse.ArgumentParser(prog="./run coverage", description=__doc__.split("\n\n", maxsplit=1)[0])
    arguments.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    arguments.add_argument("--keep", action="store_true", help="show what was counted last, run nothing")
    arguments.add_argument("pytest", nargs="*", help="options for pytest, after --")
    options = arguments.parse_args()
    build = options.build.resolve()
    failed = 0
    if not options.keep:
        for old in build.rglob("*.gcda"):
            old.unlink()
        failed = run_tests(build, options.pytest)
    summary = counted(build)
    known, unknown = reasons(), []
    print("\n| file | lines | branches | why not more |\n|---|--:|--:|---|")
    for file in sorted(summary["files"], key=lambda each: each["filename"]):
        percent = file["branch_percent"]
        if file["branch_total"] == 0 or percent >= BRANCHES_MIN_PERCENT:
            continue
        name = os.path.relpath(ROOT / file["filename"], ROOT)
        reason = reason_of(name, known)
        if reason is None:
            unknown.append(name)
        print(f"| {name} | {file['line_percent']} % | {percent} % | {reason or '**none given**'} |")
    print(f"\nAll of src/: {summary['line_percent']} % of {summary['line_total']} lines, "
          f"{summary['branch_percent']} % of {summary['branch_total']} branches. Line by line: {build}/coverage.html")
    if failed:
        print(f"{failed} tests or suites failed")
    if unknown:
        print(f"Without a reason in {REASONS.relative_to(ROOT)}: {', '.join(unknown)}")
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
