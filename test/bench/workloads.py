"""What is asked, of whom, from which database. The bars are in bars.py."""

import dataclasses
import json
import random

import seeds
import servers
from servers import BARE, FASTIFY, MIGCHAT, NGINX, RAW, TUNED, UV

READ, WRITE = 0, 1
STATUS_ANY_LOAD = 0  # as in load.h: answered, or refused with 429 or 503
OWN_NUMBER = "@" * 16  # load.c puts another number there each time
SEND_PAIRS = 4_000
SENDS_AT_HISTORY = 20_000  # as many as take a move of exactly-once keys and a checkpoint: they come on top
CREATES = 20  # at cost 12 a core makes five a second; a count, since a time would cut one in two
POLLERS = 64  # accounts whose lists do not change: one for each connection
LOOKED_AT = 4  # answers of each list workload that are read and checked in full


@dataclasses.dataclass
class Workload:
    key: str
    text: str
    servers: tuple
    servers_full: tuple = ()    # with --full, these as well
    seed: str = "accounts"
    connections: int = 64
    pipeline: int = 1
    writes: bool = False        # gets a fresh copy of the database each time
    count: int = 0              # this many requests instead of for a time
    only_full: bool = False
    warmed_by: object = None    # each request once, after a time of these: nothing is read twice
    body_of: str = ""           # raw epoll and nginx answer with this account's list
    rows: object = None         # function(workload, server name, client) -> [(request, ...)]
    background: object = None   # the same, for a second load generator that is not measured
    background_connections: int = 8
    two_cores: bool = False
    keeps_answers: bool = True     # False: what was asked before is read from the database again
    refuses_log_ins: bool = False  # those beside it ask too often, but for the first
    sends: bool = False         # figures come with sends a fsync
    messages: bool = False      # the database is counted: it must have got those acknowledged, no more


# --- requests -------------------------------------------------------------------------------------

def health(*_):
    return [(servers.request("GET", "/health"), READ, 200, 2)]


def send(names, bytes_of_content=80, with_key=True, pairs=SEND_PAIRS, from_name=None):
    chosen = random.Random(f"{bytes_of_content} {from_name}")
    rows = []
    for _ in range(pairs):
        sender, recipient = chosen.sample(names, 2)
        sender = from_name or sender
        body = json.dumps({"to_username": recipient, "content": "m" * bytes_of_content}).encode()
        fields = [f"Idempotency-Key: {OWN_NUMBER}"] if with_key else []
        rows.append((servers.request("POST", "/api/messages/send", seeds.token(sender), body, fields),
                     WRITE, 200, -1))
    return rows


def send_to_oneself(names):
    """One message each, which is one entry of one log."""
    return [(servers.request("POST", "/api/messages/send", seeds.token(name),
                             json.dumps({"to_username": name, "content": "m" * seeds.CONTENT_BYTES}).encode()),
             WRITE, 200, -1) for name in names]


def sends(**options):
    return lambda workload, server, client: send(seeds.names_of(workload.seed), **options)


def names_with(prefix, workload):
    return [name for name in seeds.names_of(workload.seed) if name.startswith(prefix)]


lists_kept = {}


def lists(prefix, wanted, target="/api/messages", accounts=None):
    """The lists of all accounts of a group, or some, each looked at once to know its length; those that workloads
    begin with are the same for several."""
    def rows(workload, server, client):
        kept = lists_kept.setdefault((server, workload.seed, prefix, target, accounts), [])
        if not kept:
            kept += looked_at(workload, server, client)
        return kept

    def looked_at(workload, server, client):
        found = []
        for at, name in enumerate(names_with(prefix, workload)[:accounts]):
            asked = servers.request("GET", target, seeds.token(name))
            status, _, body = client.ask(asked)
            if at < LOOKED_AT:
                check_list(server, asked, status, body, wanted)
            found.append((asked, READ, 200, len(body)))
        return found
    return rows


def check_list(server, asked, status, body, wanted):
    """As many rows as there must be, newest first."""
    rows = json.loads(body) if status == 200 else None
    if rows is None or len(rows) != wanted:
        raise servers.BenchError(f"{server}: {status}, {rows and len(rows)} rows instead of {wanted}: "
                                 f"{asked[:80]!r}")
    order = [row["id"] if "id" in row else row["last_message_time"] for row in rows]
    if order != sorted(order, reverse=True):
        raise servers.BenchError(f"{server}: not newest first: {asked[:80]!r}")


