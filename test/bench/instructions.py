"""./run bench --check: how many instructions a request costs, counted by valgrind.

Unlike times, these figures hardly differ from run to run or machine to machine, so they show slow
creep. The server runs under callgrind twice, with few requests and with many, one connection, one
after the other; the slope between the two is the cost of one, and start and stop cancel out.
instructions.json keeps the figures of each Debian release, since libraries are counted too.
"""

import json
import os
import pathlib
import re
import shutil
import statistics

import seeds
import servers
import workloads
from servers import MIGCHAT, BenchError

KEPT = pathlib.Path(__file__).resolve().parent / "instructions.json"
TOLERANCE = 0.05
FEW, MANY = 200, 1_200
# More sends, and the median of some runs: when checkpoints come is not the same each time.
FEW_SENDS, MANY_SENDS, RUNS_OF_SENDS = 500, 4_500, 3
SEED = "check"
LOAD_DEADLINE_S = 300


def asked():
    """name -> [request, ...]; each goes round among them, so MANY of them are each asked once."""
    names = seeds.names_of(SEED)
    users = [name for name in names if name.startswith("user")]
    readers = [name for name in names if name.startswith("hundred")][:MANY]
    found = {"health": workloads.health(), "send": workloads.send(users, pairs=100),
             "send, 468 bytes": workloads.send(users, bytes_of_content=seeds.CIPHERTEXT_BYTES, pairs=100)}
    for name, target in (("list of 100", "/api/messages"), ("conversations", "/api/conversations")):
        reads = [(servers.request("GET", target, seeds.token(reader)), workloads.READ, 200, -1)
                 for reader in readers]
        found[f"{name}, first read"] = reads
        found[f"{name}, unchanged"] = reads[:1]
    return found


def release():
    with open("/etc/os-release", encoding="utf-8") as file:
        found = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.MULTILINE)
    return f"{found.group(1) if found else 'unknown'} {os.uname().machine}"


def counted(tools, seed, requests, count):
    """Instructions of a whole life of the server with this many requests."""
    database = seeds.copy(seed, tools.work / "databases" / "check.db")
    folder = tools.work / "callgrind"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    output = folder / "counts"
    running = Callgrind(tools, output)
    with running.running(MIGCHAT, database=database) as server:
        servers.loaded(servers.load(tools, "run", "--port", server.port, "--requests", requests,
                                    "--count", count), LOAD_DEADLINE_S)
    totals = [int(each) for path in folder.glob("counts*")
              for each in re.findall(r"^(?:totals|summary): (\d+)$", path.read_text(), re.MULTILINE)[-1:]]
    if not totals:
        raise BenchError("callgrind left no counts")
    return sum(totals)


class Callgrind(servers.Servers):
    def __init__(self, tools, output):
        super().__init__(tools)
        self.output = output

    def command(self, name, port, database=None, body=None, **options):
        command, env, folder = super().command(name, port, database, body, **options)
        return (["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={self.output}",
                 *command], env, folder)


def check_lists(tools, seed):
    """That the lists whose instructions are counted are whole; the counting looks at the status alone."""
    database = seeds.copy(seed, tools.work / "databases" / "check.db")
    with servers.Servers(tools).running(MIGCHAT, database=database) as server:
        client = servers.Client(server.port)
        for target, wanted in (("/api/messages", 100), ("/api/conversations", 50)):
            workload = workloads.Workload("check", "", (), seed=SEED)
            workloads.lists("hundred", wanted, target, accounts=workloads.LOOKED_AT)(workload, MIGCHAT, client)
        client.close()


def measure(tools, say):
    found = {}
    folder = tools.work / "requests"
    folder.mkdir(exist_ok=True)
    seed = seeds.seed_path(tools.work, SEED, "migchat",
                           lambda path: servers.Servers(tools).start(MIGCHAT, database=path).stop(), say)
    check_lists(tools, seed)
    for name, rows in asked().items():
        requests = servers.write_requests(folder / "check.requests", rows)
        few, many, runs = (FEW_SENDS, MANY_SENDS, RUNS_OF_SENDS) if name.startswith("send") else (FEW, MANY, 1)
        found[name] = round(statistics.median(
            (counted(tools, seed, requests, many) - counted(tools, seed, requests, few)) / (many - few)
            for _ in range(runs)))
        say(f"{name}: {found[name]:,} instructions")
    return found


def check(tools, update):
    """Exit status: 0 when nothing has grown by more than 5 %, or after an update."""
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not there; ./run bench --check installs it")
    tools.make_load()
    found = measure(tools, tools.say)
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if update:
        kept[release()] = found
        KEPT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        return 0
    before = kept.get(release())
    if before is None:
        raise BenchError(f"{KEPT.name} has no figures for {release()}; --check --update keeps them")
    print("| request | instructions | kept | change |\n|---|--:|--:|--:|")
    grown = []
    for name, value in found.items():
        if name not in before:
            raise BenchError(f"{KEPT.name} has no figure for '{name}'; --check --update keeps it")
        change = value / before[name] - 1
        print(f"| {name} | {value:,} | {before[name]:,} | {100 * change:+.1f} % |")
        if change > TOLERANCE:
            grown.append(name)
    fallen = [name for name, value in found.items() if value < before[name] * (1 - TOLERANCE)]
    if fallen:
        print(f"\nFallen by more than {100 * TOLERANCE:.0f} %, which may creep back unseen until it is kept "
              f"(./run bench --check --update): {', '.join(fallen)}.")
    if grown:
        print(f"\nGrown by more than {100 * TOLERANCE:.0f} %: {', '.join(grown)}. "
              "If that is wanted, keep it with ./run bench --check --update.")
    return 1 if grown else 0
