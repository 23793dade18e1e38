#!/usr/bin/python3
"""./run bench: our server and its peers under the same load, in the same run.

The server runs on one core, the load generator on the other. Each round goes through all servers
of a workload, so what the machine does meanwhile hits all alike; figures are medians over the
rounds, and bars are judged by ratios within a round. A measurement during which other processes, or the
hypervisor, took more than a few per cent of a core is repeated, and its workload's round dropped
in the end. Where most rounds of a workload were, it gets more of them; a workload that still has
too few, or a single figure twice disturbed, makes the exit status 3.

  ./run bench                  a table in under ten minutes (three rounds of one second)
  ./run bench --full           every workload, five rounds of three seconds
  ./run bench --only send      the workloads with this in their name
  ./run bench --allow-noise    measures on a busy machine too, and says so
  ./run bench --check          instructions per request (instructions.py)
"""

import argparse
import json
import pathlib
import shutil
import statistics
import sys
import time

import bars
import figures
import instructions
import machine
import realtime
import report
import seeds
import servers
import stored
import workloads
from servers import BARE, MIGCHAT, BenchError

REPEATS_MAX = 3
PAUSE_S = 2.0  # before a second attempt; the next pauses are longer, since what disturbs takes its time
EXIT_BROKEN, EXIT_NOISY = 1, 3
WARM_S = 0.3
WARM_FULL_S = 1.0
HASH_MEASURE_S = 4.0  # at cost 12 a core makes five hashes a second
# First reads end with the accounts there are, some after 3 ms: a fresh server reads them once more.
FIRST_READS_S = 0.5
FIRST_READS_PASSES_MAX = 4
FLOOD_FIRST = 16  # log-ins and sign-ups, after which all are refused


class Noisy(Exception):
    """Others used the machine; the text says who."""