def unchanged(workload, server, client):
    return [row for name in names_with("hundred", workload)[:POLLERS] for row in unchanged_list(client, name)]


def unchanged_list(client, name):
    token = seeds.token(name)
    _, fields, _ = client.ask(servers.request("GET", "/api/messages", token))
    again = servers.request("GET", "/api/messages", token, fields=[f"If-None-Match: {fields['etag']}"])
    return [(again, READ, 304, 0)]


def mixed(workload, server, client):
    """Four reads of the newest 50 to one send, among the accounts with 100 messages."""
    names = names_with("hundred", workload)
    chosen = random.Random("mixed")
    lists("hundred", 50, "/api/messages?limit=50", accounts=LOOKED_AT)(workload, server, client)
    reads = [(servers.request("GET", "/api/messages?limit=50", seeds.token(chosen.choice(names))),
              READ, 200, -1) for _ in range(4 * SEND_PAIRS)]
    rows = reads + send(names)
    chosen.shuffle(rows)
    return rows


def creates(workload, server, client):
    body = json.dumps({"username": f"new{OWN_NUMBER}", "password": seeds.PASSWORD}).encode()
    return [(servers.request("POST", "/api/account/create", None, body), WRITE, 200, -1)]


def creates_and_logins(workload, server, client):
    """More of them than can be hashed: one that has waited too long is refused, which the load takes for an answer."""
    rows = creates(workload, server, client)
    for name in seeds.names_of(workload.seed)[:8]:
        body = json.dumps({"username": name, "password": seeds.PASSWORD}).encode()
        rows += [(servers.request("POST", "/api/account/login", None, body), WRITE, 200, -1)]
        rows += creates(workload, server, client)
    return [(asked, kind, STATUS_ANY_LOAD, length) for asked, kind, _, length in rows]


# --- the workloads --------------------------------------------------------------------------------

C_PEERS = (MIGCHAT, RAW, UV, NGINX)
PEERS = (MIGCHAT, FASTIFY, TUNED)


