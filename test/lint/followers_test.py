"""The bench's follower by long polls: however its bytes are cut, it has each event once and asks on from the last."""

import pathlib
import socket
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import followers  # noqa: E402  (the bench's modules lie beside each other)
from servers import BenchError  # noqa: E402

BODY = b'{"events":[{"type":"message","cursor":"e:4"},{"type":"message","cursor":"e:5"}],"cursor":"e:5","more":false}'
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
IN_CHUNKS = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"1d\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (BODY[:29], len(BODY) - 29, BODY[29:]))


@pytest.fixture(name="pair")
def fixture_pair():
    ours, servers_end = socket.socketpair()
    with ours, servers_end:
        servers_end.setblocking(False)
        poll = followers.Follower(followers.POLL, "t" * 32, "e:3")
        poll.connection = ours
        yield poll, servers_end


@pytest.mark.parametrize("answer", (WITH_LENGTH, IN_CHUNKS), ids=("length", "chunks"))
def test_a_poll_is_asked_again_when_all_of_its_answer_is_there(pair, answer):
    poll, servers_end = pair
    for at in range(len(answer)):
        with pytest.raises(BlockingIOError):
            servers_end.recv(1)
        assert poll.event_count == 0
        servers_end.send(answer[at:at + 1])
        poll.take()
    assert poll.event_count == 2 and poll.sequence_numbers() == [4, 5]
    assert servers_end.recv(4096).startswith(b"GET /api/events?since=e:5&wait=60 HTTP/1.1\r\n")


def test_a_poll_that_is_refused_ends_the_bench(pair):
    poll, servers_end = pair
    servers_end.send(b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}")
    with pytest.raises(BenchError, match="410"):
        poll.take()
