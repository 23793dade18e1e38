"""The table, and the same figures as JSON."""

import json
import platform
import statistics

import figures
import machine
import realtime
from followers import KINDS
from servers import MIGCHAT

MB = 1_000_000
HEAD = ("workload", "server", "figure", "CPU µs each", "p50 / p99 / max ms", "MigChat against it", "bar")


def table(bench, chosen, verdicts, took_s, failure):
    lines = [f"MigChat on {machine.description()}; {bench.rounds} rounds of {bench.seconds:g} s, "
             f"{took_s / 60:.0f} minutes; medians, ± half the range of the rounds. "
             "The server has one core, the load generator the other. \"MigChat against it\" is ours "
             "divided by the peer's figure of the same round: requests, and CPU time.", ""]
    if failure:
        lines += [f"**Not the whole run, which was given up: {failure.splitlines()[0]}**", ""]
    if bench.dropped:
        lines += [f"{len(bench.dropped)} rounds of a workload, or figures, were dropped because others used the "
                  "machine.", ""]
    if bench.noise:
        lines += [f"**Noisy: in {len(bench.noise)} measurements other processes took more than "
                  f"{100 * machine.FOREIGN_MAX_SHARE:.0f} % of a core. Not for publication.**", ""]
    lines += ["| " + " | ".join(HEAD) + " |", "|---|---|--:|--:|--:|--:|---|"]
    for workload in chosen:
        lines += rows_of(bench, workload, verdicts)
    for key, text, _ in figures.all_figures() + realtime.all_figures():
        lines += figure_rows(bench.results.get(key, {}), key, text, verdicts)
    lines += ["", bars_reached(verdicts)]
    if bench.checks:
        lines += ["; ".join(bench.checks) + "."]
    lines += [f"Left out: {name} ({why})." for name, why in bench.tools.missing.items()]
    return "\n".join(lines)


def rows_of(bench, workload, verdicts):
    measured = bench.results.get(workload.key, {})
    ours = measured.get(MIGCHAT)
    for name, rounds in measured.items():
        against = ""
        if name != MIGCHAT and ours:
            per_s, cpu = ([mine[field] / its[field] for mine, its in zip(ours, rounds) if its.get(field)]
                          for field in ("per_s", "cpu_us"))
            against = (f"{statistics.median(per_s):.2f} × {spread(per_s)}, "
                       f"CPU {statistics.median(cpu):.2f} {spread(cpu)}")
        yield row(workload.text if name == MIGCHAT else "", name, per_second(rounds),
                  f"{middle(rounds, 'cpu_us'):,.1f}", latency(rounds), against,
                  bar_text(workload.key, verdicts) if name == MIGCHAT else "")


def figure_rows(measured, key, text, verdicts):
    for name, found in measured.items():
        yield row(text if name == MIGCHAT else "", name, figure(found), "", "", "",
                  bar_text(key, verdicts) if name == MIGCHAT else "")


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def middle(rounds, field):
    return statistics.median(each[field] for each in rounds)


def per_second(rounds):
    values = [each["per_s"] for each in rounds]
    value = statistics.median(values)
    more = f", {middle(rounds, 'sends_per_sync'):.0f} a fsync" if "sends_per_sync" in rounds[0] else ""
    if "hashed_per_s" in rounds[0]:
        more += f", {middle(rounds, 'hashed_per_s'):.1f}/s hashed meanwhile"
    return (f"{value:,.2f}/s" if value < 100 else f"{value:,.0f}/s") + f" {spread(values)}{more}"


def spread(values):
    """Half of what lies between the least and the most."""
    return f"±{50 * (max(values) - min(values)) / statistics.median(values):.0f} %"


def latency(rounds):
    fields = [field for field in ("p50_us", "p99_us", "max_us") if field in rounds[0]]
    return " / ".join(f"{middle(rounds, field) / 1e3:.2f}" for field in fields)