def all_workloads():
    found = [
        # Close to what it is compared with, as all are: a host is not the same a minute later.
        Workload("if-none-match", "unchanged list, If-None-Match", (MIGCHAT,), seed="lists",
                 rows=unchanged),
        Workload("health-64", "health, 64 connections", (*C_PEERS, FASTIFY), rows=health),
        Workload("health-256", "health, 256 connections", (*C_PEERS, FASTIFY), connections=256,
                 rows=health),
        Workload("health-pipelined", "health, pipelined 16", (*C_PEERS, FASTIFY), pipeline=16,
                 rows=health),
        Workload("send-1", "send, 80 bytes, 1 connection", (*PEERS, BARE), connections=1,
                 writes=True, sends=True, messages=True, rows=sends()),
        Workload("send-64", "send, 80 bytes, 64 connections", (*PEERS, BARE), writes=True,
                 sends=True, messages=True, rows=sends()),
        Workload("send-64-468", "send, 468 bytes, 64 connections", (*PEERS, BARE), writes=True,
                 sends=True, messages=True, rows=sends(bytes_of_content=seeds.CIPHERTEXT_BYTES)),
        Workload("send-64-keyless", "send, 80 bytes without a key, 64 connections", (*PEERS, BARE),
                 writes=True, sends=True, messages=True, only_full=True, rows=sends(with_key=False)),
        Workload("send-256", "send, 80 bytes, 256 connections", (*PEERS, BARE), connections=256,
                 writes=True, sends=True, messages=True, rows=sends()),
        Workload("list-100-same", "list of 100, unchanged since the last poll",
                 (*PEERS, RAW, NGINX), seed="lists", body_of="hundred00000",
                 rows=lists("hundred", 100, accounts=POLLERS)),
        Workload("list-100", "list of 100, first read", PEERS, seed="lists",
                 rows=lists("hundred", 100), warmed_by=lists("couple", 200)),
        Workload("list-100-468", "list of 100, 468 bytes each, first read", PEERS, seed="lists",
                 only_full=True, rows=lists("cipher", 100), warmed_by=lists("couple", 200)),
        Workload("list-1000", "list of 1,000, first read", PEERS, seed="lists",
                 rows=lists("thousand", 1_000), warmed_by=lists("couple", 200)),
        Workload("list-10000", "list of 10,000, first read", PEERS, seed="lists", connections=16,
                 rows=lists("tenthousand", 10_000), warmed_by=lists("couple", 200)),
        Workload("conversations-200", "conversations (50) at 200 messages, first read", PEERS,
                 seed="lists", rows=lists("couple", 50, "/api/conversations"),
                 warmed_by=lists("hundred", 50, "/api/conversations")),
        Workload("conversations-10000", "conversations (50) at 10,000 messages, first read", PEERS,
                 seed="lists", connections=16, rows=lists("tenthousand", 50, "/api/conversations"),
                 warmed_by=lists("hundred", 50, "/api/conversations")),
    ]
    for kind in (pages_at, conversations_at, sends_at):
        found += [kind(power) for power in (3, 6, 4, 5)]  # 1e6 is compared with 1e3
    found += [
        Workload("create", "create", (MIGCHAT, BARE), connections=4, count=CREATES, rows=creates),
        Workload("health-beside-hashing", "health, 4 connections, beside sign-ups and log-ins", (MIGCHAT,),
                 connections=4, writes=True, rows=health, background=creates_and_logins),
        Workload("health-two-cores", "health, 4 connections, two cores, beside sign-ups and log-ins", (MIGCHAT,),
                 connections=4, writes=True, two_cores=True, only_full=True, rows=health,
                 background=creates_and_logins),
        Workload("send-two-cores", "send, 64 connections, two cores", (MIGCHAT,), writes=True,
                 two_cores=True, messages=True, rows=sends()),
        Workload("send-beside-hashing", "send, 64 connections, two cores, beside sign-ups and log-ins", (MIGCHAT,),
                 writes=True, two_cores=True, messages=True, rows=sends(), background=creates_and_logins),
        Workload("send-beside-flood", "send, 64 connections, two cores, beside a flood of sign-ups and log-ins",
                 (MIGCHAT,), writes=True, two_cores=True, refuses_log_ins=True, messages=True, only_full=True,
                 rows=sends(), background=creates_and_logins),
        Workload("read-two-cores", "page of 50, 64 connections, two cores", (MIGCHAT,), seed="lists",
                 two_cores=True, only_full=True, rows=lists("hundred", 50, "/api/messages?limit=50")),
        Workload("read-beside-flood", "page of 50, 64 connections, two cores, beside such a flood", (MIGCHAT,),
                 seed="lists", two_cores=True, refuses_log_ins=True, only_full=True,
                 rows=lists("hundred", 50, "/api/messages?limit=50"), background=creates_and_logins),
        Workload("mixed", "80 % page of 50, 20 % send, 64 connections", PEERS, seed="lists",
                 writes=True, messages=True, rows=mixed),
    ]
    return found


def at_history(power, what, **settings):
    # Each size has a file of its own, so that its trees are as deep as they are then.
    return Workload(f"{what.split()[0]}-1e{power}", f"{what} at a history of {10 ** power:,}", (MIGCHAT,),
                    seed="history" if power == 6 else f"history{power}", only_full=power in (4, 5), **settings)


def peers_at(power):
    """Conversations are left out: at 10,000 messages they take the peer 300 times as long already."""
    return (FASTIFY,) if power in (3, 6) else ()


def pages_at(power):
    return at_history(power, "page of 50", connections=8, keeps_answers=False, servers_full=peers_at(power),
                      rows=lists(f"history{power}x", 50, "/api/messages?limit=50", accounts=1))


def conversations_at(power):
    return at_history(power, "conversations (50)", connections=8, keeps_answers=False,
                      rows=lists(f"history{power}x", 50, "/api/conversations", accounts=1))


def sends_at(power):
    return at_history(power, "send", count=SENDS_AT_HISTORY, messages=True, servers_full=peers_at(power),
                      rows=send_from(f"history{power}x"))


def send_from(name):
    def rows(workload, server, client):
        return send(names_with(name + "p", workload), from_name=name)
    return rows
