"""The API as a program uses it: `Api` makes requests, `Account` is somebody with a token.

Each thread has its own keep-alive connection. A connection is opened anew only after an answer
that announced its end, so a server that drops connections is noticed.
"""

import json
import re
import threading
import time
from urllib.parse import quote

from support import contract, seen
from support.http import ABSENT, Closed, Connection, check_error_body, request_bytes

TOKEN_FORM = re.compile(r"[A-Za-z0-9]{32}")
TIME_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CURSOR_FORM = re.compile(r"([^\s:]+):(\d+)")
UNUSED_MAX_S = 40  # by itself the server ends a connection that waits for 75 s
LINK_FORM = re.compile(r'<([^>]*)>\s*;\s*rel="next"')


def with_query(path, **parameters):
    """`path` with a query; parameters that are None are left out."""
    given = [f"{name}={quote(str(value), safe='')}"
             for name, value in parameters.items() if value is not None]
    return f"{path}?{'&'.join(given)}" if given else path


def next_target(response):
    """Where the list goes on, as a target on the same server; None at its end."""
    links = response.all("link")
    assert len(links) <= 1, response.describe()
    if not links:
        return None
    match = LINK_FORM.fullmatch(links[0])
    assert match, f"Link {links[0]!r}\n{response.describe()}"
    return re.sub(r"^https?://[^/]*", "", match.group(1))


class Api:
    def __init__(self, port):
        self.port = port
        self._local = threading.local()

    def connection(self):
        connection = getattr(self._local, "connection", None)
        if connection is not None and time.monotonic() - self._local.used_s > UNUSED_MAX_S:
            self.drop()
            connection = None
        if connection is None:
            connection = self._local.connection = Connection(self.port)
        self._local.used_s = time.monotonic()
        return connection

    def drop(self):
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def request(self, method, target, token=None, json_body=ABSENT, body=None, fields=()):
        """One exchange. `json_body` is sent as JSON, `body` (bytes) as it is."""
        fields = list(fields)
        if token is not None:
            fields.append(("Authorization", f"Bearer {token}"))
        if json_body is not ABSENT:
            body = json.dumps(json_body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            if not any(name.lower() == "content-type" for name, _ in fields):
                fields.append(("Content-Type", "application/json"))
        if body is None and method in ("POST", "PUT"):
            body = b""
        try:
            connection = self.connection()
            connection.send(request_bytes(method, target, fields, body))
            response = connection.answer(method, target)
        except (Closed, OSError) as fault:
            self.drop()
            raise AssertionError(f"{method} {target}: no answer: {fault!r}") from fault
        except BaseException:
            self.drop()
            raise
        response.sent = f"{method} {target} {fields} {body!r:.300}"
        if response.ends_connection:
            self.drop()
        check_error_body(response, method)
        if response.status < 400:
            contract.check_taken_request(method, target, fields,
                                         None if json_body is ABSENT else json_body)
        return response

    def get(self, target, token=None, **more):
        return self.request("GET", target, token, **more)

    def post(self, target, token=None, json_body=ABSENT, **more):
        return self.request("POST", target, token, json_body, **more)

    def create_raw(self, username, password, **more):
        seen.note_password(password)
        response = self.post("/api/account/create",
                             json_body={"username": username, "password": password, **more})
        if response.status == 200:
            seen.note_token(response.json()["token"])
        return response

    def login_raw(self, username, password, **more):
        seen.note_password(password)
        response = self.post("/api/account/login",
                             json_body={"username": username, "password": password, **more})
        if response.status == 200:
            seen.note_token(response.json()["token"])
        return response

    def create(self, username=None, password=None):
        """A new account, under a name nobody has unless one is given."""
        username = username if username is not None else new_name()
        password = password if password is not None else seen.new_password()
        answer = self.create_raw(username, password).expect(200).json()
        return Account(self, answer["username"], password, answer["token"], answer["user_id"])

    def login(self, username, password, **more):
        answer = self.login_raw(username, password, **more).expect(200).json()
        return Account(self, answer["username"], password, answer["token"], answer["user_id"])


_names = 0
_names_lock = threading.Lock()


def new_name(stem="user"):
    """A name no test of this run has used."""
    global _names
    with _names_lock:
        _names += 1
        return f"{stem}{_names:08d}"


class Account:
    """Somebody with a token; the methods of the contract, answers decoded."""

    def __init__(self, api, username, password, token, user_id):
        self.api = api
        self.username = username
        self.password = password
        self.token = token
        self.user_id = user_id

    def get(self, target, **more):
        return self.api.get(target, self.token, **more)

    def post(self, target, json_body=ABSENT, **more):
        return self.api.post(target, self.token, json_body, **more)

    def send_raw(self, to_username, content, key=None, **members):
        fields = [("Idempotency-Key", key)] if key is not None else []
        return self.post("/api/messages/send",
                         {"to_username": to_username, "content": content, **members},
                         fields=fields)

    def send(self, to, content=None, key=None):
        """Send to an Account or a name; the answer's members plus the content sent."""
        content = content if content is not None else seen.new_content()
        name = to.username if isinstance(to, Account) else to
        answer = self.send_raw(name, content, key).expect(200).json()
        return {**answer, "content": content}

    def messages(self, **query):
        return self.get(with_query("/api/messages", **query)).expect(200).json()

    def filtered(self, with_user=None, **query):
        target = with_query("/api/messages/filtered", with_user=with_user, **query)
        return self.get(target).expect(200).json()

    def walk(self, target):
        """Every entry from `target` on, following Link, and the number of pages."""
        entries, pages = [], 0
        while target is not None:
            response = self.get(target).expect(200)
            entries += response.json()
            pages += 1
            target = next_target(response)
        return entries, pages

    def conversations(self, **query):
        return self.get(with_query("/api/conversations", **query)).expect(200).json()

    def unread(self):
        """name -> unread count, of every conversation."""
        return {row["username"]: row["unread_count"] for row in self.conversations()}

    def mark_read_raw(self, with_user=None, body=ABSENT):
        return self.post(with_query("/api/messages/mark-read", with_user=with_user), body)

    def mark_read(self, with_user, up_to=None):
        body = ABSENT if up_to is None else {"up_to": up_to}
        return self.mark_read_raw(with_user, body).expect(200).json()["marked_read"]

    def rename_raw(self, new_username):
        return self.post("/api/account/update-username", {"new_username": new_username})

    def rename(self, new_username):
        answer = self.rename_raw(new_username).expect(200).json()
        self.username = new_username
        return answer

    def sessions(self):
        return self.get("/api/sessions").expect(200).json()

    def upload_raw(self, bundle):
        return self.post("/api/keys/upload", {"key_bundle": bundle})

    def upload(self, one_time_prekeys=(), **members):
        bundle = {"identity_key": "identity", "signed_prekey": "prekey",
                  "signed_prekey_signature": "signature", **members,
                  "one_time_prekeys": list(one_time_prekeys)}
        self.upload_raw(bundle).expect(200)
        return bundle

    def claim(self, username):
        answer = self.post("/api/keys/claim", {"username": username}).expect(200).json()
        return answer["key_bundle"]["one_time_prekeys"]

    def delete_raw(self, password):
        seen.note_password(password)
        return self.post("/api/account/delete", {"password": password})

    def password_raw(self, current, new):
        seen.note_password(new)
        return self.post("/api/account/password",
                         {"current_password": current, "new_password": new})