def figure(found):
    if "acknowledged" in found:
        return f"{found['acknowledged']:,} acknowledged, {found['stored']:,} stored"
    if "ms" in found:
        return f"{found['ms']:.1f} ms ({found['least_ms']:.1f}–{found['most_ms']:.1f})"
    if "of_bcrypt" in found:
        return (f"{found['per_s']:.2f}/s, {found['of_bcrypt']:.3f} × bcrypt; health p99 "
                f"{found['health_p99_us'] / 1e3:.2f} ms (at most {found['most_health_p99_us'] / 1e3:.2f})")
    if "sse_per_s" in found:
        return ", ".join(f"{kind} {found[f'{kind}_per_s']:,.0f} events/s" for kind in KINDS)
    if "sse_p50_us" in found:
        return ", ".join(f"{kind} p50 {found[f'{kind}_p50_us'] / 1e3:.2f} p99 {found[f'{kind}_p99_us'] / 1e3:.2f} ms"
                         for kind in KINDS)
    if "ratio" in found:
        return (f"{found['followed_per_s']:,.0f}/s followed, {found['ratio']:.2f} × not followed; "
                f"{found['events']:,} events, the last {found['most_late_ms']:.0f} ms after the last answer")
    if "most_s" in found:
        return (f"{found['s']:.2f} s ({found['least_s']:.2f}–{found['most_s']:.2f}); "
                f"the heads of streams in {found['heads_s']:.2f} s")
    if "streams" in found:
        return (f"{found['user_bytes_each']:,.0f} bytes each; "
                f"{found['rss'] / MB:.1f} MB with {found['streams']:,}")
    if "user_bytes_each" in found:
        return (f"{found['user_bytes_each']:,.0f} bytes each ({found['least_user_bytes_each']:,.0f}–"
                f"{found['most_user_bytes_each']:,.0f}; kernel {found['kernel_bytes_each']:,.0f}, at most "
                f"{found['most_kernel_bytes_each']:,.0f}); "
                f"{found['start_rss'] / MB:.1f} MB at start, {found['rss'] / MB:.1f} MB with "
                f"{found['connections']:,.0f}; polls p99 {found['poll_p99_us'] / 1e3:.2f} ms")
    return (f"{found['idle_rss'] / MB:.1f} MB idle, {found['rss'] / MB:.1f} MB beside the pollers, "
            f"{found['peak_rss'] / MB:.1f} MB peak "
            f"({found['least_peak_rss'] / MB:.1f}–{found['most_peak_rss'] / MB:.1f})")


def bar_text(key, verdicts):
    return "; ".join(verdict.text() for verdict in verdicts if verdict.bar.workload == key)


def bars_reached(verdicts):
    """How many, and the others by name: one without a figure may have no row in the table."""
    text = []
    for what, wanted in (("bars", False), ("aims that are no bar", True)):
        these = [verdict for verdict in verdicts if verdict.bar.is_aim == wanted]
        missed = [f"{verdict.bar.workload}: {verdict.text()}" for verdict in these if not verdict.reached]
        if these:
            text += [f"{len(these) - len(missed)} of {len(these)} {what} reached."]
        if missed:
            text += [f"Not reached: {'; '.join(missed)}."]
    return " ".join(text)


def write_json(bench, verdicts, failure):
    """Where it was written. `failure` is why that is not all, or None."""
    path = bench.work / "results.json"
    path.write_text(json.dumps({
        "failure": failure, "machine": machine.description(), "python": platform.python_version(),
        "rounds": bench.rounds, "seconds": bench.seconds, "noise": bench.noise, "dropped": bench.dropped,
        "left_out": bench.tools.missing, "results": bench.results,
        "bars": [{"workload": each.bar.workload, "bar": each.bar.wanted(), "aim": each.bar.aim,
                  "value": each.value, "reached": each.reached} for each in verdicts],
    }, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
