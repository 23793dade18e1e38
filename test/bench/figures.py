"""The figures that are not requests a second: memory, start-up, and what a kill leaves behind."""

import json
import os
import signal
import statistics
import subprocess
import time

import machine
import seeds
import servers
import stored
import workloads
from servers import FASTIFY, MIGCHAT, NGINX, RAW, TUNED, UV, BenchError

IDLE_CONNECTIONS = 10_000
SPARE_DESCRIPTORS = 1_000
DESCRIPTORS_MIN = IDLE_CONNECTIONS + SPARE_DESCRIPTORS
KILL_AFTER_S = 1.0
STARTS_EACH = 5  # a round
POLLS_BESIDE_IDLE = 8
POLLS_EACH = 4
POLL_IDLE_MAX_S = 1.0  # a kind's polls beside its idle connections, before and with them
POLL_PAUSE_S = 0.01
SAMPLE_PAUSE_S = 0.02


def all_figures():
    """(key, text, function(bench) -> {server: figures or a list of them})"""
    return [
        *((key, f"kill -9: every acknowledged send is there, {size} bytes", lambda bench, size=size: kill(bench, size))
          for key, size in (("kill", seeds.CONTENT_BYTES), ("kill-468", seeds.CIPHERTEXT_BYTES))),
        ("create-beside", f"creates at full speed on one core, health asked every {POLL_PAUSE_S * 1e3:.0f} ms "
         "meanwhile", create_beside),
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


# --- what a kill leaves behind --------------------------------------------------------------------

def kill(bench, content_bytes):
    """Sends at full speed, SIGKILL in the middle, and every acknowledged message must be there, whole."""
    found = {}
    workload = workloads.Workload("kill", "", (), writes=True)
    requests = servers.write_requests(bench.work / "requests" / "kill.requests",
                                      workloads.send(seeds.names_of("accounts"), content_bytes))
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
        kept = stored.whole_keys(name, path, content_bytes)
        lost = acknowledged - kept
        if lost or not acknowledged:
            raise BenchError(f"{name}: {len(lost)} of {len(acknowledged)} acknowledged sends are gone after kill -9")
        if name == MIGCHAT:
            servers.run([bench.tools.binary, "verify", path], "verify after kill -9")
        found[name] = {"acknowledged": len(acknowledged), "stored": len(kept)}
    return found


# --- creates, and who asks beside them ------------------------------------------------------------

def create_beside(bench):
    """What is created against what the core can hash, and how long health takes while it hashes."""
    workload = next(each for each in workloads.all_workloads() if each.key == "create")
    requests = servers.write_requests(bench.work / "requests" / "create-beside.requests",
                                      workload.rows(workload, MIGCHAT, None))
    rounds = []
    for _ in range(bench.rounds):
        created = bench.quiet("creates with health beside them",
                              lambda pids: created_beside(bench, workload, requests, pids))
        hashed = bench.quiet("bcrypt", lambda pids: bench.bare(workload, pids))
        rounds.append({**created, "of_bcrypt": created["per_s"] / hashed["per_s"]})
    found = {key: statistics.median(each[key] for each in rounds) for key in ("per_s", "of_bcrypt", "health_p99_us")}
    return {MIGCHAT: {**found, "most_health_p99_us": max(each["health_p99_us"] for each in rounds)}}


def created_beside(bench, workload, requests, pids):
    with bench.servers.running(MIGCHAT, database=bench.database(workload, MIGCHAT)) as server, machine.on_load_core():
        pids.append(server.pid)
        client = servers.Client(server.port)
        health = servers.request("GET", "/health")
        took_us = []
        before = machine.snapshot()
        load = servers.load(bench.tools, "run", "--port", server.port, "--requests", requests,
                            "--connections", workload.connections, "--count", workload.count)
        try:
            while load.poll() is None:
                begun_ns = time.monotonic_ns()
                status, *_ = client.ask(health)
                took_us.append((time.monotonic_ns() - begun_ns) / 1e3)
                if status != 200:
                    raise BenchError(f"health was answered {status} beside creates")
                time.sleep(POLL_PAUSE_S)
        except BaseException:
            load.kill()
            raise
        created = servers.loaded(load)
        after = machine.snapshot()
        client.close()
    return {"per_s": created["requests"] / created["seconds"], "before": before, "after": after,
            "health_p99_us": sorted(took_us)[int(0.99 * len(took_us))]}


# --- start-up -------------------------------------------------------------------------------------

def start(bench, seed):
    workload = workloads.Workload("start", "", (), seed=seed, writes=False)
    took = {}
    for _ in range(bench.rounds):
        for name in (MIGCHAT, FASTIFY, NGINX, UV):
            if name not in bench.tools.missing:
                database = bench.database(workload, name)
                result = bench.quiet(f"start of {name}", lambda pids, name=name, database=database:
                                     started(bench, name, database))
                took.setdefault(name, []).extend(result["ms"])
    return {name: {"ms": statistics.median(each), "least_ms": min(each), "most_ms": max(each)}
            for name, each in took.items()}


def started(bench, name, database):
    took_ms = []
    before = machine.snapshot()
    for _ in range(STARTS_EACH):
        port = servers.free_port()
        command, env, folder = bench.servers.command(name, port, database)
        output = servers.run(
            [bench.tools.bin / "load", "start", "--port", port, "--core", machine.SERVER_CORE,
             "--target", servers.ready_target(name), "--", *command], f"{name}'s start", env=env, cwd=folder,
            preexec_fn=machine.pin(machine.LOAD_CORE))
        took_ms.append(json.loads(output)["first_answer_us"] / 1e3)
    return {"ms": took_ms, "before": before, "after": machine.snapshot()}


# --- memory ---------------------------------------------------------------------------------------

def idle(bench, connections, names):
    workload = workloads.Workload("idle", "", (), seed="accounts", writes=True)
    rounds = {}
    for number in range(bench.rounds):
        for name in names:
            # The peers once where there are ten minutes for all.
            is_asked = number == 0 or name == MIGCHAT or bench.options.full
            if is_asked and name not in bench.tools.missing:
                rounds.setdefault(name, []).append(bench.quiet(
                    f"{connections:,} idle connections of {name}", lambda pids, name=name:
                    held(bench, name, bench.database(workload, name), connections, pids)))
    return {name: {**{key: statistics.median(each[key] for each in found) for key in found[0]},
                   "least_user_bytes_each": min(each["user_bytes_each"] for each in found),
                   "most_user_bytes_each": max(each["user_bytes_each"] for each in found),
                   "most_kernel_bytes_each": max(each["kernel_bytes_each"] for each in found)}
            for name, found in rounds.items()}


def held(bench, name, database, connections, pids):
    """Idle connections, and what polls take beside them: of a list that has not changed where there are lists."""
    requests = bench.work / "requests"
    asked = servers.write_requests(requests / "idle.requests", workloads.health())
    with bench.servers.running(name, database=database) as server:
        pids.append(server.pid)
        at_start = machine.memory_bytes(server.pid, "VmRSS")
        polls = asked
        if name == MIGCHAT:
            polls = servers.write_requests(requests / "idle-polls.requests", unchanged_polls(server))
        poll = ["run", "--port", server.port, "--requests", polls, "--connections", POLLS_BESIDE_IDLE,
                "--pid", server.pid, "--seconds", min(bench.seconds, POLL_IDLE_MAX_S)]
        before = machine.snapshot()
        servers.loaded(servers.load(bench.tools, *poll))
        rss_before = machine.memory_bytes(server.pid, "VmRSS")
        caches_before = machine.kernel_caches()
        holder = servers.load(bench.tools, "idle", "--port", server.port, "--requests", asked,
                              "--connections", connections, stdin=subprocess.PIPE)
        if holder.stdout.readline() != "ready\n":
            holder.kill()
            raise BenchError(f"{name}: {holder.stderr.read()[-400:]}")
        rss = machine.memory_bytes(server.pid, "VmRSS")
        # Both ends of each connection are in this kernel.
        kernel = machine.kernel_growth(caches_before, machine.kernel_caches(), connections) / 2
        polled = servers.loaded(servers.load(bench.tools, *poll))
        holder.communicate()
        after = machine.snapshot()
    return {"connections": connections, "start_rss": at_start, "polled_rss": rss_before, "rss": rss,
            "user_bytes_each": (rss - rss_before) / connections,
            "kernel_bytes_each": kernel / connections,
            "poll_p99_us": polled["classes"][0]["p99_us"],
            "poll_cpu_us": polled["cpu_ns"] / 1e3 / polled["requests"],
            "before": before, "after": after}


def unchanged_polls(server):
    """Of accounts with a message each."""
    client = servers.Client(server.port)
    names = seeds.names_of("accounts")[:POLLS_BESIDE_IDLE]
    for asked, *_ in workloads.send_to_oneself(names):
        client.json(asked)
    rows = [row for name in names for row in workloads.unchanged_list(client, name)]
    client.close()
    return rows


def memory(bench, seed, prefix, wanted):
    """Resident memory while as many connections as there are accounts poll their lists."""
    workload = workloads.Workload(f"memory-{prefix}", "", (MIGCHAT, FASTIFY), seed=seed,
                                  rows=workloads.lists(prefix, wanted))
    accounts = sum(each.startswith(prefix) for each in seeds.names_of(seed))
    paths, _ = bench.requests(workload)
    rounds = {}
    for _ in range(bench.rounds):
        for name in bench.servers_of(workload):
            database = bench.database(workload, name)
            rounds.setdefault(name, []).append(bench.quiet(
                f"{accounts} lists of {name}", lambda pids, name=name, database=database:
                polled(bench, name, database, paths[name]["measured"], accounts, pids)))
    return {name: {**{key: statistics.median(each[key] for each in found) for key in ("idle_rss", "rss", "peak_rss")},
                   "least_peak_rss": min(each["peak_rss"] for each in found),
                   "most_peak_rss": max(each["peak_rss"] for each in found)}
            for name, found in rounds.items()}


def polled(bench, name, database, requests, accounts, pids):
    """Looked at while they are connected and all lists have been asked for once; the peak is the kernel's own."""
    with bench.servers.running(name, database=database) as server:
        pids.append(server.pid)
        idle_rss = machine.memory_bytes(server.pid, "VmRSS")
        before = machine.snapshot()
        # Fastify needs seconds for the first answer of so many.
        load = servers.load(bench.tools, "run", "--port", server.port, "--requests", requests,
                            "--connections", accounts, "--count", accounts * POLLS_EACH)
        samples = []
        while load.poll() is None:
            samples.append(machine.memory_bytes(server.pid, "VmRSS"))
            time.sleep(SAMPLE_PAUSE_S)
        servers.loaded(load)
        after = machine.snapshot()
        return {"idle_rss": idle_rss, "rss": statistics.median(samples[len(samples) // POLLS_EACH:]),
                "peak_rss": machine.memory_bytes(server.pid, "VmHWM"), "before": before, "after": after}
