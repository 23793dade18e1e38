"""What the metrics listener tells: scraped over HTTP, judged by promtool and by the parser of
Debian's python3-prometheus-client.
"""

import http.client
import os
import pathlib
import subprocess
import time

from prometheus_client import parser as prometheus_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from support import websocket
from support.http import ANSWER_DEADLINE_S, SLOWNESS
from support.server import ROOT, run

FLAGS = ("--metrics-listen", "127.0.0.1:0")
PUBLIC = {"listener": "public"}
DEADLINE_S = 10 * SLOWNESS
OPENMETRICS = "application/openmetrics-text"
# As Prometheus 2.53 asks.
ACCEPT = {"text": "text/plain;version=0.0.4;q=1,*/*;q=0.1",
          "openmetrics": f"{OPENMETRICS};version=1.0.0;q=0.8,{OPENMETRICS};version=0.0.1;q=0.75,"
                         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}


def requests_of_all_routes():
    """(method, target) of one request for each route of the public table, but the WebSocket's."""
    for line in run("routes").stdout.splitlines():
        method, path = line.split()
        if path == websocket.PATH:
            continue  # needs a handshake
        # A stream has no end.
        method = "HEAD" if path.endswith("/stream") else method
        yield method, path.replace("{username}", "nobody").replace("{id}", "77")


def port_of(server):
    return next(event["port"] for event in server.events("listening_also") if event["for"] == "metrics")


def get(server, path="/metrics", method="GET", **fields):
    """(status, fields, body as bytes); the connection must be closed by the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=ANSWER_DEADLINE_S)
    try:
        connection.request(method, path, headers=fields)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def text_of(server, form="text"):
    status, fields, body = get(server, Accept=ACCEPT[form])
    assert status == 200, body
    expected = OPENMETRICS if form == "openmetrics" else "text/plain"
    assert fields["Content-Type"].split(";")[0] == expected
    return body.decode()


def families(text, form="text"):
    parser = openmetrics_parser if form == "openmetrics" else prometheus_parser
    return list(parser.text_string_to_metric_families(text))


class Scrape:
    """One answer. scrape["name", {"label": "value", …}] adds up the samples that have these labels."""

    def __init__(self, server):
        self.samples = [sample for family in families(text_of(server)) for sample in family.samples]

    def __getitem__(self, key):
        name, labels = (key, {}) if isinstance(key, str) else key
        found = [sample.value for sample in self.samples
                 if sample.name == name and labels.items() <= sample.labels.items()]
        return sum(found)

    def labels(self, name):
        return [sample.labels for sample in self.samples if sample.name == name]


def wait_until(server, holds):
    """Scrape until `holds(scrape)`: what is counted when a connection ends comes a moment after it."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        scrape = Scrape(server)
        if holds(scrape):
            return scrape
        assert time.monotonic() < deadline, "\n".join(map(str, scrape.samples))
        time.sleep(0.01)


def promtool(*arguments, text=None):
    """Its exit status and all it says."""
    tool = pathlib.Path(os.environ.get("MIGCHAT_TOOLS", ROOT / "build/test-unpack/usr/bin")) / "promtool"
    assert tool.exists(), f"{tool} is not there: ./run test unpacks it"
    done = subprocess.run([tool, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
