#!/usr/bin/python3
"""Runs the test suites that ./run test has built, and adds up their results.

A suite is one C test executable in one build, or one run of pytest:

  lint                  test/lint, without a binary
  asan:unit/...         each C test under the address and undefined-behaviour sanitizers
  tsan:unit/...         the same under the thread sanitizer
  asan:api/...          the Python suites (test/* with *_test.py) against the server built so
  tsan:api/...          those of TSAN_FILES against the server built with the thread sanitizer
  tsan-all:api/...      each file of test/api by itself against that one; only where the filter begins with tsan-all
  release:api/...       the same against the release build, without the tests marked "slow"
  fuzz:NAME             the harnesses of test/fuzz, MIGCHAT_FUZZ_S seconds each (20), when built
  sandbox               test/api once more, on servers under the restrictions of the systemd unit
  sandbox:activated     the same with those of the unit behind the socket, which is handed in

A filter keeps what has it in its name; for pytest that is a file (asan:api/keys_test.py).
They mostly wait, so the Python suites run two at once; all else has as many processes as there are processors.
Every suite's own output is shown, when it has ended; what was skipped, once more in the end. The last
line is "N passed, N failed", counted in single tests; a suite that crashed, timed out or ran no test adds one failure.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

from fuzz import fuzz
from support import sandbox

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = ROOT / "test"
C_TEST_DEADLINE_S = 240
PYTEST_DEADLINE_S = 1500
PYTEST_AT_ONCE = 2
PYTEST_HANG_S = 240  # one test this long shows every thread's stack
FUZZ_S = int(os.environ.get("MIGCHAT_FUZZ_S", "20"))
NOT_PYTEST = {"lint", "support", "unit", "contract", "deb", "image", "sandbox"}  # without a binary, or run apart
# Where the loop, the lanes and the writer hand most to each other: most of these saw a counter that the lanes shared
# without a lock. Where requests come one behind another, nothing does.
TSAN_FILES = {
    "api/admin_doctor_test.py", "api/admin_stats_test.py", "api/backup_test.py", "api/blocks_test.py",
    "api/concurrency_test.py", "api/event_stream_test.py", "api/events_test.py", "api/kept_answers_test.py",
    "api/metrics_store_test.py", "api/rate_limits_test.py", "api/reload_test.py", "api/renames_test.py",
    "api/restored_load_test.py", "api/sessions_test.py", "api/signup_test.py", "api/slowed_test.py",
    "api/stopping_test.py", "api/websocket_test.py", "torture/crowd_test.py", "torture/cut_test.py",
    "torture/idle_test.py", "torture/kill_test.py", "torture/slow_test.py"}
LOOK_BACK = {"coverage_test.py", "secrets_test.py"}  # on all files of one run: by themselves they would say nothing
RELEASE_ONLY = {"readme", "deploy"}  # what a reader does and what is packaged is done with the release build

# They start the server as root or at a terminal, which the unit never does.
NOT_SANDBOXED = {"privileges_test.py", "terminal_test.py"}
# They have the server write elsewhere than it may there.
NOT_SANDBOXED_TESTS = (
    "api/config_cli_test.py::test_the_default_database_is_made_below_the_working_directory",
    "api/config_cli_test.py::test_no_folders_are_made_above_the_database_s_own",
    "api/admin_users_test.py::test_a_database_in_memory_has_its_operator_too")

# A unit without a network has no listener for metrics; how it takes memory is seen without the network, too.
NOT_HANDED = {"metrics_test.py", "metrics_store_test.py", "metrics_traffic_test.py", "memory_test.py"}
NOT_HANDED_TESTS = (
    *NOT_SANDBOXED_TESTS,
    # They ask for the metrics.
    "api/event_stream_test.py::test_a_reader_that_takes_nothing_is_dropped_after_its_time",
    "api/events_test.py::test_equal_polls_share_one_read",
    # They say where the server has to listen itself.
    "api/config_cli_test.py::test_all_addresses_by_default_and_ipv6",
    "api/config_cli_test.py::test_an_address_in_use_is_told",
    "api/healthcheck_test.py::test_a_server_on_ipv6",
    # They wait until connections are refused: who is behind a socket that outlives the server waits there instead.
    "api/stopping_test.py::test_what_is_in_flight_is_finished",
    "api/stopping_test.py::test_a_connection_of_before_may_learn_that_it_drains",
    "api/stopping_test.py::test_a_second_signal_exits_at_once")

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions='{TEST}/tsan.supp'",
}


RUNNING = set()  # what run() waits for, in any thread


@dataclasses.dataclass
class Result:
    name: str
    passed: int
    failed: int
    skipped: int = 0
    note: str = ""
    untried: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # reasons of the skipped


def run(command, env, deadline_s, capture):
    """Run a command to its end in a process group of its own: (exit status, output)."""
    with subprocess.Popen(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE if capture else None,
                          stderr=subprocess.STDOUT if capture else None,
                          text=True, errors="replace", start_new_session=True) as process:
        RUNNING.add(process)
        try:
            output, _ = process.communicate(timeout=deadline_s)
            return process.returncode, output or ""
        except BaseException as ended:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            if isinstance(ended, subprocess.TimeoutExpired):
                return "timeout", output or ""
            raise
        finally:
            RUNNING.discard(process)


def environment(**settings):
    return {**os.environ, **SANITIZER_OPTIONS, "PYTHONDONTWRITEBYTECODE": "1", **settings}


def without_address_randomisation():
    """The thread sanitizer of gcc 12 needs it off where the kernel randomises 32 bits."""
    setarch = ["setarch", os.uname().machine, "-R"]
    allowed = subprocess.run([*setarch, "true"], stderr=subprocess.DEVNULL, check=False)
    return setarch if allowed.returncode == 0 else []


def c_test_result(name, status, output):
    """Count what cmocka printed; a test that began and did not end has failed."""
    begun = len(re.findall(r"^\[ RUN      \] ", output, re.MULTILINE))
    passed = len(re.findall(r"^\[       OK \] ", output, re.MULTILINE))
    names = set(re.findall(r"^\[  SKIPPED \] (?!\d+ test)(\w+)", output, re.MULTILINE))  # listed again in the end
    skipped = len(names)
    failed = begun - passed - skipped
    if failed == 0 and status != 0:
        return Result(name, passed, 1, skipped, f"ended with {status}")
    if begun == 0:
        return Result(name, 0, 1, 0, "ran no test")
    return Result(name, passed, failed, skipped, "" if status == 0 else f"ended with {status}",
                  collections.Counter(names))


def c_tests(build, folder):
    """The C tests of a build as (name, path), as test/CMakeLists.txt listed them."""
    for line in (folder / "tests.txt").read_text().splitlines():
        name, path = line.split("\t")
        yield f"{build}:{name}", path


def run_c_test(name, command):
    status, output = run(command, environment(), C_TEST_DEADLINE_S, capture=True)
    return c_test_result(name, status, output), output


def pytest_counts(name, status, report):
    try:
        root = ElementTree.parse(report).getroot()
        counts = [[int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")]
                  for suite in root.iter("testsuite")]
    except (OSError, ElementTree.ParseError):
        return Result(name, 0, 1, 0, f"ended with {status}, no report")
    tests, failures, errors, skipped = (sum(column) for column in zip(*counts))
    failed = failures + errors
    passed = max(tests - failed - skipped, 0)
    if failed == 0 and status != 0:
        note = "ran no test" if tests == 0 else f"ended with {status}"
        return Result(name, passed, 1, skipped, note)
    untried = collections.Counter(each.get("message", "") for each in root.iter("skipped"))
    return Result(name, passed, failed, skipped, untried=untried)


def pytest_command(files, scratch, *options):
    return ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-o", "markers=slow: takes long; not run against the release build",
            f"--rootdir={TEST}", f"--basetemp={scratch}", *options, *map(str, files)]


def run_pytest(name, files, results_folder, env, *options, prefix=()):
    # No colon: paths below are put into lists like LD_PRELOAD, which it separates.
    stem = name.replace(":", "-").replace("/", "-")
    report = results_folder / f"{stem}.xml"
    report.unlink(missing_ok=True)
    scratch = results_folder / f"{stem}.files"
    shutil.rmtree(scratch, ignore_errors=True)
    command = [*prefix, *pytest_command(files, scratch, "-rs", "-o", f"faulthandler_timeout={PYTEST_HANG_S}",
                                        f"--junitxml={report}", *options)]
    status, output = run(command, environment(**env), PYTEST_DEADLINE_S, capture=True)
    result = pytest_counts(name, status, report)
    if result.failed == 0:
        shutil.rmtree(scratch, ignore_errors=True)
    return result, output


def pytest_files(build):
    """Every *_test.py below a folder of test/ that tests this build's binary, as (name, path)."""
    for path in sorted(TEST.glob("*/**/*_test.py")):
        relative = path.relative_to(TEST)
        if relative.parts[0] in NOT_PYTEST or (relative.parts[0] in RELEASE_ONLY and build != "release"):
            continue
        if build == "tsan" and str(relative) not in TSAN_FILES:
            continue
        yield f"{build}:{relative}", path


