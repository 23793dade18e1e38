"""The bars: what each workload has to reach, as a ratio within a round or a figure of its own."""

import dataclasses
import statistics

from followers import KINDS
from servers import BARE, FASTIFY, MIGCHAT, NGINX, RAW, TUNED

MB = 1_000_000
FIT_CONNECTIONS, FIT_CONNECTIONS_AIM = 50_000, 55_000
MACHINE_BYTES = 256 * MB
# A core hashes five a second at cost 12: with nothing hashed, a bar beside it would say nothing.
HASHED_PER_S_MIN = {"health-beside-hashing": 1, "send-beside-hashing": 2.5}
SPARE_BYTES = 190 * MB  # of it, beside a system


@dataclasses.dataclass
class Bar:
    """`value(results)` is to be at least or at most `limit`; KeyError means not measured."""
    workload: str
    text: str
    value: object
    limit: float
    at_most: bool = False
    unit: str = "×"
    aim: str = ""
    is_aim: bool = False  # there is no bar for it

    def holds(self, value):
        return value <= self.limit if self.at_most else value >= self.limit

    def wanted(self):
        number = f"{self.limit:,.0f}" if self.limit >= 1000 else f"{self.limit:g}"
        aim = " (the aim)" if self.is_aim else ""
        return f"{'≤' if self.at_most else '≥'} {number} {self.unit} {self.text}".strip() + aim


def paired(workload, field, other, own_workload=None):
    """Median over the rounds of ours by the other's figure of the same round."""
    def value(results):
        own = by_round(results[own_workload or workload][MIGCHAT])
        theirs = by_round(results[workload][other])
        common = sorted(own.keys() & theirs.keys())
        if not common:
            raise KeyError(workload)
        return statistics.median(own[at][field] / theirs[at][field] for at in common)
    return value


def by_round(rounds):
    """Some rounds of a workload may have been dropped."""
    return {each["round"]: each for each in rounds}


def own(workload, field, scale=1.0):
    return lambda results: statistics.median(each[field] for each in results[workload][MIGCHAT]) * scale


def single(key, field, scale=1.0):
    return lambda results: results[key][MIGCHAT][field] * scale


def fit_bytes(results, connections):
    """What a server with so many idle connections takes, as measured bytes each."""
    found = results["idle-limit-full"][MIGCHAT]
    if found["kernel_bytes_each"] <= 0:
        raise KeyError("what others gave back to the kernel meanwhile was more")
    return found["polled_rss"] + connections * (found["user_bytes_each"] + found["kernel_bytes_each"])


def growth(kind):
    return paired(f"{kind}-1e3", "cpu_us", MIGCHAT, own_workload=f"{kind}-1e6")


