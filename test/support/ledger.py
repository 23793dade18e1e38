"""Clients that note what the server acknowledged, and the judgement of its data by their notes.

A `Member` is an account and the thread that uses it. What it is not answered it repeats, as clients do:
a send under its key; a send without one is given up and may or may not have been done. `judge` reads every
member's log from its beginning: what was acknowledged is there exactly once and in order, nothing else is,
the log is dense, and conversations, lists and counts are what the log says.
"""

import dataclasses
import json
import threading
import time

from support import seen, torture
from support.api import new_name, with_query
from support.events import events_since
from support.http import ANSWER_DEADLINE_S, Closed, Connection, Silent, request_bytes

REPEAT_DEADLINE_S = 4 * ANSWER_DEADLINE_S
LATEST_MAX = 20
# Of a server whose disk fails: nothing was done; outcome_unknown: perhaps.
DISK_REFUSALS = {"store_failed", "disk_full", "outcome_unknown", "overloaded", "migrating", "draining"}

WEIGHTS = (("send", 56), ("send_once", 10), ("look", 8), ("mark_read", 10), ("rename", 2), ("sign_up", 3),
           ("sessions", 4), ("upload", 2), ("claim", 5))


@dataclasses.dataclass
class Send:
    to_id: int
    content: str
    message_id: int = 0  # 0: not acknowledged


class Server5xx(Exception):
    """Refused for a reason of the server's."""


