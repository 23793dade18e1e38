"""Runs the harnesses of test/fuzz: first everything that ever broke one, then on from the seeds.

  fuzz.py --folder build/fuzz --seconds 60 [--runs N] [NAME]
  fuzz.py --folder build/fuzz --keep [NAME]

As many at once as there are processors, each until it has run N inputs or its seconds are over. What breaks one is
kept in crashers/NAME, to be committed with the fix: from then on each run begins with it. What they find on the way
stays in FOLDER/corpus; --keep chooses from it what corpus/NAME.txt has, with which each run begins, too.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CRASHERS = HERE / "crashers"
KEPT = HERE / "corpus"
# Longer inputs say little more, and take longer.
INPUT_MAX_BYTES = {"request": 800, "websocket": 256}
INPUT_MAX_BYTES_ELSE = 400
STOPS_S = 30    # one input this long is a finding
MEMORY_MB = 1024
GRACE_S = 120   # beyond the time asked for: seeds and crashers come first
MERGE_DEADLINE_S = 3600
# Of each harness in git, so that it stays small.
KEPT_MAX = 200
KEPT_MAX_BYTES = 200_000
SANITIZER = {"ASAN_OPTIONS": "malloc_context_size=2:quarantine_size_mb=4:detect_leaks=1",
             "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def names(folder):
    return sorted(path.name[:-len("_fuzz.c")] for path in HERE.glob("*_fuzz.c")
                  if (folder / "fuzz_bin" / path.name[:-len("_fuzz.c")]).exists())


def missing(folder):
    return sorted(path.name for path in HERE.glob("*_fuzz.c")
                  if not (folder / "fuzz_bin" / path.name[:-len("_fuzz.c")]).exists())


def command_of(folder, name, *options):
    return [folder / "fuzz_bin" / name, f"-max_len={INPUT_MAX_BYTES.get(name, INPUT_MAX_BYTES_ELSE)}",
            f"-timeout={STOPS_S}", f"-rss_limit_mb={MEMORY_MB}", *options]


def run(folder, name, seconds, runs=None):
    """(whether nothing was found, what to show)."""
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    found = CRASHERS / name
    found.mkdir(parents=True, exist_ok=True)
    command = command_of(folder, name, f"-max_total_time={seconds}", *([f"-runs={runs}"] if runs else []),
                         "-print_final_stats=1", f"-artifact_prefix={found}/", corpus, folder / "seeds" / name,
                         folder / "kept" / name, found)
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
    count = int(executed[1])
    asked = f" of {runs:,} in {seconds} s" if runs and count < runs else ""
    return True, f"{name}: {count:,} inputs{asked}, {covered[-1] if covered else 0} edges, nothing found"


def line_of(data):
    """An input as a line of corpus/NAME.txt: seeds.py reads it."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def reach_most(control, is_given):
    """The inputs that reach most between them, beyond what those given reach: paths, the best first.

    `control` is what libFuzzer notes as it merges: how many inputs there are and how many of them are in the first
    folder, their paths, and then of each the features (edges, and how often each was taken) that it reaches.
    """
    lines = control.split("\n")
    paths = lines[2:2 + int(lines[0])]
    reached = {}
    for line in lines[2 + len(paths):]:
        kind, *numbers = line.split() or [""]
        if kind == "FT":
            reached[paths[int(numbers[0])]] = set(numbers[1:])
    covered = set().union(*(features for path, features in reached.items() if is_given(path)))
    while True:
        for features in reached.values():
            features -= covered
        best = max(reached, key=lambda path: (len(reached[path]), path), default=None)
        if best is None or not reached[best]:
            return
        yield best
        covered = reached.pop(best)


def keep(folder, name):
    """Writes corpus/NAME.txt anew: (whether that went well, what to show)."""
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    given = [folder / "seeds" / name, *([CRASHERS / name] if (CRASHERS / name).exists() else [])]
    with tempfile.TemporaryDirectory() as scratch:
        control = pathlib.Path(scratch) / "control"
        merged = pathlib.Path(scratch) / "merged"
        merged.mkdir()
        # Of a plain merge the features are only those that are new.
        command = command_of(folder, name, "-set_cover_merge=1", f"-merge_control_file={control}",
                             f"-artifact_prefix={scratch}/", merged, corpus, folder / "kept" / name, *given)
        done = subprocess.run(command, env={**os.environ, **SANITIZER}, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=MERGE_DEADLINE_S)
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace")
            return False, f"{name}: the merge ended with {done.returncode}\n{output[-4000:]}"
        lines = []
        size = 0
        for path in reach_most(control.read_text(), lambda path: pathlib.Path(path).parent in given):
            line = line_of(pathlib.Path(path).read_bytes()[:INPUT_MAX_BYTES.get(name, INPUT_MAX_BYTES_ELSE)]) + "\n"
            if len(lines) < KEPT_MAX and size + len(line) <= KEPT_MAX_BYTES:
                lines.append(line)
                size += len(line)
    KEPT.mkdir(exist_ok=True)
    # In an order of their own, so that what was there before stays where it was.
    (KEPT / f"{name}.txt").write_text("".join(sorted(lines)))
    return True, f"{name}: {len(lines)} inputs kept, {size:,} bytes"


def on_all(folder, wanted, step):
    """Yields (name, whether it went well, what to show) of step(name), in the order of names."""
    subprocess.run([sys.executable, "-B", HERE / "seeds.py", folder], check=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda name: (name, *step(name)), wanted)


def run_all(folder, seconds, wanted, runs=None):
    """As on_all(), of run()."""
    yield from on_all(folder, wanted, lambda name: run(folder, name, seconds, runs))
    CRASHERS.mkdir(exist_ok=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--runs", type=int)
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("name", nargs="?", default="")
    options = arguments.parse_args()
    wanted = [name for name in names(options.folder) if options.name in name]
    failed = len(missing(options.folder))
    passed = 0
    if options.keep:
        ended = on_all(options.folder, wanted, lambda name: keep(options.folder, name))
    else:
        ended = run_all(options.folder, options.seconds, wanted, options.runs)
    for _, is_good, shown in ended:
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
