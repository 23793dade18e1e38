"""kill -9 under a mixed load: what was acknowledged is there exactly once and in order, whatever was
being written; and no one-time key is handed out twice."""

import threading
import time

from support import seen, torture
from support.http import SANITIZED, SLOWNESS, Closed, Connection, request_bytes
from support.ledger import Crowd
from support.server import START_DEADLINE_S, run

MEMBERS = 6
BACK_BAR_MS = 200
BACK_LIMIT_MS = 2000 * SLOWNESS  # on a machine that does much else
JUDGED_EVERY = 50


def kill_and_start(server):
    """Milliseconds until it answers that it is ready."""
    server.kill()
    begun_s = time.monotonic()
    server.spawn()
    server.port = int(server.wait_event("opening", START_DEADLINE_S)["port"])
    server.api = type(server.api)(server.port)
    deadline_s = begun_s + START_DEADLINE_S
    while True:
        try:
            with Connection(server.port) as connection:
                connection.send(request_bytes("GET", "/readyz"))
                if connection.answer("GET", "/readyz").status == 200:
                    return (time.monotonic() - begun_s) * 1000
        except (Closed, OSError):
            pass
        assert server.process.poll() is None, server.log()
        assert time.monotonic() < deadline_s, "it does not come back"
        time.sleep(0.001)  # it is opening; its answer is what is waited for


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def verify(server):
    """On the files as the last kill left them."""
    checked = run("verify", server.database)
    assert checked.returncode == 0, checked.stderr


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(start, tell):
    server = start()
    kills = torture.size(25, 1000)
    chance = torture.chance("kill")
    crowd = Crowd(server, MEMBERS)
    back_ms = []
    for first in range(0, kills, JUDGED_EVERY):
        with crowd:
            for _ in range(first, min(first + JUDGED_EVERY, kills)):
                time.sleep(0.005 + chance.random() * (0.2 if SANITIZED else 0.1))  # the moment is the case
                back_ms.append(kill_and_start(server))
                assert not crowd.faults, crowd.faults
        messages = crowd.judge()
        server.kill()
        verify(server)
        server.start()
    tell(f"{kills} kills, {crowd.acknowledged} operations acknowledged ({messages} messages), {crowd.repeated} "
         f"repeated, 0 lost, 0 doubled; back in {percentile(back_ms, 0.5):.0f} ms (p99 "
         f"{percentile(back_ms, 0.99):.0f}, worst {max(back_ms):.0f})")
    assert max(back_ms) <= (BACK_BAR_MS if torture.IS_LONG and not SANITIZED else BACK_LIMIT_MS)


# ---- one-time keys ------------------------------------------------------------------------------

CLAIMERS = 64
KEYS_AT_ONCE = 200


class Owner:
    """Uploads new one-time keys whenever none is left, so that nothing unclaimed is replaced."""

    def __init__(self, member):
        self.member = member
        self.uploaded = []

    def refill(self):
        left = self.member.ask("GET", "/api/keys").expect(200).json()["one_time_prekeys"]
        if left > 0:
            return left
        keys = [seen.new_content() for _ in range(KEYS_AT_ONCE)]
        bundle = {"identity_key": "identity", "signed_prekey": "prekey", "signed_prekey_signature": "signature",
                  "one_time_prekeys": keys}
        # Repeated after claims began it would replace what is left by keys that were not claimed: the same ones.
        self.member.ask("POST", "/api/keys/upload", {"key_bundle": bundle}).expect(200)
        self.uploaded += keys
        return KEYS_AT_ONCE


def test_64_claimers_and_kills_never_get_one_key_twice(start, tell):
    server = start()
    kills, claims = torture.size(8, 200), torture.size(1500, 100_000)
    chance = torture.chance("claims")
    crowd = Crowd(server, CLAIMERS + 1)
    owner = Owner(crowd.members[0])
    owner.refill()
    given, stops, faults = [], threading.Event(), []

    def live(member):
        try:
            while not stops.is_set():
                answer = member.ask("POST", "/api/keys/claim", {"username": owner.member.account.username})
                keys = answer.expect(200).json()["key_bundle"]["one_time_prekeys"]
                assert len(keys) <= 1, keys
                given.extend(keys)
        except BaseException as fault:  # told by the test's own thread
            faults.append(fault)
            raise

    threads = [threading.Thread(target=live, args=(member,)) for member in crowd.members[1:]]
    for thread in threads:
        thread.start()
    try:
        killed = 0
        while killed < kills or len(given) < claims:
            assert not faults, faults
            owner.refill()
            if killed < kills and len(given) >= claims * (killed + chance.random()) / kills:
                kill_and_start(server)
                killed += 1
    finally:
        stops.set()
        for thread in threads:
            thread.join()
    left = owner.member.ask("GET", "/api/keys").expect(200).json()["one_time_prekeys"]
    unanswered = sum(member.repeated for member in crowd.members[1:])
    lost = len(owner.uploaded) - len(given) - left
    tell(f"{CLAIMERS} claimers, {len(given)} keys given, {kills} kills, {len(given) - len(set(given))} given "
         f"twice, {lost} lost with {unanswered} answers")
    assert len(set(given)) == len(given), "a one-time key was given twice"
    assert set(given) <= set(owner.uploaded)
    # Each kill may lose the answer that each claimer waits for.
    assert 0 <= lost <= min(unanswered, kills * CLAIMERS)
    server.kill()
    verify(server)