class Member:
    def __init__(self, crowd, account):
        self.crowd = crowd
        self.account = account
        self.connection = None
        self.sends = []
        self.read_up_to = {}     # other's id -> message id that an acknowledged mark named
        self.sessions = {}       # token -> whether it was acknowledged as ended
        self.extra = []          # [name, password, is deleted]: accounts it made
        self.prekeys = 0         # of its last acknowledged upload; they are only claimed from others
        self.acknowledged = self.repeated = 0

    # -- asking ------------------------------------------------------------------------------------

    def try_once(self, method, target, body=None, fields=(), token=None):
        """The answer; an exception of `LOST` where there is none, or where it is a 5xx."""
        fields = [("Authorization", f"Bearer {token or self.account.token}"), *fields]
        if body is not None:
            fields.append(("Content-Type", "application/json"))
            body = json.dumps(body).encode()
        try:
            if self.connection is None:
                self.connection = Connection(self.crowd.server.port)
            self.connection.send(request_bytes(method, target, fields, body or b""))
            response = self.connection.answer(method, target)
            if response.ends_connection:
                self.hang_up()
        except (Closed, Silent, OSError):
            self.hang_up()
            raise
        if response.status >= 500:
            self.crowd.refused[response.code] = self.crowd.refused.get(response.code, 0) + 1
            raise Server5xx(response.code)
        return response

    def ask(self, method, target, body=None, fields=(), token=None):
        """The answer, repeating the request until there is one."""
        deadline_s = time.monotonic() + REPEAT_DEADLINE_S
        while True:
            try:
                response = self.try_once(method, target, body, fields, token)
                self.acknowledged += 1
                return response
            except LOST as fault:
                self.repeated += 1
                assert not self.crowd.has_failed, "the test has failed meanwhile"
                assert time.monotonic() < deadline_s, f"{method} {target} is never answered: {fault!r}"
                time.sleep(0.003)  # it may be restarting: nothing to wait on

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    # -- what it does ------------------------------------------------------------------------------

    def send(self, chance, other):
        sent = Send(other.account.user_id, content(chance))
        self.sends.append(sent)
        body = {"to_username": other.account.username, "content": sent.content}
        answer = self.ask("POST", "/api/messages/send", body, [("Idempotency-Key", f"k{len(self.sends)}")])
        if answer.status == 404:  # it has another name by now
            self.sends.remove(sent)
            return
        sent.message_id = answer.expect(200).json()["message_id"]

    def send_once(self, chance, other):
        sent = Send(other.account.user_id, content(chance))
        self.sends.append(sent)
        try:
            answer = self.try_once("POST", "/api/messages/send",
                                   {"to_username": other.account.username, "content": sent.content})
        except LOST:
            return
        if answer.status == 404:
            self.sends.remove(sent)
            return
        sent.message_id = answer.expect(200).json()["message_id"]
        self.acknowledged += 1

    def look(self, _chance, other):
        """Its own last acknowledged message to somebody is in the list at once."""
        mine = [sent for sent in self.sends if sent.to_id == other.account.user_id and sent.message_id]
        target = with_query("/api/messages/filtered", with_user=other.account.username, limit=LATEST_MAX)
        answer = self.ask("GET", target)
        if answer.status == 404:
            return
        rows = answer.expect(200).json()
        ids = [row["id"] for row in rows]
        assert ids == sorted(ids, reverse=True), ids
        if mine and (len(ids) < LATEST_MAX or ids[-1] < mine[-1].message_id):
            assert mine[-1].message_id in ids, f"{mine[-1]} was acknowledged and is not in {ids}"

    def mark_read(self, _chance, other):
        target = with_query("/api/messages/filtered", with_user=other.account.username, limit=1)
        listed = self.ask("GET", target)
        if listed.status == 404 or not listed.json():
            return
        last = listed.json()[0]
        answer = self.ask("POST", with_query("/api/messages/mark-read", with_user=other.account.username),
                          {"up_to": last["seq"]})
        if answer.status == 404:
            return
        answer.expect(200)
        self.read_up_to[other.account.user_id] = last["id"]

    def rename(self, _chance, _other):
        name = new_name("ren")
        self.crowd.names[name] = self.account.user_id
        # Held names are few: refused then. A repeat of one that was done finds it done.
        self.ask("POST", "/api/account/update-username", {"new_username": name})
        answer = self.ask("GET", "/api/account").expect(200).json()
        assert answer["username"] in (name, self.account.username), answer
        self.account.username = answer["username"]

    def sign_up(self, chance, _other):
        """An account, and an older one deleted."""
        name, password = new_name("extra"), seen.new_password()
        self.crowd.names[name] = None
        self.extra.append([name, password, False])
        self.ask("POST", "/api/account/create", {"username": name, "password": password}).expect((200, 409))
        if chance.randrange(2):
            return
        gone = chance.choice(self.extra)
        if gone[2]:
            return
        token = self.ask("POST", "/api/account/login", {"username": gone[0], "password": gone[1]})
        token = token.expect(200).json()["token"]
        # Repeated after it was done, its token is gone.
        self.ask("POST", "/api/account/delete", {"password": gone[1]}, token=token).expect((204, 401))
        gone[2] = True

    def log_in_and_out(self, chance, _other):
        answer = self.ask("POST", "/api/account/login",
                          {"username": self.account.username, "password": self.account.password})
        token = answer.expect(200).json()["token"]
        self.sessions[token] = False
        leaving = chance.choice(list(self.sessions))
        if not self.sessions[leaving]:
            self.ask("POST", "/api/account/logout", token=leaving).expect((204, 401))
            self.sessions[leaving] = True

    def upload(self, _chance, _other):
        keys = [seen.new_content() for _ in range(30)]
        bundle = {"identity_key": "identity", "signed_prekey": "prekey", "signed_prekey_signature": "signature",
                  "one_time_prekeys": keys}
        self.ask("POST", "/api/keys/upload", {"key_bundle": bundle}).expect(200)

    def claim(self, _chance, other):
        answer = self.ask("POST", "/api/keys/claim", {"username": other.account.username})
        if answer.status == 200:
            self.crowd.claimed += answer.json()["key_bundle"]["one_time_prekeys"]

    sessions_step = log_in_and_out


LOST = (Closed, Silent, OSError, Server5xx)


def content(chance):
    """Mostly short, and now and then long, so that the WAL grows and is copied."""
    length = 40_000 if chance.randrange(60) == 0 else min(int(chance.expovariate(1 / 300)), 20_000)
    return seen.new_content("x" * length)