def unit_activated(results_folder):
    """The text of the unit behind migchat.socket, made as it is for the package."""
    path = results_folder / "migchat-activated.service"
    subprocess.run(["cmake", f"-DACTIVATED={path}", "-P", TEST.parent / "deploy/activated.cmake"], check=True)
    return path.read_text()


def sandboxed_suite(name, unit, tests, server, results_folder, env, not_files, not_tests):
    """The API suite once more, under the restrictions of a unit's text: run_pytest()'s arguments."""
    restrictions = results_folder / f"{name.replace(':', '-')}.json"
    restrictions.write_text(json.dumps(sandbox.restrictions_of(unit)))
    files = [tests, *(path for path in sorted((TEST / "api").glob("*_test.py")) if path.name not in not_files)]
    return (name, files, results_folder,
            {"MIGCHAT_SERVER": str(server), "MIGCHAT_SANDBOX": str(restrictions), **env}, "-m", "not slow",
            *(f"--deselect={test}" for test in not_tests)), ()


def python_suite(name, build, files, folder, results_folder):
    """run_pytest()'s arguments and its prefix."""
    env = {"MIGCHAT_SERVER": str(folder[build] / "migchat-server"),
           "MIGCHAT_TOOLS": str(results_folder.parent / "test-unpack" / "usr" / "bin")}
    if build != "release":
        env["MIGCHAT_SANITIZED"] = "1"
    marks = [] if build == "asan" else ["-m", "not slow"]
    prefix = without_address_randomisation() if build == "tsan" else ()
    return (name, files, results_folder, env, *marks), prefix