class Bench:
    def __init__(self, tools, options):
        self.tools = tools
        self.servers = servers.Servers(tools)
        self.options = options
        self.say = tools.say
        self.work = tools.work
        self.seconds = options.seconds or (3.0 if options.full else 1.0)
        self.warm_s = WARM_FULL_S if options.full else WARM_S
        self.rounds = options.rounds or (5 if options.full else 3)
        self.results = {}   # workload -> server -> [figures of a round]
        self.dropped = []   # rounds of a workload in which others used the machine, and figures: why
        self.noise = []     # what was measured although others used the machine
        self.checks = []    # (what was verified, in words)
        self.messages_at_start = {}  # (seed, server) -> how many
        self.seed_number = 0
        self.chosen = [each for each in workloads.all_workloads() if self.is_wanted(each.key, each.only_full)]
        self.figures_chosen = [each for each in figures.all_figures() + realtime.all_figures()
                               if self.is_wanted(each[0], is_only_full(each[0]))]

    # --- databases --------------------------------------------------------------------------------

    def seed(self, name, server):
        flavour = "migchat" if server in (MIGCHAT, BARE) else "peer"
        return seeds.seed_path(self.work, name, flavour, self.adopt, self.say)

    def adopt(self, path):
        """Our server takes over the Rust server's file and is stopped again."""
        self.servers.start(MIGCHAT, database=path).stop()

    def database(self, workload, server):
        """Where the server finds its database: its own copy, a fresh one if it will be written."""
        if server in (servers.RAW, servers.UV, servers.NGINX):
            return None
        flavour = "migchat" if server in (MIGCHAT, BARE) else "peer"
        target = self.work / "databases" / f"{workload.seed}-{flavour}.db"
        source = self.seed(workload.seed, server)
        writes = workload.writes or workload.count
        if writes or not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            if writes:
                target = target.with_name(f"written-{flavour}.db")
            seeds.copy(source, target)
        return target

    # --- requests ---------------------------------------------------------------------------------

    def requests(self, workload):
        """Requests files of each server, and of the load beside it; the answers looked at first."""
        paths = {}
        folder = self.work / "requests"
        folder.mkdir(exist_ok=True)
        body = self.body(workload) if workload.body_of else None
        for name in self.servers_of(workload):
            if name == BARE:
                continue
            with self.servers.running(name, database=self.database(workload, name), body=body) as server:
                client = servers.Client(server.port)
                if name in (servers.RAW, servers.NGINX) and workload.body_of:
                    rows = [(servers.request("GET", "/api/messages"), workloads.READ, 200,
                             body.stat().st_size)]
                else:
                    rows = workload.rows(workload, name, client)
                stem = f"{workload.key}-{name.replace(' ', '-')}"
                paths[name] = {"measured": servers.write_requests(folder / f"{stem}.requests", rows)}
                for kind, more in (("beside", workload.background), ("before", workload.warmed_by)):
                    if more:
                        paths[name][kind] = servers.write_requests(
                            folder / f"{stem}.{kind}", more(workload, name, client))
                client.close()
        return paths, body

    def body(self, workload):
        """A file with what our server answers to the account's poll."""
        path = self.work / "bodies" / f"{workload.body_of}.json"
        path.parent.mkdir(exist_ok=True)
        with self.servers.running(MIGCHAT, database=self.database(workload, MIGCHAT)) as server:
            client = servers.Client(server.port)
            asked = servers.request("GET", "/api/messages", seeds.token(workload.body_of))
            path.write_bytes(client.ask(asked)[2])
            client.close()
        return path

    def servers_of(self, workload):
        wanted = (*workload.servers, *(workload.servers_full if self.options.full else ()))
        return [name for name in wanted if name not in self.tools.missing]

    # --- measuring --------------------------------------------------------------------------------

    def quiet(self, what, measure):
        """`measure(pids)` with nobody else on the machine. It adds the processes it started, and puts
        snapshots `before` and `after` what counts into its result: not the copying of a database, in
        which the others' share would be lost."""
        for attempt in range(REPEATS_MAX + 1):
            time.sleep(PAUSE_S * attempt)
            pids = []
            result = measure(pids)
            span = (result.pop("before"), result.pop("after"))
            share, who = machine.foreign_use(*span, pids)
            result["foreign"] = round(share, 3)
            if share <= machine.foreign_limit(*span):
                return result
            if self.options.allow_noise:
                self.noise.append(f"{what}: {who}")
                return result
            self.say(f"{what}: others took {100 * share:.0f} % of a core ({who}); attempt {attempt + 1}")
        raise Noisy(f"{what}: others took {100 * share:.0f} % of a core: {who}")

    def measure(self, workload, name, paths, body):
        if name == BARE:
            return self.quiet(f"{workload.text}, {name}", lambda pids: self.bare(workload, pids))
        passes = []
        while not passes or (workload.warmed_by and len(passes) < FIRST_READS_PASSES_MAX
                             and sum(each["seconds"] for each in passes) < FIRST_READS_S):
            passes.append(self.quiet(f"{workload.text}, {name}",
                                     lambda pids: self.ask(workload, name, paths[name], body, pids)))
        return together(passes)

    def ask(self, workload, name, paths, body, pids):
        database = self.database(workload, name)
        cores = (machine.SERVER_CORE, machine.LOAD_CORE) if workload.two_cores else (machine.SERVER_CORE,)
        key = (workload.seed, name)
        if workload.messages and key not in self.messages_at_start:
            self.messages_at_start[key] = stored.messages_count(name, database)
        counter = self.work / "syncs"
        preload = None
        if workload.sends:
            counter.write_bytes(bytes(8))
            preload = {"LD_PRELOAD": self.tools.bin / "count_syncs.so", "BENCH_SYNC_COUNT": counter}
        with self.servers.running(name, database=database, body=body, cores=cores, preload=preload,
                                  refuses_log_ins=workload.refuses_log_ins,
                                  keeps_answers=workload.keeps_answers) as server:
            pids.append(server.pid)
            if "before" in paths:
                self.load(server, paths["before"], workload.connections, "--seconds", self.warm_s * 2)
            if workload.refuses_log_ins:
                self.load(server, paths["beside"], workload.background_connections, "--count", FLOOD_FIRST)
            before = machine.snapshot()
            beside = None
            if "beside" in paths:
                beside = self.loading(server, paths["beside"], workload.background_connections,
                                      "--warm", self.warm_s, "--seconds", self.seconds)
            syncs_before = int.from_bytes(counter.read_bytes(), "little") if workload.sends else 0
            if workload.warmed_by:
                limit = ["--once"]
            elif workload.count:
                limit = ["--count", workload.count]
            else:
                limit = ["--warm", self.warm_s, "--seconds", self.seconds]
            asked = self.load(server, paths["measured"], workload.connections, *limit,
                              "--pipeline", workload.pipeline, "--pid", server.pid)
            hashed = {}
            if beside:
                done = servers.loaded(beside)
                if bool(acknowledged(done)) == workload.refuses_log_ins:
                    raise BenchError(f"{workload.text}: what was asked beside it was refused, or was not")
                if not workload.refuses_log_ins:
                    hashed["hashed_per_s"] = done["acknowledged_meanwhile"] / done["seconds"]
            after = machine.snapshot()
            result = {**self.figures(asked), **hashed, "before": before, "after": after}
            if workload.sends:
                syncs = int.from_bytes(counter.read_bytes(), "little") - syncs_before
                result["sends_per_sync"] = sends_per_sync(name, result["acknowledged"], syncs, workload.connections)
        if workload.messages:
            written = asked["classes"][workloads.WRITE]["acknowledged"]
            stored.check_count(name, database, self.messages_at_start[key] + written)
        return result

    def loading(self, server, requests, connections, *limit):
        """A load generator at work; its own numbers are used by no other."""
        self.seed_number += 1
        return servers.load(self.tools, "run", "--port", server.port, "--requests", requests,
                            "--connections", connections, "--seed", self.seed_number, *limit)

    def load(self, *arguments):
        return servers.loaded(self.loading(*arguments))

    @staticmethod
    def figures(asked):
        classes = [each for each in asked["classes"] if each["requests"]]
        if not classes:
            raise BenchError("nothing was answered in the time given")
        return {
            "per_s": asked["requests"] / asked["seconds"],
            "cpu_us": asked["cpu_ns"] / 1e3 / max(asked["requests"], 1),
            "p50_us": classes[0]["p50_us"], "p99_us": max(each["p99_us"] for each in classes),
            "max_us": max(each["max_us"] for each in classes),
            "acknowledged": acknowledged(asked),
            "requests": asked["requests"], "seconds": asked["seconds"],
        }

    def bare(self, workload, pids):
        """The same work without a server: the statements of a send, or the hash of a password."""
        del pids
        if workload.key == "create":
            command = ["bare_bcrypt", 12, HASH_MEASURE_S]
        else:
            size = seeds.CIPHERTEXT_BYTES if "468" in workload.key else seeds.CONTENT_BYTES
            command = ["bare_loop", self.database(workload, BARE), workload.connections, self.seconds, size,
                       "without-key" if "keyless" in workload.key else "with-key"]
        before = machine.snapshot()
        output = servers.run([self.tools.bin / command[0], *command[1:]], command[0],
                             preexec_fn=machine.pin(machine.SERVER_CORE))
        after = machine.snapshot()
        done = json.loads(output)
        result = {"before": before, "after": after, "per_s": done["requests"] / done["seconds"],
                  "cpu_us": done["cpu_ns"] / 1e3 / max(done["requests"], 1)}
        result.update({key: done[key] for key in ("p50_us", "p99_us") if key in done})
        return result

    # --- the run ----------------------------------------------------------------------------------

    def run(self):
        """All that is asked for; `results` has what was measured when it ends early, too."""
        chosen = self.chosen
        prepared = {each.key: self.requests(each) for each in chosen}
        self.checks.append("of each list and of conversations some were read in full first and checked for count and "
                           "order; each answer measured was checked for its status, and for the length that such a "
                           "reading had where nothing is sent meanwhile")
        for number in range(self.rounds):
            for workload in chosen:
                self.say(f"round {number + 1} of {self.rounds}: {workload.text}")
                self.round_measure(number, workload, prepared)
        for number in range(self.rounds, 2 * self.rounds):
            for workload in filter(self.has_too_few, chosen):
                self.say(f"another round: {workload.text}")
                self.round_measure(number, workload, prepared)
        if any(each.messages for each in chosen):
            self.checks.append("after each measurement with sends the server's database had got exactly the "
                               "messages acknowledged, in both logs")
        disturbed = [each for each in self.figures_chosen if not self.figure_measure(*each)]
        disturbed = [each for each in disturbed if not self.figure_measure(*each)]
        missing = [each.text for each in chosen if self.has_too_few(each)] + [text for _, text, _ in disturbed]
        if missing:
            raise Noisy(f"others used the machine too often to measure {', '.join(missing)}")

    def round_measure(self, number, workload, prepared):
        """All servers of a workload, or none: ratios are within a round."""
        try:
            measured = {name: self.measure(workload, name, *prepared[workload.key])
                        for name in self.servers_of(workload)}
        except Noisy as noisy:
            self.drop(noisy)
            return
        for name, result in measured.items():
            self.results.setdefault(workload.key, {}).setdefault(name, []).append({**result, "round": number})
        self.keep()

    def has_too_few(self, workload):
        """Rounds: not the most of those asked for."""
        measured = self.results.get(workload.key, {}).values()
        return min((len(rounds) for rounds in measured), default=0) <= self.rounds // 2

    def figure_measure(self, key, text, measure):
        """Whether nobody disturbed it."""
        self.say(text)
        try:
            measured = measure(self)
        except Noisy as noisy:
            self.drop(noisy)
            return False
        for name, result in measured.items():
            self.results.setdefault(key, {})[name] = result
        self.keep()
        return True

    def drop(self, noisy):
        self.dropped.append(str(noisy))
        self.say(f"dropped: {noisy}")

    def keep(self):
        """What there is so far, since a run may be ended from outside."""
        report.write_json(self, bars.judge(self.results, self.asked()), "not all is measured yet")

    def asked(self):
        return {each.key for each in self.chosen} | {key for key, _, _ in self.figures_chosen}

    def is_wanted(self, key, only_full):
        return ((self.options.full or not only_full) and
                (not self.options.only or any(each in key for each in self.options.only)))

    def descriptors_check(self):
        """Before the first round, not an hour later."""
        if machine.descriptors_raise() < figures.DESCRIPTORS_MIN and \
                any("idle" in key or key == "reconnect" for key, _, _ in self.figures_chosen):
            raise BenchError(f"idle connections and streams need {figures.DESCRIPTORS_MIN:,} descriptors: "
                             "raise the hard limit (ulimit -Hn), or choose others with --only")


