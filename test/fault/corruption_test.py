"""A damaged database under the real server: refused at the start with a reason, or served, some of it with a 5xx;
never a crash. test/fault/corruption_test.c does the same to each byte."""

import time

from support import torture
from support.server import START_DEADLINE_S, Server

READS = ("/api/messages", "/api/conversations", "/api/events?since={cursor}", "/api/sessions", "/api/keys",
         "/api/account")


def damage(chance, healthy):
    """What it is called, and the bytes."""
    kind = chance.choice(("byte", "byte", "byte", "run", "cut", "noise"))
    at = chance.randrange(200 if chance.randrange(3) == 0 else len(healthy))
    bytes_ = bytearray(healthy)
    if kind == "byte":
        bytes_[at] ^= 1 << chance.randrange(8)
    elif kind == "run":
        count = min(64, len(bytes_) - at)
        bytes_[at:at + count] = chance.randbytes(count)
    elif kind == "cut":
        del bytes_[at:]
    else:
        bytes_[:] = chance.randbytes(8192)
    return f"{kind} at {at}", bytes(bytes_)


def listens(server):
    deadline_s = time.monotonic() + START_DEADLINE_S
    while not server.events("listening"):
        if server.process.poll() is not None:
            return False
        assert time.monotonic() < deadline_s, server.log()
        time.sleep(0.002)  # it is opening: the log or its end is what is waited for
    server.port = int(server.events("listening")[0]["port"])
    server.api = type(server.api)(server.port)
    return True


def test_a_damaged_database_is_refused_or_served(tmp_path, tell):
    server = Server(tmp_path / "server")
    server.start()
    alice, bob = server.api.create(), server.api.create()
    for number in range(40):
        alice.send(bob, f"message {number} " + "x" * (number * 20))
    bob.upload(["one", "two"])
    bob.mark_read(alice.username)
    cursor = bob.get("/api/events").expect(200).json()["cursor"]
    server.stop()
    with open(server.database, "rb") as file:
        healthy = file.read()
    chance = torture.chance("damage")
    refused = served = failed = 0
    for _ in range(torture.size(25, 1500)):
        what, bytes_ = damage(chance, healthy)
        for path in tmp_path.glob("server/migchat.db?*"):
            path.unlink()
        with open(server.database, "wb") as file:
            file.write(bytes_)
        server.spawn()
        if not listens(server):
            assert server.process.returncode > 0, f"{what}: {server.process.returncode}\n{server.log()}"
            server.wait_exit(None)
            assert server.events("database_not_opened") or server.events("schema_newer") \
                or server.events("start_refused"), f"{what}: no reason\n{server.log()}"
            refused += 1
            continue
        served += 1
        for account in (alice, bob):
            account.api = server.api
            for target in READS:
                try:
                    failed += account.get(target.format(cursor=cursor)).status >= 500
                except AssertionError:
                    # A list that breaks off where its next page cannot be read, a name that is no UTF-8.
                    failed += 1
        failed += alice.send_raw(bob.username, "one more").status >= 500
        assert server.process.poll() is None, f"{what}: {server.process.returncode}\n{server.log()}"
        server.process.terminate()
        status = server.process.wait(START_DEADLINE_S)
        assert status >= 0, f"{what}: {status}\n{server.log()}"
        server.wait_exit(None if status else 0)
    tell(f"{refused + served} damaged files: {refused} refused with a reason, {served} served ({failed} answers 5xx or "
         "broken off), 0 crashes")
    assert refused > 0 and served > 0
