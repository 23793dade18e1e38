"""Looks back on the whole run: was every route used, and was every error code seen?

The binary tells what there is: `migchat-server routes` prints METHOD and path of each route,
`migchat-server errors` each code and its status. This is only meaningful when the rest of
test/api ran before, in the same run.
"""

import re

from support import contract, seen
from support.server import run

# Codes no client can provoke over a socket without breaking the machine below the server.
# test/fault and test/unit reach them.
NOT_OVER_A_SOCKET = {
    "internal": "a fault of our own",
    "outcome_unknown": "needs an fsync that fails",
    "store_failed": "needs a disk that answers with an error",
    "writer_stuck": "needs a commit that takes longer than ten seconds",
    "disk_full": "needs a small file system, which only root may mount (storage_test.py does)",
    "account_changed": "the route begins again instead",
    "draining": "seen only when a request comes between the signal and the close; "
                "stopping_test.py takes either",
    "migrating": "needs a large database of the Rust server (adoption_faults_test.py has one)",
    "password_not_allowed": "U+0000 in a body is refused as json_malformed before",
}


def listed(command):
    done = run(command)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert rows and all(len(row) >= 2 for row in rows), done.stdout
    return rows


def test_every_route_was_seen():
    missing = []
    for method, path, *_ in listed("routes"):
        form = re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part)
                                  for part in re.split(r"(\{[^}]*\})", path)))
        if not any(m == method and form.fullmatch(p) and (status < 400 or status == 501)
                   for m, p, status in seen.targets):
            missing.append(f"{method} {path}")
    assert not missing, f"never seen with success: {missing}"


def test_an_answer_of_every_route_was_checked_against_the_contract(capsys):
    good = {f"{method} {path}" for method, path, status, _ in contract.checked if status < 400}
    missing = [" ".join(row) for row in listed("routes") if " ".join(row) not in good]
    seen_statuses = {(method, path, str(status)) for method, path, status, _ in contract.checked}
    unseen = [f"{method} {path}: {status}" for method, path, operation, _ in contract.operations()
              for status in operation["responses"]
              if status not in ("503", "default") and (method, path, status) not in seen_statuses]
    with capsys.disabled():
        print("\nstatuses of the contract not seen:\n  " + ("\n  ".join(unseen) or "none"))
    assert not missing, f"no good answer was checked: {missing}"
    assert not unseen, f"never answered: {unseen}"


def test_every_error_code_was_seen(capsys):
    codes = {code: int(status) for code, status, *_ in listed("errors")}
    codes.pop("ok", None)
    missing = sorted(set(codes) - seen.codes - set(NOT_OVER_A_SOCKET))
    unseen = [f"{code}: {why}" for code, why in NOT_OVER_A_SOCKET.items()
              if code in codes and code not in seen.codes]
    with capsys.disabled():
        print("\nerror codes not seen over a socket:\n  " + ("\n  ".join(unseen) or "none"))
    assert not missing, f"never seen: {missing}"
    unlisted = seen.codes - set(codes)
    assert not unlisted, f"seen but not in the list: {unlisted}"
