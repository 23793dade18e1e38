"""Runs the harnesses of test/fuzz: first everything that ever broke one, then on from the seeds.

  fuzz.py --folder build/fuzz --seconds 60 [NAME]

As many at once as there are processors. What breaks one is kept in crashers/NAME, to be committed with
the fix: from then on each run begins with it. What they find on the way stays in FOLDER/corpus.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CRASHERS = HERE / "crashers"
# Longer inputs say little more, and take longer.
INPUT_MAX_BYTES = {"request": 800, "websocket": 256}
INPUT_MAX_BYTES_ELSE = 400
STOPS_S = 30    # one input this long is a finding
MEMORY_MB = 1024
GRACE_S = 120   # beyond the time asked for: seeds and crashers come first
SANITIZER = {"ASAN_OPTIONS": "malloc_context_size=2:quarantine_size_mb=4:detect_leaks=1",
             "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def names(folder):
    return sorted(path.name[:-len("_fuzz.c")] for path in HERE.glob("*_fuzz.c")
                  if (folder / "fuzz_bin" / path.name[:-len("_fuzz.c")]).exists())


def missing(folder):
    return sorted(path.name for path in HERE.glob("*_fuzz.c")
                  if not (folder / "fuzz_bin" / path.name[:-len("_fuzz.c")]).exists())


def run(folder, name, seconds):
    """(whether nothing was found, what to show)."""
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    found = CRASHERS / name
    found.mkdir(parents=True, exist_ok=True)
    command = [folder / "fuzz_bin" / name, f"-max_total_time={seconds}", "-print_final_stats=1",
               f"-max_len={INPUT_MAX_BYTES.get(name, INPUT_MAX_BYTES_ELSE)}", f"-timeout={STOPS_S}",
               f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={found}/", corpus, folder / "seeds" / name, found]
    try:
        done = subprocess.run(command, env={**os.environ, **SANITIZER}, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + GRACE_S)
    except subprocess.TimeoutExpired:
        return False, f"{name}: did not end"
    finally:
        if not any(found.iterdir()):
            found.rmdir()
    output = done.stdout.decode(errors="replace")
    executed = re.search(r"number_of_executed_units: (\d+)", output)
    covered = re.findall(r"cov: (\d+)", output)
    if done.returncode != 0 or executed is None:
        return False, f"{name}: ended with {done.returncode}\n{output[-4000:]}"
    return True, f"{name}: {int(executed[1]):,} inputs, {covered[-1] if covered else 0} edges, nothing found"


def run_all(folder, seconds, wanted):
    """Yields (name, whether nothing was found, what to show) in the order of names."""
    subprocess.run([sys.executable, "-B", HERE / "seeds.py", folder / "seeds"], check=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        ended = pool.map(lambda name: (name, *run(folder, name, seconds)), wanted)
        yield from ended
    CRASHERS.mkdir(exist_ok=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("name", nargs="?", default="")
    options = arguments.parse_args()
    wanted = [name for name in names(options.folder) if options.name in name]
    failed = len(missing(options.folder))
    passed = 0
    for _, is_good, shown in run_all(options.folder, options.seconds, wanted):
        print(shown, flush=True)
        passed += is_good
        failed += not is_good
    if not wanted:
        print(f"No harness has '{options.name}' in its name.")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
