"""The figures of streams: how fast an event arrives, how fast many catch up, what an idle one costs.

The follower is this process, on the load's core; what it takes is in the figures.
"""

import contextlib
import json
import os
import re
import socket
import sqlite3
import statistics
import struct
import time

import followers
import machine
import seeds
import servers
import workloads
from followers import KINDS, POLL, Followers, prepared
from servers import MIGCHAT, BenchError

STREAMS = 10_000
CATCH_UP_STREAMS, CATCH_UP_ENTRIES = 1_000, 100
WAKE_UP_CONNECTIONS = 256
LATENCY_SENDS = 1_000
LATENCY_PAUSE_S = 0.002
DEADLINE_S = 60
SETTLE_S = 0.5
IDLE_USE_S = 0.005  # what a server with nothing to do uses of a core meanwhile, at most
READ_MAX_BYTES = 65536
SYNC_TIMES = 64  # as in count_syncs.c


def all_figures():
    return [
        ("event-latency", "commit → event in the subscriber's socket, one send after the other", latency),
        ("catch-up", f"catch-up: {CATCH_UP_STREAMS:,} streams, {CATCH_UP_ENTRIES} entries behind each", catch_up),
        ("send-followed", "send, 64 connections, all accounts followed, against not followed", followed),
        ("reconnect", f"reconnect of {STREAMS:,} streams, a third of each kind, with nothing new, after a restart, "
         "until each was told a message sent to it then", reconnect),
        ("idle-streams", f"{STREAMS:,} idle streams, a third of each kind", lambda bench: idle(bench, KINDS)),
        *((f"idle-streams-{kind}-full", f"{STREAMS:,} idle streams by {kind}",
           lambda bench, kind=kind: idle(bench, [kind]))
          for kind in KINDS),
    ]


def workload(seed):
    return workloads.Workload("realtime", "", (MIGCHAT,), seed=seed, writes=True)


def epoch(port, name):
    """What an account's cursors begin with."""
    client = servers.Client(port)
    cursor = client.json(servers.request("GET", "/api/events", seeds.token(name)))["cursor"]
    client.close()
    return cursor.partition(":")[0]


def quiet(bench, what, seed, measure, preload=None):
    """`measure(server)` on the load's core beside a fresh server, with nobody else on the machine."""
    def run(pids):
        database = bench.database(workload(seed), MIGCHAT)
        with machine.on_load_core(), bench.servers.running(MIGCHAT, database=database, preload=preload) as server:
            pids.append(server.pid)
            before = machine.snapshot()
            result = {**measure(server), "before": before, "after": machine.snapshot()}
        if "sequences" in result:
            check_complete(database, result.pop("sequences"))
        return result
    return bench.quiet(what, run)


def check_complete(database, sequences):
    """Each followed account's log, from the entry behind its cursor on: in order, once, whole."""
    with contextlib.closing(sqlite3.connect(database)) as stored:
        heads = dict(stored.execute("SELECT account.name, max(log.seq) FROM log JOIN account"
                                    " ON account.id = log.account_id GROUP BY account_id"))
    for name, (first, found) in sequences.items():
        if found != list(range(first, heads.get(name, 0) + 1)):
            raise BenchError(f"{name} was sent {len(found)} events, not {first} to {heads.get(name, 0)}")


# --- one event ------------------------------------------------------------------------------------

def latency(bench):
    """From the end of the commit's fsync, as the preloaded count_syncs.so notes it, to the recv."""
    page = bench.work / "syncs"
    page.write_bytes(bytes(8 * (2 + SYNC_TIMES)))

    def measure(server):
        names = seeds.names_of("accounts")
        took = {}
        for kind in KINDS:
            took[kind] = sorted(latencies(server.port, kind, names, page))
        return {f"{kind}_{name}": values[int(share * len(values))]
                for kind, values in took.items() for name, share in (("p50_us", 0.5), ("p99_us", 0.99))}

    return {MIGCHAT: quiet(bench, "event-latency", "accounts", measure,
                           preload={"LD_PRELOAD": bench.tools.bin / "count_syncs.so",
                                    "BENCH_SYNC_COUNT": page})}


