"""Ten thousand streams that have nothing to tell, of all kinds, each of an account of its own."""

import resource

import pytest

from support import torture
from support.crowd import FOLLOWERS, Crowd, Sender, name_of, people_make, token_of
from support.http import SANITIZED
from support.server import Server
from support.websocket import PING, frame

# Fewer would measure what there is once, as caches; a sanitizer's memory is not judged.
STREAMS = torture.size(1500 if SANITIZED else 6000, 10000)
WARM = STREAMS // 4  # what is in flight at once is pooled, and stays
ADDRESSES = 8
MIXED = tuple(FOLLOWERS)
# Bars of the requirements: user memory of each, and all that the server has.
STREAM_MAX_BYTES = 1536
# What grows once, as readers' page caches, does not vanish among a few thousand.
ONCE_BYTES = torture.size(3 << 20, 0)
RSS_MAX_BYTES = 32 << 20


def descriptors_raise(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= count, \
        f"{hard} descriptors at most (ulimit -Hn): {count} are needed"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def open_some(crowd, server, kinds, numbers, cursor, on_event):
    """A WebSocket is idle again after it had something to take and to answer."""
    sockets = []
    for number in numbers:
        kind = kinds[number % len(kinds)]
        peer = crowd.add(FOLLOWERS[kind](server.port, token_of(number), on_event, since=cursor,
                                         address=f"127.0.0.{number % ADDRESSES + 1}"))
        if kind == "socket":
            sockets.append(peer)
            peer.send(frame(b"", PING))
    crowd.open_all()
    crowd.run(lambda: all(peer.pongs for peer in sockets))


@pytest.mark.parametrize("kinds", [*((kind,) for kind in MIXED), MIXED], ids="-".join)
def test_idle_streams_cost_little(tmp_path, tell, kinds):
    descriptors_raise(STREAMS + 200)
    people_make(tmp_path / "migchat.db", STREAMS)
    told = set()
    with Server(tmp_path, flags=("--max-connections", str(STREAMS + 100))) as server, Crowd() as crowd:
        def settled():
            """What was asked for on other connections before is with the server, and answered."""
            for _ in range(3):
                server.api.get("/api/account", token_of(1)).expect(200)

        def on_event(device, _):
            told.add(device.token)

        cursor = server.api.get("/api/events", token_of(1)).expect(200).json()["cursor"]
        # As after a day: the page caches of the readers are filled by others' requests.
        for number in range(1, STREAMS + 1, 7):
            server.api.get("/api/conversations", token_of(number)).expect(200)
        open_some(crowd, server, kinds, range(1, WARM + 1), cursor, on_event)
        settled()
        before_bytes = server.rss_bytes()
        open_some(crowd, server, kinds, range(WARM + 1, STREAMS + 1), cursor, on_event)
        settled()
        after_bytes = server.rss_bytes()
        each_bytes = (after_bytes - before_bytes) / (STREAMS - WARM)
        tell(f"{STREAMS} idle streams ({', '.join(kinds)}) of as many accounts, from {ADDRESSES} addresses: "
             f"{each_bytes:.0f} bytes each (bar {STREAM_MAX_BYTES}), RSS {after_bytes / 2**20:.1f} MiB "
             f"(bar {RSS_MAX_BYTES >> 20})")
        # They are there: each kind is told.
        people = iter(range(STREAMS - 8, STREAMS + 1))
        sender = crowd.add(Sender(server.port, lambda: next(
            ((token_of(1), name_of(number), "awake") for number in people), None), lambda _: None))
        crowd.run(lambda: sender.is_done and len(told) >= 10)
        assert told == {token_of(number) for number in (1, *range(STREAMS - 8, STREAMS + 1))}
    if not SANITIZED:
        assert after_bytes - before_bytes <= (STREAMS - WARM) * STREAM_MAX_BYTES + ONCE_BYTES
        assert after_bytes <= RSS_MAX_BYTES