def python_suites(folder, results_folder, wanted):
    """run_pytest()'s arguments and its prefix, of each; the longest first."""
    for build in ("asan", "release", "tsan"):
        files = [path for name, path in pytest_files(build) if wanted in name]
        if files:
            yield python_suite(f"{build}:python", build, files, folder, results_folder)
    if wanted.startswith("tsan-all"):
        # One run of all would be longer than its deadline, and the two at once share them.
        for path in sorted((TEST / "api").glob("*_test.py")):
            name = f"tsan-all:api/{path.name}"
            if wanted in name and path.name not in LOOK_BACK:
                yield python_suite(name, "tsan", [path], folder, results_folder)
    server = folder["release"] / "migchat-server"
    if wanted in "sandbox":
        yield sandboxed_suite("sandbox", (TEST.parent / "deploy/migchat.service").read_text(),
                              TEST / "sandbox/sandbox_test.py", server, results_folder, {}, NOT_SANDBOXED,
                              NOT_SANDBOXED_TESTS)
    if wanted in "sandbox:activated":
        yield sandboxed_suite("sandbox:activated", unit_activated(results_folder), TEST / "sandbox/activated_test.py",
                              server, results_folder, {"MIGCHAT_HANDED": "1"}, NOT_SANDBOXED | NOT_HANDED,
                              NOT_HANDED_TESTS)