def latencies(port, kind, names, page):
    """The commit's sync is the first that ended after the send was begun."""
    own, other = names[:2]
    sender = servers.Client(port)
    cursor = sender.json(servers.request("GET", "/api/events", seeds.token(own)))["cursor"]
    body = json.dumps({"to_username": own, "content": "m" * seeds.CONTENT_BYTES}).encode()
    send = servers.request("POST", "/api/messages/send", seeds.token(other), body)
    stream = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    if kind != POLL:
        stream.sendall(followers.request(kind, seeds.token(own), cursor))
        while b"\r\n\r\n" not in stream.recv(READ_MAX_BYTES):
            pass
    found = []
    for _ in range(LATENCY_SENDS):
        if kind == POLL:
            stream.sendall(followers.request(kind, seeds.token(own), cursor))
        time.sleep(LATENCY_PAUSE_S)
        ended = sync_times(page)[1]
        sender.connection.sendall(send)
        event = stream.recv(READ_MAX_BYTES)
        arrived_ns = time.monotonic_ns()
        if b'"type":"message"' not in event:
            raise BenchError(f"no event came, but {event[:200]!r}")
        found.append((arrived_ns - sync_times(page)[2 + ended % SYNC_TIMES]) / 1e3)
        cursor = re.findall(rb'"cursor":"([\w:]+)"', event)[-1].decode()
        sender.answer()
    stream.close()
    sender.close()
    return found


def sync_times(page):
    """count_syncs.c's page: begun, ended, and when the last ones ended."""
    return struct.unpack(f"<{2 + SYNC_TIMES}Q", page.read_bytes())


# --- many events ----------------------------------------------------------------------------------

def catch_up(bench):
    return {MIGCHAT: {f"{kind}_per_s": statistics.median(
        quiet(bench, f"catch-up by {kind}", "lists", lambda server, kind=kind: caught_up(server, kind))["per_s"]
        for _ in range(bench.rounds)) for kind in KINDS}}


def caught_up(server, kind):
    names = [name for name in seeds.names_of("lists") if name.startswith("hundred")][:CATCH_UP_STREAMS]
    cursor = epoch(server.port, names[0]) + ":0"
    wanted = len(names) * CATCH_UP_ENTRIES
    followers.descriptors_allow(len(names))
    behind = all_kinds(names, cursor, [kind])
    with Followers(server.port) as streams:
        begun = time.monotonic()
        streams.connect(behind)
        streams.take_until(lambda: streams.event_count >= wanted, DEADLINE_S, "catch-up")
        took_s = streams.last_event_s - begun
        streams.take_while_any(SETTLE_S)
        return {"per_s": wanted / took_s,
                "sequences": {name: (1, each.sequence_numbers()) for name, each in zip(names, streams.all)}}


def followed(bench):
    """Sends of a round with and without followers; every event of those followed is looked for."""
    names = seeds.names_of("accounts")
    requests = servers.write_requests(bench.work / "requests" / "followed.requests", workloads.send(names))
    followers.descriptors_allow(len(names))
    rounds = []
    for number in range(bench.rounds):
        without = quiet(bench, "sends not followed", "accounts",
                        lambda server: {"per_s": sends_beside(bench, server, requests, number, ())[0]})
        beside = quiet(bench, "sends followed", "accounts",
                       lambda server: sends_followed(bench, server, requests, number, names))
        rounds.append((without["per_s"], beside))
    return {MIGCHAT: {"ratio": statistics.median(beside["per_s"] / without for without, beside in rounds),
                      "followed_per_s": statistics.median(beside["per_s"] for _, beside in rounds),
                      "events": sum(beside["events"] for _, beside in rounds),
                      "most_late_ms": max(beside["late_s"] for _, beside in rounds) * 1e3}}


def sends_followed(bench, server, requests, number, names):
    cursor = epoch(server.port, names[0]) + ":0"
    with Followers(server.port) as streams:
        streams.connect(all_kinds(names, cursor))
        streams.take_until(streams.are_open, DEADLINE_S, "follow")
        per_s, ended_s = sends_beside(bench, server, requests, number, (streams,))
        streams.take_while_any(SETTLE_S)
        return {"per_s": per_s, "events": streams.event_count,
                "late_s": max(streams.last_event_s - ended_s, 0.0),
                "sequences": {name: (1, each.sequence_numbers()) for name, each in zip(names, streams.all)}}


