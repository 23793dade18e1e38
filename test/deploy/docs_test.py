"""What `migchat-server docs` prints: man, bash and the server itself understand it.

That every option and command is in it is tested by unit/config_docs_test.c; zsh and fish are tested
with the package (test/deb), since not every machine should need them.
"""

import re
import subprocess

import pytest

from support.server import environment, run


def docs(kind, *flags):
    done = run("docs", kind, "--config=", *flags)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_the_manual_page_has_no_faults(tmp_path):
    page = tmp_path / "migchat-server.1"
    page.write_text(docs("man"))
    # Long lines come from the tables and are no fault of a page that nobody edits.
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and done.stdout == "", done.stdout
    shown = subprocess.run(["mandoc", "-T", "ascii", page], capture_output=True, text=True, check=True).stdout
    shown = re.sub(".\b", "", shown)
    for part in ("--max-body-bytes BYTES", "config dump", "MIGCHAT_PORT", "EXIT STATUS"):
        assert part in shown, part


def settings(text):
    return {line.split("=")[0]: re.sub(r"\s+#[^\"]*$", "", line) for line in text.splitlines()
            if line and not line.startswith("#")}


def test_the_file_with_everything_switched_on_is_the_defaults(tmp_path):
    """It is good, and changes nothing."""
    text = docs("conf")
    assert settings(text) == {}
    file = tmp_path / "all.conf"
    file.write_text(re.sub(r"^#(?=MIGCHAT_)", "", text, flags=re.MULTILINE))
    check = run("config", "check", "--config", file)
    assert check.returncode == 0 and check.stderr == "", check.stderr
    default = settings(run("config", "dump", "--config=", "--db=./data/migchat.db").stdout)
    assert len(default) > 20
    assert settings(run("config", "dump", "--config", file).stdout) == default


def test_what_is_set_is_switched_on_in_the_file(tmp_path):
    file = tmp_path / "own.conf"
    file.write_text(docs("conf", "--db=/a folder/#1.db", "--port=5"))
    dump = settings(run("config", "dump", "--config", file, env=environment()).stdout)
    assert dump["MIGCHAT_DB"] == 'MIGCHAT_DB="/a folder/#1.db"' and dump["MIGCHAT_PORT"] == "MIGCHAT_PORT=5"


COMPLETE = r"""
set -u
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_migchat_server
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""


def completed(script, *words, cwd=None):
    """What bash offers for the last of these words; it cuts --a=b in three by itself."""
    done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "bash", script, "migchat-server", *words],
                          capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module", name="bash_script")
def fixture_bash_script(tmp_path_factory):
    script = tmp_path_factory.mktemp("bash") / "migchat-server"
    script.write_text(docs("bash"))
    return script


def test_bash_completes(bash_script, tmp_path):
    (tmp_path / "some.db").touch()
    for words, offered in {
            ("conf",): ["config"], ("config", ""): ["check", "dump"], ("--port", "1", "config", "d"): ["dump"],
            ("config", "--sync", "full", "c"): ["check"], ("--sync", ""): ["normal", "full"],
            ("--sync", "=", "n"): ["normal"], ("--sync", "="): ["normal", "full"], ("--prot",): [],
            ("--log-f",): ["--log-format"], ("serve", "--log-l",): ["--log-level"], ("--port", ""): [],
            ("config", "check", ""): [], ("--db", "so"): ["some.db"], ("--db", "=", "so"): ["some.db"]}.items():
        assert completed(bash_script, *words, cwd=tmp_path) == offered, words


def test_bash_offers_every_flag_of_help(bash_script):
    flags = re.findall(r"^  (--[\w-]+)", run("--help").stdout, re.MULTILINE)
    assert len(flags) > 20
    assert set(completed(bash_script, "--")) == {*flags, "--help", "--version"}


def test_the_bash_script_is_clean(bash_script):
    done = subprocess.run(["shellcheck", "-s", "bash", bash_script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