class Crowd:
    """Members who use a server at once, from entering to leaving; `pause` lets them finish what they do."""

    def __init__(self, server, count, name="crowd", weights=WEIGHTS):
        self.server = server
        self.chances = [torture.chance(name, number) for number in range(count)]
        self.acts = [act for act, weight in weights for _ in range(weight)]
        self.refused = {}
        self.claimed = []
        self.names = {}
        accounts = [server.api.create() for _ in range(count)]
        self.members = [Member(self, account) for account in accounts]
        self.names.update({account.username: account.user_id for account in accounts})
        self.faults = []
        self.has_failed = False  # nobody will start the server again
        self.stops = threading.Event()
        self.threads = []

    def __enter__(self):
        self.stops.clear()
        self.threads = [threading.Thread(target=self._live, args=pair)
                        for pair in zip(self.members, self.chances)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.has_failed = kind is not None
        self.stops.set()
        for thread in self.threads:
            thread.join()

    def _live(self, member, chance):
        try:
            while not self.stops.is_set():
                act = chance.choice(self.acts)
                act = "log_in_and_out" if act == "sessions" else act
                getattr(member, act)(chance, chance.choice(self.members))
        except BaseException as fault:  # told by the test's own thread
            self.faults.append(fault)
            raise

    @property
    def acknowledged(self):
        return sum(member.acknowledged for member in self.members)

    @property
    def repeated(self):
        return sum(member.repeated for member in self.members)

    # -- judgement: while nobody is at work ----------------------------------------------------------

    def judge(self):
        """Fails where the server's data is not what was acknowledged; returns the messages there are."""
        assert not self.faults, self.faults
        assert len(set(self.claimed)) == len(self.claimed), "a one-time key was given twice"
        logs = {}
        for member in self.members:
            member.hang_up()
            member.account.api = self.server.api
            logs[member.account.user_id] = self.log_of(member.account)
        for member in self.members:
            self.judge_sends(member, logs)
            self.judge_counts(member, logs[member.account.user_id])
            self.judge_accounts(member)
        return len({event["message"]["id"] for log in logs.values() for event in log
                    if event["type"] == "message"})

    def log_of(self, account):
        log = events_since(account, limit=1000)
        seqs = [int(event["cursor"].split(":")[1]) for event in log]
        assert seqs == list(range(1, len(seqs) + 1)), f"the log of {account.username} is not dense"
        return log

    def messages(self, log, **members):
        """The messages of a log whose sender or recipient is this account's id."""
        return [event["message"] for event in log if event["type"] == "message"
                and all(self.names[event["message"][name]] == wanted for name, wanted in members.items())]

    def judge_sends(self, member, logs):
        mine = member.account.user_id
        sent = self.messages(logs[mine], from_username=mine)
        by_content = {message["content"]: message for message in sent}
        assert len(by_content) == len(sent), "a message is there twice"
        ids = [message["id"] for message in sent]
        assert ids == sorted(set(ids)), "ids do not ascend in the log"
        known = {each.content: each for each in member.sends}
        assert set(by_content) <= set(known), "a message that nobody sent"
        for each in member.sends:
            if each.message_id:
                message = by_content.get(each.content)
                assert message, f"message {each.message_id} was acknowledged and is lost"
                assert message["id"] == each.message_id
                assert self.names[message["to_username"]] == each.to_id
        acknowledged = [each.message_id for each in member.sends if each.message_id]
        assert acknowledged == sorted(acknowledged), "not in the order they were sent in"
        for to_id, log in logs.items():
            there = [message["id"] for message in self.messages(log, from_username=mine)]
            if to_id != mine:
                assert there == [m["id"] for m in sent if self.names[m["to_username"]] == to_id], \
                    "sender and recipient do not have the same messages"

    def judge_counts(self, member, log):
        account = member.account
        mine = account.user_id
        last, unread, marked = {}, {}, {}
        for event in log:
            if event["type"] == "read" and self.names[event["by"]] == mine:
                other = self.names[event["from"]]
                marked[other] = event["up_to_id"]
            if event["type"] == "message":
                ends = {self.names[event["message"][name]] for name in ("from_username", "to_username")}
                last[(ends - {mine} or ends).pop()] = event["message"]["id"]
        for other in last:
            unread[other] = sum(message["id"] > marked.get(other, 0) and other != mine
                                for message in self.messages(log, from_username=other))
        rows = {self.names[row["username"]]: row["unread_count"] for row in account.conversations()}
        assert rows == unread, f"unread counts of {account.username}: {rows}, by its log {unread}"
        for other, message_id in member.read_up_to.items():
            late = [m for m in self.messages(log, from_username=other) if m["id"] <= message_id and other != mine]
            assert not late or marked.get(other, 0) >= late[-1]["id"], "an acknowledged mark is lost"
        listed = [message["id"] for message in account.walk("/api/messages?limit=1000")[0]]
        logged = [event["message"]["id"] for event in log if event["type"] == "message"]
        assert listed == logged[::-1], "the list is not the log"

    def judge_accounts(self, member):
        api = self.server.api
        assert member.account.get("/api/account").expect(200).json()["username"] == member.account.username
        for token, has_ended in member.sessions.items():
            api.get("/api/account", token).expect(401 if has_ended else 200)
        for name, password, is_deleted in member.extra[-5:]:
            api.login_raw(name, password).expect(401 if is_deleted else 200)
