#!/usr/bin/python3
"""./run coverage: which lines and branches of src/ the tests run, counted by gcov, shown by gcovr.

Every C test and every Python suite of FOLDERS runs against a build that counts. What a branch of REQUIRE
would do is not counted: it is there for what cannot happen. A process tells what it ran when it exits, so
what only one that is killed or that calls _exit() runs is missing.

Files whose branches are run less than 90 % are listed, each with the reason that coverage.tsv gives.
Where one has none, or a test failed, the exit status is 1. Rows that no file needs any more are told: it is gone,
or at 92 %, since what is run differs a little from run to run.
"""

import argparse
import csv
import fnmatch
import json
import os
import pathlib
import stat
import subprocess
import sys

import suites

ROOT = pathlib.Path(__file__).resolve().parent.parent
REASONS = ROOT / "test" / "coverage.tsv"
BRANCHES_MIN_PERCENT = 90
BRANCHES_SURE_PERCENT = 92
FOLDERS = ("api", "compat", "fault", "torture")
DOCS = ROOT / "test" / "deploy" / "docs_test.py"  # commands that nothing else runs
# The server becomes another user there, who is let write what is counted once there is a file for it all.
PRIVILEGES = ROOT / "test" / "api" / "privileges_test.py"
DEADLINE_S = 3600
NOTHING_CHOSEN = 5  # pytest's exit status where the options leave no test


def run_tests(build, options):
    """How many C tests and suites failed; all the same, what they ran counts."""
    failed = 0
    for name, path in suites.c_tests("coverage", build):
        status, output = suites.run([path], suites.environment(), suites.C_TEST_DEADLINE_S, capture=True)
        if status != 0:
            failed += 1
            print(f"{name} ended with {status}\n{output[-2000:]}")
    files = [path for folder in FOLDERS for path in sorted((ROOT / "test" / folder).glob("*_test.py"))
             if path != PRIVILEGES]
    failed += not run_pytest(build, [*files, DOCS], options)
    if os.geteuid() == 0 and not others_may_walk_to(build):
        print(f"NOT TRIED {PRIVILEGES.name}: the user that the server becomes cannot walk to {build}")
        return failed
    for counts in build.rglob("*.gcda"):
        counts.chmod(0o666)
    return failed + (not run_pytest(build, [PRIVILEGES], options))


def run_pytest(build, files, options):
    # Slower than the release build, and larger: as under a sanitizer, times and sizes are not judged.
    environment = suites.environment(MIGCHAT_SERVER=str(build / "migchat-server"), MIGCHAT_SANITIZED="1")
    status, _ = suites.run(suites.pytest_command(files, build / "files", *options), environment, DEADLINE_S,
                           capture=False)
    return status == 0 or (options and status == NOTHING_CHOSEN)


def others_may_walk_to(folder):
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


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


def judged(files, rows):
    """The files below as (name, percents of lines and of branches, reason), and the names of rows no file needs."""
    below, needed = [], set()
    for file in sorted(files, key=lambda each: each["filename"]):
        if file["branch_total"] == 0 or file["branch_percent"] >= BRANCHES_SURE_PERCENT:
            continue
        name = os.path.relpath(ROOT / file["filename"], ROOT)
        row = next((row for row in rows if fnmatch.fnmatch(name, row[0])), [None, None])
        needed.add(row[0])
        if file["branch_percent"] < BRANCHES_MIN_PERCENT:
            below.append((name, file["line_percent"], file["branch_percent"], row[1] or None))
    # Two rows of one name are both needed, then; test/lint sees those.
    return below, [row[0] for row in rows if row[0] not in needed]


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
    below, unneeded = judged(summary["files"], reasons())
    print("\n| file | lines | branches | why not more |\n|---|--:|--:|---|")
    for name, lines, branches, reason in below:
        print(f"| {name} | {lines} % | {branches} % | {reason or '**none given**'} |")
    print(f"\nAll of src/: {summary['line_percent']} % of {summary['line_total']} lines, "
          f"{summary['branch_percent']} % of {summary['branch_total']} branches. Line by line: {build}/coverage.html")
    if unneeded:
        print(f"No longer needed in {REASONS.name}: {', '.join(unneeded)}")
    if failed:
        print(f"FAILED: {failed} tests or suites")
    unknown = [name for name, _, _, reason in below if reason is None]
    if unknown:
        print(f"FAILED: below {BRANCHES_MIN_PERCENT} % and without a row in {REASONS.name}: {', '.join(unknown)}")
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
