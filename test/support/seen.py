"""The run's ledger: which routes and error codes were seen, and every secret that was used.

Filled by support.http (answers) and support.server (directories); read by the last tests of a
run, test/api/coverage_test.py and test/api/secrets_test.py. Any thread.
"""

import secrets as random_source
import threading

# Generated passwords and messages carry a marker, so that one search of the server's logs and
# files finds every one of them, also those a test composed by itself.
PASSWORD_MARK = "pw7Qx"
CONTENT_MARK = "msg7Qx"
# A shorter literal would be found by accident.
LITERAL_MIN_LENGTH = 8

_lock = threading.Lock()
targets = set()      # (method, path without query, status)
codes = set()        # stable error codes
tokens = set()
passwords = set()
directories = set()  # of servers, each with its log and its database
adopted_copies = set()  # the copies an adoption makes: they hold old tokens in clear by design


def new_password():
    """A password nobody used before; 21 bytes."""
    return PASSWORD_MARK + random_source.token_hex(8)


def new_content(text=""):
    """A message nobody sent before, with `text` at its end."""
    return CONTENT_MARK + random_source.token_hex(8) + text


def note_answer(method, target, status, code):
    path = target.split("?", 1)[0]
    with _lock:
        targets.add((method, path, status))
        if code and status >= 400:  # below, it is an invite's
            codes.add(code)


def note_token(token):
    with _lock:
        tokens.add(token)


def note_password(password):
    if isinstance(password, str) and len(password) >= LITERAL_MIN_LENGTH:
        with _lock:
            passwords.add(password)


def note_directory(directory):
    with _lock:
        directories.add(str(directory))


def note_adopted_copy(path):
    with _lock:
        adopted_copies.add(str(path))
