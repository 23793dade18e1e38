"""What is left of secrets where nobody looks: in the memory of a server that has answered (what a core dump would
hold), and in how long it takes to refuse a log-in."""

import json
import statistics
import time

import pytest

from support import seen, torture
from support.http import SANITIZED, Connection, request_bytes

TRIALS = torture.size(300, 20_000)
# Welch's t from which a difference of means is taken for one (dudect's threshold).
T_MAX = torture.size(5, 4.5)
LAST = 8           # people whose requests came last
OVERWRITING = 20
KEPT_PART = 0.9   # of the times of both: what the machine did meanwhile is far out


# ---- memory -----------------------------------------------------------------------------------------

def memory_of(server):
    """Every part of the process's memory that it can write to: what a core dump has of it."""
    with open(f"/proc/{server.process.pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{server.process.pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights:
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            memory.seek(begin)
            try:
                yield memory.read(end - begin)
            except OSError:
                pass  # a guard page


def live(server, person, first):
    """Everything that takes a password or gives a token; those it used and was given."""
    secrets = {person.token, person.password, person.password + "x"}
    secrets.add(server.api.login(person.username, person.password).token)
    server.api.login_raw(person.username, person.password + "x").expect(401)
    person.send(first)
    new = seen.new_password()
    person.password_raw(person.password, new).expect(204)
    person.get("/api/account").expect(200)
    return secrets | {new}


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed; run against release")
def test_secrets_do_not_stay_in_memory(start, tell):
    """Buffers are used again, not wiped: what the last requests had may be there, nothing from before."""
    server = start()
    people = [server.api.create() for _ in range(torture.size(40, 400))]
    secrets = [live(server, person, people[0]) for person in people]
    for _ in range(OVERWRITING):
        server.api.get("/health").expect(200)
        people[0].get("/api/conversations").expect(200)
    parts = list(memory_of(server))
    left = [number for number, of_one in enumerate(secrets)
            if any(secret.encode() in part for part in parts for secret in of_one)]
    old = [number for number in left if 0 < number < len(people) - LAST]
    tell(f"{sum(map(len, secrets))} tokens and passwords of {len(people)} people were used, those of {len(left)} are "
         f"in {sum(map(len, parts)) >> 20} MiB of memory afterwards")
    assert 0 in left, "who asked last is not there: this is not the memory of the server"
    assert not old, f"secrets of {len(old)} people stay, of {old[:5]}"


# ---- time -------------------------------------------------------------------------------------------

def welch_t(one, other):
    return ((statistics.fmean(one) - statistics.fmean(other))
            / (statistics.variance(one) / len(one) + statistics.variance(other) / len(other)) ** 0.5)


def test_an_unknown_name_takes_as_long_as_a_wrong_password(server, tell):
    known = server.api.create()
    chance = torture.chance("time")
    times = {"known": [], "unknown": []}
    with Connection(server.port) as connection:
        for number in range(2 * TRIALS):
            kind = chance.choice(("known", "unknown"))
            name = known.username if kind == "known" else f"none{number:0{len(known.username) - 4}d}"
            body = json.dumps({"username": name, "password": "not the one"}).encode()
            data = request_bytes("POST", "/api/account/login", [("Content-Type", "application/json")], body)
            begun_ns = time.perf_counter_ns()
            connection.send(data)
            came = connection.socket.recv(65536)
            times[kind].append(time.perf_counter_ns() - begun_ns)
            assert came.startswith(b"HTTP/1.1 401"), came
    limit = sorted(times["known"] + times["unknown"])[int(KEPT_PART * 2 * TRIALS)]
    one, other = ([each for each in times[kind] if each <= limit] for kind in ("known", "unknown"))
    t = welch_t(one, other)
    tell(f"{len(one)} and {len(other)} trials: {statistics.fmean(one) / 1000:.1f} and "
         f"{statistics.fmean(other) / 1000:.1f} us, Welch t {t:.2f}")
    assert abs(t) < T_MAX