def all_bars():
    bars = []
    for key in ("health-64", "health-256"):
        bars += [Bar(key, "raw epoll's CPU", paired(key, "cpu_us", RAW), 1.15, True, aim="≤ 1.08"),
                 Bar(key, "nginx' CPU", paired(key, "cpu_us", NGINX), 0.95, True)]
    key = "health-pipelined"
    bars += [Bar(key, "nginx", paired(key, "per_s", NGINX), 6),
             Bar(key, "raw epoll", paired(key, "per_s", RAW), 0.85, is_aim=True)]
    for key in ("send-64", "send-64-468"):
        bars += [Bar(key, "Fastify", paired(key, "per_s", FASTIFY), 6, aim="≥ 10"),
                 Bar(key, "tuned", paired(key, "per_s", TUNED), 1, aim="≥ 1.5"),
                 Bar(key, "bare loop", paired(key, "per_s", BARE), 0.7),
                 Bar(key, "a fsync", own(key, "sends_per_sync"), 25, unit="sends"),
                 Bar(key, "p99", own(key, "p99_us", 1e-3), 8, True, "ms", aim="≤ 5 ms")]
    bars += [
        Bar("send-1", "bare loop's p50", paired("send-1", "p50_us", BARE), 1.7, True, aim="≤ 1.3"),
        Bar("list-100-same", "Fastify", paired("list-100-same", "per_s", FASTIFY), 20),
        Bar("list-100-same", "raw epoll", paired("list-100-same", "per_s", RAW), 0.95, is_aim=True),
        Bar("list-100", "Fastify", paired("list-100", "per_s", FASTIFY), 8, aim="≥ 12"),
        Bar("list-10000", "Fastify", paired("list-10000", "per_s", FASTIFY), 12, aim="≥ 25"),
        Bar("if-none-match", "health's CPU",
            paired("health-64", "cpu_us", MIGCHAT, own_workload="if-none-match"), 1.3, True, aim="≤ 1.1"),
        Bar("conversations-200", "Fastify", paired("conversations-200", "per_s", FASTIFY), 7),
        *(Bar(f"conversations-{size}", "CPU", own(f"conversations-{size}", "cpu_us"), 35, True, "µs",
              is_aim=True) for size in (200, 10_000)),
        Bar("conversations-10000", "Fastify", paired("conversations-10000", "per_s", FASTIFY), 100),
    ]
    for kind in ("page", "conversations", "send"):
        bars.append(Bar(f"{kind}-1e6", "the CPU at 1e3", growth(kind), 1.25, True, aim="≤ 1.15"))
    bars += [
        Bar("create", "bcrypt", paired("create", "per_s", BARE), 0.97),
        Bar("create-beside", "bcrypt", single("create-beside", "of_bcrypt"), 0.97),
        Bar("create-beside", "p99 of health", single("create-beside", "health_p99_us", 1e-3), 4, True, "ms"),
        Bar("health-beside-hashing", "p99", own("health-beside-hashing", "p99_us", 1e-3), 4, True, "ms"),
        *(Bar(key, "hashed meanwhile", own(key, "hashed_per_s"), least, unit="a second")
          for key, least in HASHED_PER_S_MIN.items()),
        Bar("health-two-cores", "p99", own("health-two-cores", "p99_us", 1e-3), 1, True, "ms", is_aim=True),
        Bar("send-beside-hashing", "undisturbed",
            paired("send-two-cores", "per_s", MIGCHAT, own_workload="send-beside-hashing"), 0.7),
        Bar("send-beside-flood", "undisturbed",
            paired("send-two-cores", "per_s", MIGCHAT, own_workload="send-beside-flood"), 0.9),
        Bar("read-beside-flood", "undisturbed",
            paired("read-two-cores", "per_s", MIGCHAT, own_workload="read-beside-flood"), 0.9),
        Bar("pollers-full", "above idle", lambda results: (results["pollers-full"][MIGCHAT]["rss"]
                                                           - results["pollers-full"][MIGCHAT]["idle_rss"]) / MB,
            24, True, "MB"),
        Bar("big-lists", "peak", single("big-lists", "peak_rss", 1 / MB), 64, True, "MB", aim="≤ 40 MB"),
        Bar("idle", "each, user memory", single("idle", "user_bytes_each"), 512, True, "bytes", aim="≤ 400"),
        Bar("idle", "after start", single("idle", "start_rss", 1 / MB), 5, True, "MB", aim="≤ 4 MB"),
        Bar("idle", "with the connections", single("idle", "rss", 1 / MB), 10, True, "MB"),
        Bar("idle-limit-full", "p99 of polls", single("idle-limit-full", "poll_p99_us", 1e-3), 10, True, "ms"),
        Bar("idle-limit-full", "with the connections, kernel and all",
            lambda results: fit_bytes(results, results["idle-limit-full"][MIGCHAT]["connections"]) / MB,
            MACHINE_BYTES / MB, True, "MB"),
        Bar("idle-limit-full", f"with {FIT_CONNECTIONS:,} of them",
            lambda results: fit_bytes(results, FIT_CONNECTIONS) / MB, MACHINE_BYTES / MB, True, "MB"),
        Bar("idle-limit-full", f"with {FIT_CONNECTIONS_AIM:,} of them",
            lambda results: fit_bytes(results, FIT_CONNECTIONS_AIM) / MB, MACHINE_BYTES / MB, True, "MB", is_aim=True),
        Bar("idle-limit-full", f"with {FIT_CONNECTIONS:,} of them beside a system",
            lambda results: fit_bytes(results, FIT_CONNECTIONS) / MB, SPARE_BYTES / MB, True, "MB", is_aim=True),
        *(Bar("event-latency", f"p50 by {kind}", single("event-latency", f"{kind}_p50_us", 1e-3), 0.3, True, "ms")
          for kind in KINDS),
        *(Bar("event-latency", f"p99 by {kind}", single("event-latency", f"{kind}_p99_us", 1e-3), 2, True, "ms")
          for kind in KINDS),
        *(Bar("catch-up", f"by {kind}", single("catch-up", f"{kind}_per_s"), 60_000, unit="events/s")
          for kind in KINDS),
        Bar("send-followed", "not followed", single("send-followed", "ratio"), 0.6),
        Bar("reconnect", "", single("reconnect", "s"), 3, True, "s"),
        *(bar for key in ("idle-streams", *(f"idle-streams-{kind}-full" for kind in KINDS)) for bar in (
            Bar(key, "each, user memory", single(key, "user_bytes_each"), 1536, True, "bytes"),
            Bar(key, "with the streams", single(key, "rss", 1 / MB), 32, True, "MB"))),
        Bar("start-empty", "", single("start-empty", "ms"), 8, True, "ms", aim="≤ 5 ms"),
        Bar("start-history", "", single("start-history", "ms"), 20, True, "ms", aim="≤ 5 ms"),
    ]
    return bars


@dataclasses.dataclass
class Verdict:
    bar: Bar
    value: float | None  # None: not measured

    @property
    def reached(self):
        return self.value is not None and self.bar.holds(self.value)

    def text(self):
        if self.value is None:
            return f"{self.bar.wanted()}: **not measured**"
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        word = "reached" if self.reached else "**not reached**"
        return f"{self.bar.wanted()}: {value} {word}"


def judge(results, asked):
    """A verdict for each bar of the workloads asked for; one whose figures are missing is not reached."""
    verdicts = []
    for bar in all_bars():
        if bar.workload not in asked:
            continue
        try:
            value = bar.value(results)
        except (KeyError, ZeroDivisionError):
            value = None
        verdicts.append(Verdict(bar, value))
    return verdicts
