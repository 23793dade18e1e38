"""A flood of log-ins or sign-ups is refused for asking too often, and nine tenths are left for who sends and reads.

Who floods asks again as soon as it is answered, so what keeps it from taking the machine is that a refusal waits
(REFUSED_WAIT_MS of net/conn.h). Generators and server share the machine, so what is measured goes by turns, beside one
of them a second and beside the flood, and the middle of the ratios counts. What those cost that are hashed is
./run bench's to say.
"""

import concurrent.futures
import json
import statistics

import pytest

from support import torture
from support.http import request_bytes
from support.overload import OpenLoop, done_a_second
from support.server import Server

TURNS = torture.size(3, 15)
TURN_S = torture.size(0.5, 2)
AT_ONCE = 32
FLOOD_AT_ONCE = torture.size(8, 256)  # with 1,000 it is 0.90 to 1.03
KEPT_MIN = torture.size(0, 0.9)  # three short turns tell how often it is refused, not more
REFUSED_MAX = FLOOD_AT_ONCE * (TURN_S / 0.09 + 2)  # of a turn: one in REFUSED_WAIT_MS for each, the first at once
FIELDS = [("Content-Type", "application/json")]
FEW, FLOOD = "1", f"@{FLOOD_AT_ONCE}"


def asked_by(account):
    fields = [*FIELDS, ("Authorization", f"Bearer {account.token}")]
    text = json.dumps({"to_username": account.username, "content": "m" * 80}).encode()
    return {"sends": request_bytes("POST", "/api/messages/send", fields, text),
            "reads": request_bytes("GET", "/api/messages?limit=10", fields)}


def flood_of(kind, account):
    """One request of the flood. The name of a sign-up is taken by the first one, if any is let through."""
    path, name = {"log-ins": ("login", account.username), "sign-ups": ("create", "flooding")}[kind]
    body = json.dumps({"username": name, "password": account.password}).encode()
    return request_bytes("POST", f"/api/account/{path}", FIELDS, body)


@pytest.mark.parametrize("kind", ("log-ins", "sign-ups"))
def test_a_flood_leaves_nine_tenths(tmp_path, tell, kind):
    for name in ("asks", "floods"):
        (tmp_path / name).mkdir()
    with Server(tmp_path / "server", MIGCHAT_RATE_LIMITS="on", MIGCHAT_LOGIN_RATE="1/3600",
                MIGCHAT_SIGNUP_RATE="1/3600") as server:
        account = server.api.create()
        for _ in range(10):
            account.send(account, "m" * 80)
        flooding = flood_of(kind, account)
        asks, floods = (OpenLoop(server, tmp_path / name, count)
                        for name, count in (("asks", AT_ONCE), ("floods", FLOOD_AT_ONCE)))
        floods.run(flooding, (FLOOD, TURN_S))  # none is hashed from here on
        for what, request in asked_by(account).items():
            ratios, counts = [], []
            for _ in range(TURNS):
                before, _ = done_beside(asks, request, floods, flooding, FEW)
                beside, refused = done_beside(asks, request, floods, flooding, FLOOD)
                ratios.append(beside / before)
                counts.append(refused)
            kept = statistics.median(ratios)
            tell(f"{what} beside {kind} that are refused: {kept:.2f} of those alone ({before:.0f} a second), "
                 f"{min(ratios):.2f} to {max(ratios):.2f}; {max(counts) / TURN_S:.0f} refused a second")
            assert kept >= KEPT_MIN
            assert FLOOD_AT_ONCE <= max(counts) <= REFUSED_MAX


def done_beside(asks, request, floods, flooding, how_many):
    """(how much is done a second, how many of the flood are refused)"""
    with concurrent.futures.ThreadPoolExecutor() as beside:
        flood = beside.submit(floods.run, flooding, (how_many, TURN_S))
        [[asked, _]] = asks.run(request, (f"@{AT_ONCE}", TURN_S))
    [[flooded, _]] = flood.result()
    assert {each.status for each in asked} == {200} and {each.status for each in flooded} <= {200, 429}
    return done_a_second(asked, TURN_S), sum(each.status == 429 for each in flooded)
