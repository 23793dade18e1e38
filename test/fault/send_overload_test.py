"""More is sent than the disk can take (support/overload.py has what holds then). What was acknowledged is in both logs
exactly once, what was refused in neither.

Each sync of the database takes so long that full batches are a few hundred or thousand sends a second: ten times as
much is little for the loop and for the generator.
"""

from support import torture
from support.events import events_since
from support.http import SLOWNESS, request_bytes
from support.overload import OpenLoop, Overload
from support.server import Server

LEVELS = torture.size((10,), (0.5, 1, 2, 5, 10))
STEP_S = torture.size(3, 20)
CAPACITY_S = torture.size(2, 10)
SYNC_MS = 200 if SLOWNESS == 1 else 400  # so that what a sanitizer costs is little beside it
NORMAL_MS = 3 * SYNC_MS  # the commit that runs, and its own
QUEUE = 1024  # batches of 256 are full; below two of them more would be refused than must be
CONNECTIONS = 1536  # one lends one send at a time: as many as the queue holds, and those who are refused


class Sends:
    """Sends of one account to another, each with a text of its own; the ledger of what became of them."""

    def __init__(self, server, folder):
        self.loop = OpenLoop(server, folder, CONNECTIONS)
        self.sender, self.recipient = server.api.create(), server.api.create()
        self.ledger = {}  # text -> (status, message id)

    def ask(self, *phases):
        text = f"run {self.loop.runs} number "
        body = f'{{"to_username": "{self.recipient.username}", "content": "{text}{"@" * 16}"}}'.encode()
        fields = [("Authorization", f"Bearer {self.sender.token}"), ("Content-Type", "application/json")]
        asked = self.loop.run(request_bytes("POST", "/api/messages/send", fields, body), *phases)
        for sends, _ in asked:
            self.ledger.update({f"{text}{each.number:016}": (each.status, each.message_id) for each in sends})
        return asked

    def judge(self):
        """Both logs are what was answered; how many are there, and how many are not."""
        logs = [{event["message"]["content"]: event["message"]["id"] for event in events}
                for events in self.events_of_both()]
        assert logs[0] == logs[1], "the two logs do not have the same messages"
        acknowledged = {text: message_id for text, (status, message_id) in self.ledger.items() if status == 200}
        lost = [text for text, message_id in acknowledged.items() if logs[0].get(text) != message_id]
        assert not lost, f"{len(lost)} were acknowledged and are not there, such as {lost[0]!r}"
        unasked = [text for text in logs[0] if text not in acknowledged]
        assert not unasked, f"{len(unasked)} are there that were not acknowledged, such as {unasked[0]!r}"
        return len(acknowledged), len(self.ledger) - len(acknowledged)

    def events_of_both(self):
        for account in (self.sender, self.recipient):
            events = [event for event in events_since(account, limit=1000) if event["type"] == "message"]
            assert len({event["message"]["content"] for event in events}) == len(events), "a message is there twice"
            yield events


def test_sends_that_are_too_many_are_refused_at_once(tmp_path, disk, tell):
    with Server(tmp_path / "server", MIGCHAT_WRITE_QUEUE=QUEUE, **disk.environment) as server:
        sends = Sends(server, tmp_path)
        disk.slow(SYNC_MS)
        overload = Overload(sends.ask, QUEUE // 2, CAPACITY_S, STEP_S, NORMAL_MS)
        part = overload.run(LEVELS, tell)
        disk.heal("slow")
        there, not_there = sends.judge()
        tell(f"{there} acknowledged sends in both logs exactly once, {not_there} refused ones in neither; at "
             f"{LEVELS[-1]} x {100 * part:.0f} % of the {overload.peak:.0f} a second at best")