def run_python_suites(suites):
    """Each with its seconds, as they end."""
    def timed(arguments, prefix):
        begun_s = time.monotonic()
        result, output = run_pytest(*arguments, prefix=prefix)
        return result, output, time.monotonic() - begun_s

    with concurrent.futures.ThreadPoolExecutor(PYTEST_AT_ONCE) as pool:
        ends = [pool.submit(timed, *suite) for suite in suites]
        try:
            for end in concurrent.futures.as_completed(ends):
                yield end.result()
        except BaseException:
            # The interrupt of a terminal does not reach them: they have groups of their own.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(RUNNING):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def show(result, seconds):
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    note = f" ({result.note})" if result.note else ""
    print(f"== {result.name}: {result.passed} passed, {result.failed} failed{skipped}{note}"
          f" in {seconds:.1f} s", flush=True)


def run_c_tests(tests, prefix):
    """As many at once as there are processors; shown in the order of their names."""
    results = []
    begun_s = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        ended = pool.map(lambda test: run_c_test(test[0], [*prefix, test[1]]), tests)
        for result, output in ended:
            print(output, end="")
            show(result, time.monotonic() - begun_s)
            results.append(result)
    return results


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--build", type=pathlib.Path, required=True)
    arguments.add_argument("--variant", default="")
    arguments.add_argument("filter", nargs="?", default="")
    options = arguments.parse_args()

    folder = {name: options.build / f"{name}{options.variant}" for name in ("asan", "tsan")}
    folder["release"] = options.build / f"release-checked{options.variant}"
    results_folder = options.build / "test-results"
    results_folder.mkdir(parents=True, exist_ok=True)
    begun_s = time.monotonic()
    results = []

    def add(result, since_s):
        show(result, time.monotonic() - since_s)
        results.append(result)

    if options.filter in "lint":
        since_s = time.monotonic()
        result, output = run_pytest("lint", [TEST / "lint"], results_folder, {"MIGCHAT_BUILD": str(folder["release"])})
        print(output, end="")
        add(result, since_s)

    # ./run lint builds no tests.
    for build in () if options.filter == "lint" else ("asan", "tsan"):
        tests = [test for test in c_tests(build, folder[build]) if options.filter in test[0]]
        prefix = without_address_randomisation() if build == "tsan" else []
        results += run_c_tests(tests, prefix)

    if options.filter.startswith("fuzz") or not options.filter:
        wanted = options.filter.partition(":")[2]
        since_s = time.monotonic()
        fuzz_folder = options.build / f"fuzz{options.variant}"
        for name in fuzz.missing(fuzz_folder):
            add(Result(f"fuzz:{name}", 0, 1, 0, "not built"), since_s)
        names = [name for name in fuzz.names(fuzz_folder) if wanted in name]
        for name, is_good, shown in fuzz.run_all(fuzz_folder, FUZZ_S, names):
            print(shown, flush=True)
            add(Result(f"fuzz:{name}", int(is_good), int(not is_good)), since_s)

    for result, output, seconds in run_python_suites(python_suites(folder, results_folder, options.filter)):
        print(output, end="")
        show(result, seconds)
        results.append(result)

    print(f"\nAll suites took {time.monotonic() - begun_s:.0f} s.")
    if not results:
        print(f"No suite has '{options.filter}' in its name.")
    # Far above, among everything's output, nobody reads it.
    for result in results:
        for reason, count in result.untried.items():
            print(f"NOT TRIED {result.name}: {count} skipped: {reason}")
    for result in results:
        if result.failed:
            print(f"FAILED {result.name}: {result.failed} failed"
                  + (f" ({result.note})" if result.note else ""))
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results) or (0 if results else 1)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
