"""Every command for the operator with --json, as --help has them: one JSON value on stdout and nothing else."""

import json
import re

import pytest

from support import seen
from support.api import new_name
from support.server import run

# Whoever adds a command gives it --json and a row in ANSWERS, or says here why not.
WITHOUT_JSON = {
    "serve": "logs in JSON", "config check": "says good or not by its status",
    "config dump": "prints a file of settings",
    "backup": "writes a file", "export": "the same", "verify": "reads a file", "restore": "the same",
    "healthcheck": "its status is the answer", "routes": "prints what tests read", "errors": "the same",
    "docs man": "prints a document", "docs conf": "the same", "docs bash": "the same", "docs zsh": "the same",
    "docs fish": "the same", "help": "for people", "version": "the same",
}


def invite_made(server, _):
    made = json.loads(server.command("invite", "create", "1", "1", "--json").stdout)
    seen.note_password(made["code"])
    return [made["id"]]


# Command: its operands, and members of the answer, or of each element where it is a list.
ANSWERS = {
    "user add": (lambda *_: [new_name("made")], {"user_id", "username", "password"}),
    "user list": (lambda *_: [], {"user_id", "username", "created_at", "sessions"}),
    "user show": (lambda _, account: [account.username], {"user_id", "username", "created_at", "disabled_at"}),
    "user reset-password": (lambda _, account: [account.username], {"user_id", "ended_sessions", "password"}),
    "user disable": (lambda _, account: [account.username], {"user_id", "username"}),
    "user enable": (lambda _, account: [account.username], {"user_id", "username"}),
    "user delete": (lambda _, account: [account.username], {"user_id", "username"}),
    "session list": (lambda _, account: [account.username], {"id", "label", "created_at", "last_used_at"}),
    "session end": (lambda _, account: [account.username, "all"], {"user_id", "ended_sessions"}),
    "invite create": (lambda *_: [3, 7], {"id", "uses_left", "expires_at", "code"}),
    "invite list": (lambda *_: [], {"id", "uses_left", "expires_at", "state"}),
    "invite revoke": (invite_made, {"id"}),
    "stats": (lambda *_: [], {"accounts", "database_bytes", "connections"}),
    "doctor": (lambda *_: [], {"checks"}),
}
# With others of its own group, so that a list has an element.
BEFORE = {"invite list": invite_made}


def commands():
    """{words: usage} of every command, as --help has them."""
    help_text = run("--help").stdout
    rows = re.findall(r"^  migchat-server (.+?)(?:  +|$)", help_text, re.MULTILINE)
    found = {re.match(r"[a-z]+( [a-z][a-z-]+)?", row)[0]: row for row in rows}
    assert len(found) == len(rows) > 20, rows
    return found


def test_every_command_has_json_or_a_reason_and_is_tried_here():
    found = commands()
    assert {words for words, usage in found.items() if "[--json]" in usage} == set(ANSWERS)
    assert set(found) - set(ANSWERS) == set(WITHOUT_JSON)


def refuse(constant):
    raise ValueError(f"{constant} is no JSON")


@pytest.mark.parametrize("words", ANSWERS)
def test_the_answer_is_one_json_value(server, words):
    operands, members = ANSWERS[words]
    account = server.api.create()
    BEFORE.get(words, lambda *_: None)(server, account)
    done = server.command(*words.split(), *operands(server, account), "--json")
    assert done.stderr == "" and done.returncode == 0, done.stderr
    answer = json.loads(done.stdout, parse_constant=refuse)
    elements = answer if isinstance(answer, list) else [answer]
    assert elements and all(members <= set(each) for each in elements), answer
    for secret in {"password", "code"} & set(elements[0]):
        seen.note_password(elements[0][secret])


@pytest.mark.parametrize("words", ANSWERS)
def test_a_failure_prints_nothing_that_could_be_taken_for_an_answer(tmp_path, words):
    """Nobody serves there. The doctor has findings to tell then, too."""
    count = len(re.findall(r" [A-Z]+", commands()[words]))
    done = run(*words.split(), *["1"] * count, "--json", "--db", tmp_path / "none.db")
    if words == "doctor":
        assert json.loads(done.stdout)["checks"] and done.stderr == "", done.stderr
    else:
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
