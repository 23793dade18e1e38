"""The figures that are not requests a second: memory, start-up, and what a kill leaves behind."""

import json
import os
import signal
import sqlite3
import statistics
import subprocess

import machine
import seeds
import servers
import workloads
from servers import BARE, FASTIFY, MIGCHAT, NGINX, RAW, TUNED, UV, BenchError

IDLE_CONNECTIONS = 10_000
SPARE_DESCRIPTORS = 1_000
DESCRIPTORS_MIN = IDLE_CONNECTIONS + SPARE_DESCRIPTORS
KILL_AFTER_S = 1.0
STARTS_EACH = 5
ENTRY_MESSAGE_SENT = 1  # enum entry_kind


def all_figures():
    """(key, text, function(bench) -> {server: figures or a list of them})"""
    return [
        ("kill", "kill -9: every acknowledged send is there", kill),
        ("start-empty", "exec → first 200, empty database", lambda bench: start(bench, "empty")),
        ("start-history", "exec → first 200, 1.1 M messages and 10,000 accounts",
         lambda bench: start(bench, "history")),
        ("idle", f"{IDLE_CONNECTIONS:,} idle keep-alive connections",
         lambda bench: idle(bench, IDLE_CONNECTIONS, (MIGCHAT, RAW, UV, NGINX, FASTIFY))),
        ("idle-limit-full", "idle connections up to the descriptor limit",
         lambda bench: idle(bench, descriptor_limit(), (MIGCHAT,))),
        ("big-lists", "64 × list of 10,000 of different accounts, peak RSS",
         lambda bench: memory(bench, "lists", "tenthousand", 10_000)),
        ("pollers-full", "200 pollers of 5,000-message histories, RSS above idle",
         lambda bench: memory(bench, "pollers", "poller", 5_000)),
    ]


def descriptor_limit():
    return machine.descriptors_raise() - SPARE_DESCRIPTORS


# --- what is stored -------------------------------------------------------------------------------

def stored_keys(name, path):
    table, column = ("sent_key", "account_id") if name in (MIGCHAT, BARE) else ("sent_keys", "user_id")
    database = sqlite3.connect(path)
    try:
        return {key for key, _ in database.execute(f"SELECT key, {column} FROM {table}")}
    finally:
        database.close()


def stored_messages(name, path):
    database = sqlite3.connect(path)
    try:
        if name == MIGCHAT:
            # Both logs: the sender's and the recipient's.
            sent, received = database.execute(
                "SELECT count(*) FILTER (WHERE kind = ?1), count(*) FILTER (WHERE kind = ?1 + 1) FROM log",
                (ENTRY_MESSAGE_SENT,)).fetchone()
            if sent != received:
                raise BenchError(f"{sent} entries sent, {received} received")
            return sent
        return database.execute("SELECT count(*) FROM messages").fetchone()[0]
    finally:
        database.close()


def check_stored(name, path, acknowledged):
    stored = stored_messages(name, path)
    if stored != acknowledged:
        raise BenchError(f"{name}: {acknowledged} sends were acknowledged, {stored} are stored")


