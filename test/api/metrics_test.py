"""The metrics listener: what it answers, to whom, and that the two texts are what they claim to be."""

import re
import socket
import time

import pytest

from support import metrics, server as program
from support.http import has_ipv6
from support.metrics import Scrape


@pytest.fixture(scope="module", name="watched")
def fixture_watched(tmp_path_factory):
    with program.Server(tmp_path_factory.mktemp("watched"), flags=metrics.FLAGS) as running:
        yield running


def test_promtool_has_nothing_to_say(watched):
    assert metrics.promtool("check", "metrics", text=metrics.text_of(watched)) == (0, "")


def test_promtool_would_say_it():
    """The check above can fail."""
    status, said = metrics.promtool("check", "metrics", text="# TYPE x_total gauge\nx_total 1\n")
    assert status != 0 and "x_total" in said


def test_openmetrics_is_what_its_parser_reads(watched):
    text = metrics.text_of(watched, "openmetrics")
    assert text.endswith("# EOF\n")
    found = {family.name: family for family in metrics.families(text, "openmetrics")}
    assert found["migchat_build"].type == "info"
    assert found["process_cpu_seconds"].unit == "seconds"
    # The unit is the end of the name, and a counter's samples end in _total.
    for family in found.values():
        assert not family.unit or family.name.endswith("_" + family.unit), family.name
        assert not family.name.endswith(("_total", "_info")), family.name
        assert family.documentation.endswith("."), family.name
        if family.type == "counter":
            assert all(sample.name == family.name + "_total" for sample in family.samples)


def test_both_texts_hold_the_same_series(watched):
    both = [{(sample.name, tuple(sorted(sample.labels.items())))
             for family in metrics.families(metrics.text_of(watched, form), form)
             for sample in family.samples} for form in ("text", "openmetrics")]
    assert both[0] == both[1]


@pytest.mark.parametrize("accept, kind", (
    (None, "text/plain"), ("*/*", "text/plain"), ("text/html", "text/plain"),
    (metrics.ACCEPT["openmetrics"], metrics.OPENMETRICS),
    (f"text/plain;q=0.5,{metrics.OPENMETRICS};q=0.4", "text/plain"),
    (f"text/plain;q=0.4,{metrics.OPENMETRICS};q=0.5", metrics.OPENMETRICS),
    (f"{metrics.OPENMETRICS};q=0", "text/plain"),
))
def test_the_text_is_chosen_by_accept(watched, accept, kind):
    fields = {} if accept is None else {"Accept": accept}
    status, answered, body = metrics.get(watched, **fields)
    assert status == 200
    assert answered["Content-Type"].split(";")[0] == kind
    assert body.endswith(b"# EOF\n") == (kind == metrics.OPENMETRICS)
    assert answered["Connection"] == "close"


def test_only_this_route_is_there_and_only_here(watched):
    assert metrics.get(watched, "/health")[0] == 404
    assert metrics.get(watched, method="POST")[0] == 405
    status, fields, body = metrics.get(watched, method="HEAD")
    assert (status, body) == (200, b"") and int(fields["Content-Length"]) > 0
    watched.api.get("/metrics").expect(404, "route_not_found")


def test_it_tells_what_was_built_and_what_it_takes(watched):
    scrape = Scrape(watched)
    built = scrape.labels("migchat_build_info")[0]
    versions = program.run("version").stdout
    for name, said in (("version", r"migchat-server (\S+)"), ("commit", r"commit (\w+)"), ("sqlite", r"SQLite (\S+)"),
                       ("libuv", r"libuv (\S+)"), ("llhttp", r"llhttp (\S+)")):
        assert built[name] == re.search(said, versions)[1]
    assert abs(scrape["process_resident_memory_bytes"] - watched.rss_bytes()) < 16 << 20
    assert 5 < scrape["process_open_fds"] < scrape["process_max_fds"]
    assert 0 < scrape["process_cpu_seconds_total"] < 60
    assert abs(time.time() - scrape["process_start_time_seconds"]) < 600


def test_without_the_option_nothing_more_listens(start):
    running = start()
    assert not running.events("listening_also")


def test_a_port_that_is_taken_does_not_keep_the_server_from_serving(watched, start):
    other = start(flags=("--metrics-listen", f"127.0.0.1:{metrics.port_of(watched)}"))
    other.api.get("/health").expect(200)
    failed = other.wait_event("listen_failed")
    assert (failed["for"], failed["level"], failed["port"]) == ("metrics", "warn", metrics.port_of(watched))


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_it_listens_on_ipv6(start):
    running = start(flags=("--metrics-listen", "[::1]:0"))
    with socket.create_connection(("::1", metrics.port_of(running)), timeout=20) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 ") and b"migchat_build_info{" in received