def sends_beside(bench, server, requests, number, all_streams):
    """Sends a second, and when the last was acknowledged."""
    load = servers.load(bench.tools, "run", "--port", server.port, "--requests", requests,
                        "--connections", 64, "--seed", 1_000 + number, "--warm", bench.warm_s,
                        "--seconds", bench.seconds)
    while load.poll() is None and all_streams:
        for streams in all_streams:
            streams.take(0.01)
    ended_s = time.monotonic()
    asked = servers.loaded(load)
    return asked["requests"] / asked["seconds"], ended_s


# --- many streams ---------------------------------------------------------------------------------

def all_kinds(names, cursor, kinds=KINDS):
    """A follower of each account, the kinds in turn."""
    return prepared((kinds[at % len(kinds)], seeds.token(name), cursor) for at, name in enumerate(names))


def reconnect(bench):
    followers.descriptors_allow(STREAMS)
    names = seeds.names_of("crowd")
    wake_up = servers.write_requests(bench.work / "requests" / "reconnect.requests", workloads.send_to_oneself(names))
    rounds = [quiet(bench, "reconnect", "crowd", lambda server: reconnected(bench, server, names, wake_up))
              for _ in range(bench.rounds)]
    took_s = [each["s"] for each in rounds]
    return {MIGCHAT: {"s": statistics.median(took_s), "least_s": min(took_s), "most_s": max(took_s),
                      "heads_s": statistics.median(each["heads_s"] for each in rounds)}}


def reconnected(bench, server, names, wake_up):
    """The server has just started: it knows none of them. That one has caught up shows when what is new comes."""
    wanted = all_kinds(names, epoch(server.port, names[0]) + ":0")
    with Followers(server.port) as streams:
        begun = time.monotonic()
        streams.connect(wanted)
        streams.take_until(streams.are_open, DEADLINE_S, "reconnect")
        heads_s = time.monotonic() - begun
        load = servers.load(bench.tools, "run", "--port", server.port, "--requests", wake_up,
                            "--connections", WAKE_UP_CONNECTIONS, "--once")
        streams.take_until(lambda: streams.event_count >= len(names), DEADLINE_S, "reconnect")
        took_s = streams.last_event_s - begun
        servers.loaded(load)
        return {"s": took_s, "heads_s": heads_s,
                "sequences": {name: (1, each.sequence_numbers()) for name, each in zip(names, streams.all)}}


def idle(bench, kinds):
    followers.descriptors_allow(STREAMS)
    return {MIGCHAT: quiet(bench, f"idle streams by {', '.join(kinds)}", "crowd",
                           lambda server: idle_measured(server, kinds))}


def rest_await(server, streams):
    """Until nothing comes and the server does nothing: of polls that wait nothing comes anyway."""
    for _ in range(round(DEADLINE_S / SETTLE_S)):
        before_s = machine.snapshot().processes[server.pid][0]
        streams.take_while_any(SETTLE_S)
        if machine.snapshot().processes[server.pid][0] - before_s < IDLE_USE_S:
            return
    raise BenchError(f"idle streams keep the server busy for {DEADLINE_S} s")


def idle_measured(server, kinds):
    names = seeds.names_of("crowd")
    cursor = epoch(server.port, names[0]) + ":0"
    # The pools and caches that everything after the first request shares.
    with Followers(server.port) as streams:
        streams.connect(all_kinds(names[:100], cursor, kinds))
        streams.take_while_any(SETTLE_S)
    time.sleep(SETTLE_S)
    before = machine.memory_bytes(server.pid, "VmRSS")
    with Followers(server.port) as streams:
        streams.connect(all_kinds(names, cursor, kinds))
        streams.take_until(streams.are_open, DEADLINE_S, "idle streams")
        rest_await(server, streams)
        held = machine.memory_bytes(server.pid, "VmRSS")
    return {"user_bytes_each": (held - before) / len(names), "rss": held, "streams": len(names)}