def kill(bench):
    """Sends at full speed, SIGKILL in the middle, and every acknowledged key must be there."""
    found = {}
    workload = workloads.Workload("kill", "", (), writes=True)
    requests = servers.write_requests(bench.work / "requests" / "kill.requests",
                                      workloads.send(seeds.names_of("accounts")))
    for name in (MIGCHAT, FASTIFY, TUNED):
        if name in bench.tools.missing:
            continue
        path = bench.database(workload, name)
        acked = bench.work / "acked"
        server = bench.servers.start(name, database=path)
        load = servers.load(bench.tools, "run", "--port", server.port, "--requests", requests,
                            "--connections", 64, "--seconds", 30, "--until-closed", "--acked", acked)
        try:
            load.wait(KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            pass
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        servers.loaded(load)
        acknowledged = set(acked.read_text().split())
        stored = stored_keys(name, path)
        lost = acknowledged - stored
        if lost:
            raise BenchError(f"{name}: {len(lost)} acknowledged sends are gone after kill -9")
        found[name] = {"acknowledged": len(acknowledged), "stored": len(stored)}
    return found


# --- start-up -------------------------------------------------------------------------------------

def start(bench, seed):
    found = {}
    workload = workloads.Workload("start", "", (), seed=seed, writes=False)
    for name in (MIGCHAT, FASTIFY, NGINX, UV):
        if name in bench.tools.missing:
            continue
        database = bench.database(workload, name)
        took = []
        for _ in range(STARTS_EACH):
            port = servers.free_port()
            command, env, folder = bench.servers.command(name, port, database)
            output = servers.run(
                [bench.tools.bin / "load", "start", "--port", port, "--core", machine.SERVER_CORE,
                 "--target", servers.ready_target(name), "--", *command], f"{name}'s start", env=env, cwd=folder,
                preexec_fn=machine.pin(machine.LOAD_CORE))
            took.append(json.loads(output)["first_answer_us"] / 1e3)
        found[name] = {"ms": statistics.median(took), "least_ms": min(took), "most_ms": max(took)}
    return found


# --- memory ---------------------------------------------------------------------------------------

def idle(bench, connections, names):
    found = {}
    workload = workloads.Workload("idle", "", (), seed="accounts", writes=True)
    asked = servers.write_requests(bench.work / "requests" / "idle.requests", workloads.health())
    for name in names:
        if name in bench.tools.missing:
            continue
        with bench.servers.running(name, database=bench.database(workload, name)) as server:
            at_start = machine.memory_bytes(server.pid, "VmRSS")
            poll = ["run", "--port", server.port, "--requests", asked, "--connections", 8,
                    "--pid", server.pid, "--seconds", bench.seconds]
            servers.loaded(servers.load(bench.tools, *poll))
            before = machine.memory_bytes(server.pid, "VmRSS")
            slab_before = slab_bytes()
            holder = servers.load(bench.tools, "idle", "--port", server.port, "--requests", asked,
                                  "--connections", connections, stdin=subprocess.PIPE)
            if holder.stdout.readline() != "ready\n":
                holder.kill()
                raise BenchError(f"{name}: {holder.stderr.read()[-400:]}")
            held = machine.memory_bytes(server.pid, "VmRSS")
            # Both ends of each connection are in this kernel.
            kernel = (slab_bytes() - slab_before) / 2
            polled = servers.loaded(servers.load(bench.tools, *poll))
            holder.communicate()
        found[name] = {"connections": connections, "start_rss": at_start, "rss": held,
                       "user_bytes_each": (held - before) / connections,
                       "kernel_bytes_each": max(kernel, 0) / connections,
                       "poll_p99_us": polled["classes"][0]["p99_us"],
                       "poll_cpu_us": polled["cpu_ns"] / 1e3 / polled["requests"]}
    return found


def slab_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("Slab:"):
                return int(line.split()[1]) * 1024
    raise BenchError("/proc/meminfo has no Slab")


def memory(bench, seed, prefix, wanted):
    """Resident memory while as many connections as there are accounts poll their lists."""
    found = {}
    workload = workloads.Workload(f"memory-{prefix}", "", (MIGCHAT, FASTIFY), seed=seed,
                                  rows=workloads.lists(prefix, wanted))
    paths, _ = bench.requests(workload)
    for name in bench.servers_of(workload):
        accounts = sum(each.startswith(prefix) for each in seeds.names_of(seed))
        with bench.servers.running(name, database=bench.database(workload, name)) as server:
            before = machine.memory_bytes(server.pid, "VmRSS")
            # Fastify needs seconds for the first answer of so many.
            servers.loaded(servers.load(bench.tools, "run", "--port", server.port, "--requests",
                                        paths[name]["measured"], "--connections", accounts, "--count",
                                        accounts * 4))
            found[name] = {"idle_rss": before, "rss": machine.memory_bytes(server.pid, "VmRSS"),
                           "peak_rss": machine.memory_bytes(server.pid, "VmHWM")}
    return found
