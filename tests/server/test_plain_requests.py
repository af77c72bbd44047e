"""Which requests are plain, and what is read of them."""

import pytest

from moorage.server.plain_requests import read_head

PLAIN = b"GET /api/v1/pods?limit=5 HTTP/1.1\r\nHost: x\r\nAccept: a\r\naccept:  b \r\nX-Odd: \xc3\xa9\r\n\r\nrest"


def test_a_plain_head_is_read_and_what_follows_is_left():
    head = read_head(PLAIN)
    assert head is not None
    assert (head.method, head.target, PLAIN[head.size :]) == ("GET", "/api/v1/pods?limit=5", b"rest")
    headers = head.headers
    assert headers.get("ACCEPT") == headers["accept"] == "a"
    assert headers.getall("Accept") == ["a", "b"]
    assert headers.getall("None", []) == []
    assert headers.get("x-odd") == "é"
    assert "host" in headers
    assert headers.get("none") is None
    assert headers.length == 0
    assert next(iter(headers.items())) == ("Host", "x")


def test_the_length_of_the_body_is_known():
    head = read_head(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n")
    assert head is not None
    assert head.headers.length == 12


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_odd_or_not_whole_is_left_alone(data):
    assert read_head(data) is None
