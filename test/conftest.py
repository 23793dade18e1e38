"""Fixtures of the Python suites.

A module shares one server where it can. The tests that look back on the whole run (coverage of
routes and error codes, secrets left in files and logs) are moved to its end.
"""

import sys

import pytest

sys.dont_write_bytecode = True

from support import torture  # noqa: E402  (after the switch above)
from support.server import Server  # noqa: E402

LAST = ("coverage_test.py", "secrets_test.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


@pytest.fixture
def tell(request, capsys):
    """Prints a line that pytest does not keep to itself."""
    return torture.teller(request, capsys)


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    """The module's shared server: default limits, cheap passwords, no rate limits."""
    with Server(tmp_path_factory.mktemp(request.module.__name__)) as started:
        yield started


@pytest.fixture(scope="module")
def api(server):
    return server.api


@pytest.fixture
def alice(api):
    return api.create()


@pytest.fixture
def bob(api):
    return api.create()


@pytest.fixture
def start(tmp_path):
    """Start further servers: start(flags=…, db=…, MIGCHAT_…=…). The test's end ends them."""
    begun = []

    def start_server(name="own", **settings):
        server = Server(tmp_path / name, **settings)
        begun.append(server)
        return server.start()

    yield start_server
    for server in begun:
        if server.process is not None:
            server.stop()
