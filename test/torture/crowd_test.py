"""Two thousand accounts with two devices each: every device sees each message once, soon.

When a commit ended is seen by nobody outside. Two moments that are enclose it: the message's created_at, which the
writer notes before, and the first sign, the sender's answer or the first device's receipt. From both is told how
late the devices are; the truth lies between. The bar counts from created_at, its milliseconds cut off.
"""

import datetime
import time

from support import seen, torture
from support.crowd import FOLLOWERS, Crowd, Sender, name_of, people_make, percentile, token_of
from support.events import seq_of
from support.http import SLOWNESS
from support.server import Server

PEOPLE = torture.size(200, 2000)
MESSAGES = torture.size(2000, 20000)
SENDERS = 8
# Of the devices; a poll is another request for each message, so they are fewer.
KINDS = ("stream", "socket", "stream", "socket", "poll")


def test_every_device_of_a_crowd_sees_each_message_once(tmp_path, tell):
    chance = torture.chance("crowd")
    people_make(tmp_path / "migchat.db", PEOPLE, sessions=2)
    pairs = [(chance.randrange(PEOPLE) + 1, chance.randrange(PEOPLE) + 1) for _ in range(MESSAGES)]
    told = {}       # (device's token, message's id) -> when, by the calendar, as created_at is
    heads = {}      # device's token -> how far it is
    created = {}    # message's id -> its created_at
    signs = {}      # message's id -> when its sender or the first device was told
    sent = []       # (message's id, whose), in the order of their answers
    following = iter(pairs)
    owner = {}      # sender -> whose message is on its way

    def on_event(device, event):
        assert event["type"] == "message", event
        heads[device.token] = heads.get(device.token, 0) + 1
        assert seq_of(event["cursor"]) == heads[device.token], "out of order, twice or left out"
        message, now_s = event["message"], time.time()
        told[device.token, message["id"]] = now_s
        created[message["id"]] = message["created_at"]
        signs.setdefault(message["id"], now_s)

    with Server(tmp_path, flags=("--max-connections", str(2 * PEOPLE + 100))) as server, Crowd() as crowd:
        epoch = server.api.get("/api/events", token_of(1)).expect(200).json()["cursor"].split(":")[0]
        for number in range(1, 2 * PEOPLE + 1):
            kind = KINDS[number % len(KINDS)]
            crowd.add(FOLLOWERS[kind](server.port, token_of(number), on_event, since=f"{epoch}:0",
                                      address=f"127.0.0.{number % 4 + 1}"))
        crowd.open_all()

        def sender(place):
            def next_send():
                pair = next(following, None)
                if pair is None:
                    return None
                owner[place] = pair
                return token_of(pair[0]), name_of(pair[1]), seen.new_content()

            def on_sent(message_id):
                signs.setdefault(message_id, time.time())
                sent.append((message_id, owner[place]))
            return Sender(server.port, next_send, on_sent)

        begun_s = time.monotonic()
        senders = [crowd.add(sender(place)) for place in range(SENDERS)]
        wanted = sum(2 * len(set(pair)) for pair in pairs)
        crowd.run(lambda: all(each.is_done for each in senders) and len(told) >= wanted)
        took_s = time.monotonic() - begun_s

    devices = {(token_of(person + session * PEOPLE), message_id)
               for message_id, pair in sent for person in set(pair) for session in (0, 1)}
    assert set(told) == devices and len(sent) == MESSAGES
    before = {message_id: datetime.datetime.fromisoformat(text).timestamp() for message_id, text in created.items()}
    late_ms = lateness_ms(told, before)
    tell(f"{PEOPLE} accounts, {2 * PEOPLE} devices, {MESSAGES} messages in {took_s:.1f} s, "
         f"{len(told) / took_s:.0f} events/s; commit to receipt, between: {figures(lateness_ms(told, signs))} from the "
         f"commit's first sign, and {figures(late_ms)} from created_at, before the commit")
    assert percentile(late_ms, 0.99) < 2000 * SLOWNESS  # far above any loaded machine's


def lateness_ms(told, since):
    return [(when_s - since[message_id]) * 1000 for (_, message_id), when_s in told.items()]


def figures(late_ms):
    return (f"median {percentile(late_ms, 0.5):.2f} ms, p99 {percentile(late_ms, 0.99):.2f} ms, "
            f"worst {max(late_ms):.1f} ms")
