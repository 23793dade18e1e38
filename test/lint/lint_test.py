"""./run lint: every check of checks.py over the tree, and the tools of others over theirs.

A check is only believed if it has been seen to fail: SAMPLES holds, for each one, texts it must
find fault with and texts it must not.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from checks import CHECKS
from samples import SAMPLES

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The pinned version: others lay out some lines differently.
CLANG_FORMAT = "clang-format-19"
CLANG_TIDY = "clang-tidy-19"
COMMAND_DEADLINE_S = 300


def tool(name):
    assert shutil.which(name), f"{name} is missing; ./run lint installs it"
    return name


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                          cwd=options.pop("cwd", ROOT), timeout=COMMAND_DEADLINE_S, **options)


def tree_files():
    """What git has or would add: new files count before they are committed."""
    listed = run("git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co",
                 "--exclude-standard")
    assert listed.returncode == 0, listed.stderr
    return sorted({path for path in listed.stdout.split("\0") if (ROOT / path).is_file()})


@pytest.fixture(scope="session")
def tree():
    """path -> text of every text file of the tree."""
    texts = {}
    for path in tree_files():
        raw = (ROOT / path).read_bytes()
        if b"\0" not in raw:
            texts[path] = raw.decode("utf-8", errors="surrogateescape")
    return texts


def complain(lines, hint=""):
    """Fails with just these lines, if there are any."""
    if lines:
        pytest.fail("\n".join([*lines, hint]), pytrace=False)


# Bad on purpose: the samples, the bad requests that the API tests send, and what the fuzzer made.
NOT_CHECKED = ("test/lint/samples.py", "test/api/badinput.jsonl", "test/fuzz/corpus/")


@pytest.mark.parametrize("name", CHECKS)
def test_tree(name, tree):
    selects, check = CHECKS[name]
    complain([f"{path}:{line}: {message}"
              for path, text in tree.items()
              if selects.search(path) and not path.startswith(NOT_CHECKED)
              for line, message in check(path, text)])


@pytest.mark.parametrize("name", CHECKS)
def test_check_is_seen_to_fail(name):
    selects, check = CHECKS[name]
    bad, good = SAMPLES[name]
    assert bad, "a check without a bad sample"
    for path, text in bad:
        assert selects.search(path), f"{path} is not looked at"
        assert list(check(path, text)), f"found nothing in {path}:\n{text}"
    for path, text in good:
        assert not selects.search(path) or not list(check(path, text)), \
            f"found fault with {path}:\n{text}\n{list(check(path, text))}"


def test_every_file_is_utf8(tree):
    complain([f"{path}: not UTF-8" for path, text in tree.items()
              if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in text)])


def test_tour_names_every_folder_of_src(tree):
    tour = tree.get("src/README.md", "")
    folders = {path.rpartition("/")[0].removeprefix("src/") for path in tree
               if re.search(r"^src/.*/.*\.[ch]$", path)}
    assert folders, "src has no folders"
    complain([f"src/README.md does not name {folder}/" for folder in sorted(folders)
              if not re.search(rf"\b{folder.rpartition('/')[2]}/", tour)])


# --- shell ----------------------------------------------------------------------------------------

def shell_scripts(tree):
    for path, text in tree.items():
        shebang = re.match(r"#!\s*/bin/(sh|bash)\b", text)
        if shebang:
            yield path, shebang.group(1)


def shellcheck(*paths):
    return run(tool("shellcheck"), "--format=gcc", "--exclude=SC1091", *paths)


def test_shell_scripts(tree):
    scripts = dict(shell_scripts(tree))
    assert {"run", "deps/fetch-llhttp", ".ci/run"} <= set(scripts)
    for path, shell in scripts.items():
        parsed = run(shell, "-n", path)
        assert parsed.returncode == 0, parsed.stderr
        assert os.access(ROOT / path, os.X_OK), f"{path} is not executable"
    found = shellcheck(*scripts)
    complain(found.stdout.splitlines())


def test_shellcheck_is_seen_to_fail(tmp_path):
    (tmp_path / "bad").write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert shellcheck(str(tmp_path / "bad")).returncode != 0


# --- clang-format ---------------------------------------------------------------------------------

def clang_format(*paths):
    return run(tool(CLANG_FORMAT), "--dry-run", "-Werror", f"--style=file:{ROOT}/.clang-format",
               *paths)


def test_layout_of_c_files(tree):
    paths = [path for path in tree if re.search(r"\.[ch]$", path)]
    assert paths
    bad = [path for path in paths if clang_format(path).returncode != 0]
    complain(bad, f"\n{CLANG_FORMAT} -i " + " ".join(bad))


def test_clang_format_is_seen_to_fail(tmp_path):
    (tmp_path / "bad.c").write_text("int  f( void ){return 1;}\n")
    assert clang_format(str(tmp_path / "bad.c")).returncode != 0


# --- clang-tidy -----------------------------------------------------------------------------------

def clang_tidy(path, *options):
    return run(tool(CLANG_TIDY), "--quiet", f"--config-file={ROOT}/.clang-tidy",
               "--warnings-as-errors=*", "--extra-arg=-Wno-unknown-warning-option", *options, path)


def test_clang_tidy():
    build = os.environ.get("MIGCHAT_BUILD")
    assert build, "MIGCHAT_BUILD names the build folder with compile_commands.json"
    commands = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    paths = sorted({each["file"] for each in commands
                    if each["file"].startswith(f"{ROOT}/src/")})
    assert paths
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        checked = list(pool.map(lambda path: clang_tidy(path, "-p", build), paths))
    bad = [each.stdout + each.stderr for each in checked if each.returncode != 0]
    complain(bad)


def test_clang_tidy_is_seen_to_fail(tmp_path):
    (tmp_path / "bad.c").write_text(
        "int f(int *p);\nint f(int *p)\n{\n    if (!p) {\n        return *p;\n    }\n    return 1;\n}\n")
    found = clang_tidy(str(tmp_path / "bad.c"), "--", "-std=c11")
    assert found.returncode != 0, found.stdout