def sends_per_sync(name, acknowledged_count, syncs, connections):
    """Each connection has one send in flight, so no sync can be that of more: else one was not waited for."""
    if acknowledged_count > syncs * connections:
        raise BenchError(f"{name}: {acknowledged_count:,} sends acknowledged on {connections} connections with "
                         f"{syncs:,} syncs; not all can have been on the disk")
    return acknowledged_count / syncs if syncs else 0.0


def together(passes):
    """One result of passes: each request counts alike, quantiles are the medians of theirs."""
    requests = sum(each["requests"] for each in passes)
    seconds = sum(each["seconds"] for each in passes)
    found = {**passes[0], "requests": requests, "seconds": seconds, "per_s": requests / seconds,
             "cpu_us": sum(each["cpu_us"] * each["requests"] for each in passes) / max(requests, 1),
             "acknowledged": sum(each["acknowledged"] for each in passes),
             "foreign": max(each["foreign"] for each in passes), "passes": len(passes)}
    for key in ("p50_us", "p99_us", "max_us"):
        found[key] = statistics.median(each[key] for each in passes)
    return found


def is_only_full(key):
    """Of a figure, by its name; a workload says so itself."""
    return key.endswith("-full")


def acknowledged(asked):
    return sum(each["acknowledged"] for each in asked["classes"])


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="every workload, five rounds of three seconds")
    parser.add_argument("--only", action="append", metavar="WORD", help="workloads with this in their name")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--seconds", type=float, metavar="S", help="for each measurement")
    parser.add_argument("--allow-noise", action="store_true", help="measure beside other processes too")
    parser.add_argument("--list", action="store_true", help="print the workloads")
    parser.add_argument("--check", action="store_true", help="compare instructions per request")
    parser.add_argument("--update", action="store_true", help="with --check: keep the figures measured")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main():
    options = arguments()
    if options.list:
        for each in workloads.all_workloads():
            print(f"{each.key:24} {each.text}{' (--full)' if each.only_full else ''}")
        for key, text, _ in figures.all_figures() + realtime.all_figures():
            print(f"{key:24} {text}{' (--full)' if is_only_full(key) else ''}")
        return 0
    tools = servers.Tools(pathlib.Path(options.build), pathlib.Path(options.binary), say)
    try:
        if options.check:
            return instructions.check(tools, options.update)
        if not machine.cores_are_enough():
            raise BenchError("it needs two processors, one for the server and one for the load")
        tools.make()
        bench = Bench(tools, options)
        bench.descriptors_check()
        return reported(bench)
    except BenchError as broken:
        say(str(broken))
        return EXIT_BROKEN
    finally:
        shutil.rmtree(tools.work / "databases", ignore_errors=True)


def reported(bench):
    """The run and its table; what was measured until something failed is told, too. The exit status."""
    begun = time.monotonic()
    failure, status = None, 0
    try:
        bench.run()
    except Noisy as noisy:
        failure, status = f"{noisy}. Wait until the machine is quiet, or use --allow-noise.", EXIT_NOISY
    except BenchError as broken:
        failure, status = str(broken), EXIT_BROKEN
    verdicts = bars.judge(bench.results, bench.asked())
    if bench.results:
        print(report.table(bench, bench.chosen, verdicts, time.monotonic() - begun, failure))
    say(f"all figures: {report.write_json(bench, verdicts, failure)}")
    if failure:
        say(failure)
    return status


if __name__ == "__main__":
    sys.exit(main())
