"""More log-ins are asked than there is processor for (support/overload.py has what holds then), at a cost that makes a
few dozen a second the limit, or a hundred and a half: hashing gives way to all else on the machine.

Their queue has places for all who ask, so that it is the time they would wait that is limited: at the usual cost a
hash takes a third of a second, and the 64 of the usual queue twenty.
"""

import json

from support import torture
from support.http import SLOWNESS, request_bytes
from support.overload import OpenLoop, Overload
from support.server import Server

COST = torture.size(7, 9)
LEVELS = torture.size((10,), (0.5, 1, 2, 5, 10))
STEP_S = torture.size(2, 20)
CAPACITY_S = torture.size(2, 10)
AT_ONCE = 3  # one is hashed, one waits, one is elsewhere
NORMAL_MS = 500 * SLOWNESS
QUEUE = CONNECTIONS = torture.size(1536, 256)


def test_log_ins_that_are_too_many_are_refused_at_once(tmp_path, tell):
    with Server(tmp_path / "server", MIGCHAT_PASSWORD_COST=COST, MIGCHAT_HASH_QUEUE=QUEUE) as server:
        account = server.api.create()
        body = json.dumps({"username": account.username, "password": account.password}).encode()
        login = request_bytes("POST", "/api/account/login", [("Content-Type", "application/json")], body)
        loop = OpenLoop(server, tmp_path, CONNECTIONS)
        overload = Overload(lambda *phases: loop.run(login, *phases), AT_ONCE, CAPACITY_S, STEP_S, NORMAL_MS)
        part = overload.run(LEVELS, tell)
        tell(f"at {LEVELS[-1]} x {100 * part:.0f} % of the {overload.peak:.0f} a second at best")
