"""A thousand streams that never read, beside a hundred that do: these are not delayed, and the server
holds no more than the rest of one event for each that stalls."""

import time

from support import seen, torture
from support.crowd import FOLLOWERS, Crowd, Peer, Sender, bearer, name_of, people_make, percentile, token_of
from support.events import seq_of
from support.http import SANITIZED, SLOWNESS, request_bytes
from support.server import Server
from support.websocket import handshake_fields

PEOPLE = torture.size(4, 10)  # who are followed; the one after them writes to all
SLOW_EACH, READERS_EACH = torture.size(100, 100), 10
ROUNDS = torture.size(30, 200)
HISTORY, HISTORY_BYTES = 200, 6000  # more than a socket takes that nobody reads
TEXT_BYTES = 2000
# What a machine that does much else adds is not there each time; what the server adds is.
TRIES_MAX = 3
SHARES = (0.5, 0.99)
LATE_MS = 50 * SLOWNESS  # far above what they differ by on a quiet machine
# A sleeper's own: the connection, its stream, its output and the rest of an event of the history.
HELD_MAX_BYTES = HISTORY_BYTES + 6 * 1024
GROWTH_MAX_BYTES = 4 << 20


def send_rounds(server, crowd, texts, told):
    """Each text to everybody followed; how long after it was sent each reader had it, in ms, sorted.

    Not from its answer, which a loop that is held up would hold up, too."""
    asked = {}
    told.clear()
    pairs = iter([(name_of(person), text) for text in texts for person in range(1, PEOPLE + 1)])

    def next_send():
        name, text = next(pairs, (None, None))
        return None if name is None else (token_of(PEOPLE + 1), name, text)

    sender = crowd.add(Sender(server.port, next_send, lambda message_id: asked.setdefault(message_id, sender.asked_s)))
    readers = sum(hasattr(peer, "token") for peer in crowd.peers.values())
    wanted = len(texts) * readers
    crowd.run(lambda: sender.is_done and len(told) >= wanted)
    assert len(told) == wanted
    return sorted((when_s - asked[message_id]) * 1000 for (_, message_id), when_s in told.items())


def are_delayed(beside_ms, alone_ms):
    return any(percentile(beside_ms, share) > 4 * percentile(alone_ms, share) + LATE_MS for share in SHARES)


def test_who_does_not_read_delays_nobody_and_costs_little(tmp_path, tell):
    people_make(tmp_path / "migchat.db", PEOPLE + 1)
    slow_count = PEOPLE * SLOW_EACH
    told = {}
    heads = {}

    def on_event(reader, event):
        number = reader.socket.fileno()
        assert seq_of(event["cursor"]) == heads.get(number, seq_of(event["cursor"]) - 1) + 1
        heads[number] = seq_of(event["cursor"])
        told[number, event["message"]["id"]] = time.monotonic()

    flags = ("--max-connections", str(slow_count + PEOPLE * READERS_EACH + 100),
             "--write-timeout-ms", "3600000")  # theirs is the only limit: it must not end them here
    with Server(tmp_path, flags=flags) as server, Crowd() as crowd:
        send_rounds(server, crowd, [seen.new_content("h" * HISTORY_BYTES) for _ in range(HISTORY)], told)
        epoch = server.api.get("/api/events", token_of(1)).expect(200).json()["cursor"].split(":")[0]
        for number in range(PEOPLE * READERS_EACH):
            kind = ("stream", "socket")[number % 2]
            crowd.add(FOLLOWERS[kind](server.port, token_of(number % PEOPLE + 1), on_event))
        crowd.open_all()

        def texts():
            return [seen.new_content("t" * TEXT_BYTES) for _ in range(ROUNDS)]

        send_rounds(server, crowd, texts(), told)  # caches are warm
        alone_ms = send_rounds(server, crowd, texts(), told)
        before_bytes = server.rss_bytes()
        slow = []
        for number in range(slow_count):
            token = bearer(token_of(number % PEOPLE + 1))
            peer = Peer(server.port, receive_buffer=2048)
            peer.send(request_bytes("GET", f"/api/events/stream?since={epoch}:0", token) if number % 2
                      else request_bytes("GET", f"/api/ws?since={epoch}:0", handshake_fields() + token))
            slow.append(peer)
        send_rounds(server, crowd, texts(), told)
        stalled_bytes = server.rss_bytes()
        beside_ms = send_rounds(server, crowd, texts(), told)
        after_bytes = server.rss_bytes()
        for _ in range(1, TRIES_MAX):
            if are_delayed(beside_ms, alone_ms):
                beside_ms = send_rounds(server, crowd, texts(), told)
        for peer in slow:
            peer.socket.close()

    held_bytes = (stalled_bytes - before_bytes) / slow_count
    tell(f"{PEOPLE * READERS_EACH} readers, {ROUNDS * PEOPLE} messages: median {percentile(alone_ms, 0.5):.2f} ms, "
         f"p99 {percentile(alone_ms, 0.99):.2f} ms; beside {slow_count} that do not read: "
         f"median {percentile(beside_ms, 0.5):.2f} ms, p99 {percentile(beside_ms, 0.99):.2f} ms; "
         f"memory: {before_bytes >> 10} KiB, stalled {stalled_bytes >> 10} KiB ({held_bytes:.0f} bytes each), "
         f"{ROUNDS * PEOPLE} messages later {after_bytes >> 10} KiB")
    late = are_delayed(beside_ms, alone_ms)
    assert not late, f"they were delayed {TRIES_MAX} times"
    if not SANITIZED:
        assert held_bytes <= HELD_MAX_BYTES
        assert after_bytes - stalled_bytes <= GROWTH_MAX_BYTES
